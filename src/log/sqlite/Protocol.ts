/**
 * What the log's threads say to each other. Bytes travel as transferred ArrayBuffers, everything else is a handful of numbers
 * per batch, so a message costs the same for one record and for thousands.
 */

/** Why the log could not do it; becomes a LogError. */
export interface Fault {
  readonly message: string
  readonly retryable: boolean
  /** Set when a read's offset is outside the partition: then it becomes an OffsetOutOfRange. */
  readonly range?: { readonly start: number; readonly end: number }
}

/** How a thread opens the database. */
export interface OpenOptions {
  readonly directory: string
  /** Asked by the user; absent: what the log has, or the default for a new one. */
  readonly partitions: number | undefined
  /** Most bytes of the database file; absent: no limit. */
  readonly bytesMax: number | undefined
}

export interface Opened {
  readonly logId: string
  readonly partitions: number
}

/** Records of one partition, on their way in. */
export interface NewFrame {
  readonly partition: number
  readonly count: number
  readonly bytes: ArrayBuffer
  /** The frame's bytes within `bytes`; the rest is slack. */
  readonly length: number
}

/** One transaction: all frames or none. Frames of one partition get adjacent offsets, in this order. */
export interface CommitRequest {
  readonly kind: "commit"
  readonly appendedAt: number
  readonly frames: ReadonlyArray<NewFrame>
}

/** Of each partition of the log (those without records in the commit: unchanged values). */
export interface Committed {
  /** Offset of the partition's first record in this commit. */
  readonly base: Float64Array
  /** Append time of the partition's records in this commit. */
  readonly appendedAt: Float64Array
}

/** One bounded step of retention; asked again while `more`. */
export interface TrimRequest {
  readonly kind: "trim"
  readonly before: number
}

export interface Trimmed {
  readonly records: number
  readonly more: boolean
}

export type WriterRequest = ({ readonly kind: "open" } & OpenOptions) | CommitRequest | TrimRequest | { kind: "close" }

export interface ReadRequest {
  readonly kind: "read"
  readonly partition: number
  readonly from: number
  readonly recordsMax: number
}

/** Records of one partition, on their way out: adjacent offsets from `base`. */
export interface ReadRecords {
  readonly base: number
  readonly count: number
  readonly bytes: ArrayBuffer
  /** Four places per record: see Frame. */
  readonly index: Uint32Array<ArrayBuffer>
  readonly appendedAt: Float64Array<ArrayBuffer>
  /** More records were there already when this was read. */
  readonly more: boolean
}

export type ReaderRequest =
  | ({ readonly kind: "open" } & OpenOptions)
  | ReadRequest
  | { readonly kind: "ranges" }
  /** Something was committed in this process: waiting reads look again. */
  | { readonly kind: "wake" }
  /** Nobody waits for that read any more. */
  | { readonly kind: "cancel"; readonly request: number }
  | { readonly kind: "close" }

/** Start and end of each partition, alternating. */
export type RangesReply = Float64Array<ArrayBuffer>

/** Every request has a number; its answer carries it. */
export interface Envelope<Request> {
  readonly id: number
  readonly request: Request
}

export type Answer<Value> =
  | { readonly id: number; readonly value: Value; readonly fault?: undefined }
  | { readonly id: number; readonly fault: Fault }
