/**
 * The thread that reads: never behind a commit, and no commit behind it. A read at the end of its partition waits here.
 */
import { parentPort } from "node:worker_threads"
import type { Transferable } from "node:worker_threads"
import { crc32 } from "node:zlib"
import { faultOf, LogFault, openDatabase } from "./Database.ts"
import type { OpenDatabase } from "./Database.ts"
import { indexStride, scanFrame } from "./Frame.ts"
import type { Answer, Envelope, RangesReply, ReaderRequest, ReadRecords, ReadRequest } from "./Protocol.ts"

/** Most bytes of one read, unless its first record alone is larger. */
const readBytesMax = 16 * 1024 * 1024
/** How often waiting reads look for commits of other processes, ms. Commits of this process wake them at once. */
const pollMs = 10
/** Polls between two looks whether the file is still there. */
const presencePolls = 50

const port = parentPort!

interface Row {
  readonly base_offset: number
  readonly count: number
  readonly appended_at: number
  readonly crc32: number
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** The part of a row that is wanted. */
interface Piece {
  readonly row: Row
  readonly first: number
  readonly last: number
}

class Reader {
  readonly #db: OpenDatabase
  readonly #range
  readonly #ranges
  readonly #rows
  readonly #version

  constructor(db: OpenDatabase) {
    this.#db = db
    const { sqlite } = db
    sqlite.exec("PRAGMA query_only = 1")
    this.#range = sqlite.prepare("SELECT start_offset, next_offset FROM partitions WHERE partition = ?")
    this.#ranges = sqlite.prepare("SELECT start_offset, next_offset FROM partitions ORDER BY partition")
    this.#rows = sqlite.prepare(`
      SELECT base_offset, count, appended_at, crc32, bytes FROM batches
      WHERE partition = ?1 AND base_offset >=
        (SELECT max(base_offset) FROM batches WHERE partition = ?1 AND base_offset <= ?2)
      ORDER BY base_offset
    `)
    this.#version = sqlite.prepare("PRAGMA data_version")
  }

  /** Changes when another connection has committed. */
  version(): number {
    return (this.#version.get() as { data_version: number }).data_version
  }

  checkPresent(): void {
    this.#db.checkPresent()
  }

  ranges(): RangesReply {
    this.#db.checkPresent()
    const rows = this.#ranges.all() as Array<{ start_offset: number; next_offset: number }>
    return Float64Array.from(rows.flatMap((row) => [row.start_offset, row.next_offset]))
  }

  /** The records from an offset on, or undefined at the end of the partition. */
  read(request: ReadRequest): ReadRecords | undefined {
    const { sqlite } = this.#db
    // One snapshot for the range and the rows.
    sqlite.exec("BEGIN")
    try {
      const range = this.#range.get(request.partition) as { start_offset: number; next_offset: number } | undefined
      if (range === undefined) {
        throw new LogFault({ message: `the log has no partition ${request.partition}`, retryable: false })
      }
      if (request.from < range.start_offset || request.from > range.next_offset) throw outOfRange(request, range)
      if (request.from === range.next_offset) return undefined
      const pieces = this.#pieces(request)
      if (pieces.length === 0) throw damaged(request, request.from, "the batch that should hold it is not there")
      return assemble(request, pieces, range.next_offset)
    } finally {
      sqlite.exec("COMMIT")
    }
  }

  close(): void {
    this.#db.sqlite.close()
  }

  #pieces(request: ReadRequest): Array<Piece> {
    const pieces: Array<Piece> = []
    let records = 0
    let bytes = 0
    let expected = request.from
    for (const found of this.#rows.iterate(request.partition, request.from)) {
      const row = found as unknown as Row
      const first = expected - row.base_offset
      if (pieces.length > 0 && (bytes + row.bytes.length > readBytesMax || first !== 0)) break
      if (first < 0 || first >= row.count) break
      if (crc32(row.bytes) !== row.crc32) {
        throw damaged(request, row.base_offset, "its bytes do not have the checksum that was stored with them")
      }
      const last = Math.min(row.count, first + request.recordsMax - records)
      pieces.push({ row, first, last })
      records += last - first
      bytes += row.bytes.length
      expected += last - first
      if (records >= request.recordsMax || bytes >= readBytesMax) break
    }
    return pieces
  }
}

/** One run of bytes and one index out of pieces; a whole row is passed on as it is. */
const assemble = (request: ReadRequest, pieces: ReadonlyArray<Piece>, end: number): ReadRecords => {
  let count = 0
  for (const piece of pieces) count += piece.last - piece.first
  const index = new Uint32Array(count * indexStride)
  const appendedAt = new Float64Array(count)
  const spans: Array<Uint8Array<ArrayBuffer>> = []
  let at = 0
  let bytesAt = 0
  for (const { first, last, row } of pieces) {
    const span = scan(request, row, () => scanFrame(row.bytes, first, last, index, at, bytesAt))
    spans.push(row.bytes.subarray(span.start, span.end))
    bytesAt += span.end - span.start
    appendedAt.fill(row.appended_at, at, at + last - first)
    at += last - first
  }
  return {
    base: request.from,
    count,
    bytes: join(spans, bytesAt),
    index,
    appendedAt,
    more: request.from + count < end
  }
}

const join = (spans: ReadonlyArray<Uint8Array<ArrayBuffer>>, length: number): ArrayBuffer => {
  const [only] = spans
  if (spans.length === 1 && only!.byteLength === only!.buffer.byteLength) return only!.buffer
  const joined = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const span of spans) {
    joined.set(span, at)
    at += span.length
  }
  return joined.buffer
}

const scan = <A>(request: ReadRequest, row: Row, body: () => A): A => {
  try {
    return body()
  } catch (error) {
    throw damaged(request, row.base_offset, (error as Error).message)
  }
}

const damaged = (request: ReadRequest, base: number, how: string): LogFault =>
  new LogFault({
    message: `partition ${request.partition}, batch at offset ${base} is damaged: ${how}. Restore the log from a copy`,
    retryable: false
  })

const outOfRange = (request: ReadRequest, range: { start_offset: number; next_offset: number }): LogFault =>
  new LogFault({
    message:
      `partition ${request.partition} holds offsets ${range.start_offset} to ${range.next_offset} (exclusive); ` +
      (request.from < range.start_offset ?
        `${request.from} was trimmed` :
        `${request.from} is beyond the end: is this the log that was read before?`),
    retryable: false,
    range: { start: range.start_offset, end: range.next_offset }
  })

let reader: Reader | undefined
/** Reads at the end of their partition, by number of request. */
const waiting = new Map<number, ReadRequest>()
let versionSeen = -1
let polls = 0
let timer: NodeJS.Timeout | undefined

const send = <Value>(reply: Answer<Value>, transfer: Array<Transferable> = []): void =>
  port.postMessage(reply, transfer)

/** Answers a read, or returns false when it has to wait. */
const tryRead = (id: number, request: ReadRequest): boolean => {
  try {
    const value = opened().read(request)
    if (value === undefined) return false
    send({ id, value }, [value.bytes, value.index.buffer, value.appendedAt.buffer])
  } catch (error) {
    send({ id, fault: faultOf(error, "read the event log") })
  }
  return true
}

const opened = (): Reader => {
  if (reader === undefined) throw new LogFault({ message: "the log is not open", retryable: false })
  return reader
}

/** Waiting reads look again when something was committed. The version is taken first: what comes after it shows next time. */
const poll = (): void => {
  timer = undefined
  try {
    if (++polls % presencePolls === 0) opened().checkPresent()
    const version = opened().version()
    if (version !== versionSeen) {
      versionSeen = version
      for (const [id, request] of waiting) if (tryRead(id, request)) waiting.delete(id)
    }
  } catch (error) {
    const fault = faultOf(error, "read the event log")
    for (const id of waiting.keys()) send({ id, fault })
    waiting.clear()
  }
  schedule()
}

const schedule = (): void => {
  if (waiting.size > 0 && timer === undefined) timer = setTimeout(poll, pollMs)
}

const handle = (id: number, request: ReaderRequest): void => {
  switch (request.kind) {
    case "open": {
      const db = openDatabase(request)
      reader = new Reader(db)
      return send({ id, value: { logId: db.logId, partitions: db.partitions } })
    }
    case "read": {
      if (!tryRead(id, request)) waiting.set(id, request)
      return schedule()
    }
    case "ranges": {
      const value = opened().ranges()
      return send({ id, value }, [value.buffer])
    }
    case "wake": {
      clearTimeout(timer)
      return poll()
    }
    case "cancel": {
      waiting.delete(request.request)
      return
    }
    case "close": {
      clearTimeout(timer)
      waiting.clear()
      reader?.close()
      send({ id, value: undefined })
      port.close()
    }
  }
}

port.on("message", ({ id, request }: Envelope<ReaderRequest>) => {
  try {
    handle(id, request)
  } catch (error) {
    send({ id, fault: faultOf(error, request.kind === "open" ? "open the event log" : "read the event log") })
  }
})
