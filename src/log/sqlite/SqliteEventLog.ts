/**
 * The event log on SQLite: one file in a directory, any number of processes. Two threads per process, one that writes and one
 * that reads; this side only frames records and hands bytes over.
 */
import { Effect, Layer, Stream } from "effect"
import type { Scope } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import { EventLog, LogError, OffsetOutOfRange } from "../EventLog.ts"
import type { LogBatch, NewRecord, PartitionRange, Receipt } from "../EventLog.ts"
import { fileName } from "./Database.ts"
import { valueBytesMax } from "./Frame.ts"
import { GroupCommit } from "./GroupCommit.ts"
import type {
  Committed,
  Fault,
  Opened,
  OpenOptions,
  RangesReply,
  ReaderRequest,
  Trimmed,
  WriterRequest
} from "./Protocol.ts"
import { ReadCursor } from "./ReadCursor.ts"
import { StoredBatch } from "./StoredBatch.ts"
import { WorkerClient } from "./WorkerClient.ts"

export interface SqliteEventLogOptions {
  /** Made when it does not exist. One directory is one log. */
  readonly directory: string
  /** Of a new log: 6 when absent. Of an existing one: must be what it has. */
  readonly partitions?: number | undefined
  /** Most bytes that the log's file may take; when they are used up, appends fail until `trim` makes room. Absent: the disk. */
  readonly bytesMax?: number | undefined
  /** The append clock, epoch ms. */
  readonly now?: (() => number) | undefined
}

/**
 * The event log in a directory, until the layer's scope ends: then queued appends are finished first.
 *
 * ```ts
 * const Log = SqliteEventLog.layer({ directory: "data/log", partitions: 6 })
 * ```
 */
export const layer = (options: SqliteEventLogOptions): Layer.Layer<EventLog, LogError> =>
  Layer.effect(EventLog, make(options))

/** Whether a log was created in this directory. */
export const exists = (directory: string): boolean => existsSync(join(directory, fileName))

/** The same as a scoped value. */
export const make = Effect.fnUntraced(
  function*(options: SqliteEventLogOptions): Effect.fn.Return<EventLog["Service"], LogError, Scope.Scope> {
    const writer = yield* thread<WriterRequest>(new URL("./writer.ts", import.meta.url), { kind: "close" })
    const reader = yield* thread<ReaderRequest>(new URL("./reader.ts", import.meta.url), { kind: "close" })
    const open: OpenOptions = {
      directory: options.directory,
      partitions: options.partitions,
      bytesMax: options.bytesMax
    }
    const { logId, partitions } = yield* ask<WriterRequest, Opened>(writer, { kind: "open", ...open })
    yield* ask<ReaderRequest, Opened>(reader, { kind: "open", ...open })

    const commits = new GroupCommit({
      partitions,
      now: options.now ?? Date.now,
      send: (request, done) =>
        writer.send<Committed>(request, (result) => {
          if (reader.pending > 0) reader.notify({ kind: "wake" })
          done(result)
        }, request.frames.map((frame) => frame.bytes))
    })
    let closed = false
    yield* Effect.addFinalizer(() => {
      closed = true
      return Effect.promise(() => commits.idle())
    })

    return EventLog.of({
      logId,
      partitions,
      append: (records) =>
        Effect.suspend(() => {
          const fault = closed ? closedFault : tooLarge(records)
          if (fault !== undefined) return Effect.fail(logError(fault))
          return records.length === 0 ? Effect.succeed([]) : appendTo(commits, records)
        }),
      read: (partition, from, { recordsMax }) => readFrom(reader, partition, from, Math.max(1, recordsMax)),
      ranges: Effect.map(ask<ReaderRequest, RangesReply>(reader, { kind: "ranges" }), toRanges),
      trim: (before) => trim(writer, before)
    })
  }
)

/** A worker thread that ends with the scope. */
const thread = <Request>(file: URL, last: Request) =>
  Effect.acquireRelease(
    Effect.sync(() => new WorkerClient<Request>(file)),
    (client) => Effect.promise(() => client.close(last))
  )

const ask = <Request, Value>(client: WorkerClient<Request>, request: Request): Effect.Effect<Value, LogError> =>
  Effect.callback((resume) => {
    const id = client.send<Value>(
      request,
      (result) =>
        resume(result.fault === undefined ? Effect.succeed(result.value) : Effect.fail(logError(result.fault)))
    )
    return Effect.sync(() => client.forget(id))
  })

const appendTo = (
  commits: GroupCommit,
  records: ReadonlyArray<NewRecord>
): Effect.Effect<ReadonlyArray<Receipt>, LogError> =>
  Effect.callback((resume) => {
    const drop = commits.append(records, (result) =>
      resume(result.fault === undefined ? Effect.succeed(result.value) : Effect.fail(logError(result.fault))))
    return Effect.sync(drop)
  })

const readFrom = (
  reader: WorkerClient<ReaderRequest>,
  partition: Partition,
  from: Offset,
  recordsMax: number
): Stream.Stream<LogBatch, LogError | OffsetOutOfRange> =>
  Stream.unwrap(Effect.gen(function*() {
    const cursor = new ReadCursor(reader, partition, from, recordsMax)
    yield* Effect.addFinalizer(() => Effect.sync(() => cursor.abandon()))
    const next = Effect.callback<readonly [LogBatch], LogError | OffsetOutOfRange>((resume) => {
      const stop = cursor.next((result) =>
        resume(
          result.fault === undefined ?
            Effect.succeed([new StoredBatch(partition, result.value)]) :
            Effect.fail(readError(partition, from, result.fault))
        )
      )
      return Effect.sync(stop)
    })
    return Stream.fromPull(Effect.succeed(next))
  }))

/** Small steps, between which appends get their turn. */
const trim = Effect.fnUntraced(function*(writer: WorkerClient<WriterRequest>, before: EpochMillis) {
  let records = 0
  for (;;) {
    const step = yield* ask<WriterRequest, Trimmed>(writer, { kind: "trim", before })
    records += step.records
    if (!step.more) return records
  }
})

const toRanges = (reply: RangesReply): ReadonlyArray<PartitionRange> =>
  Array.from({ length: reply.length / 2 }, (_, partition) => ({
    start: reply[2 * partition] as Offset,
    end: reply[2 * partition + 1] as Offset
  }))

const closedFault: Fault = { message: "the event log is closed", retryable: false }

const tooLarge = (records: ReadonlyArray<NewRecord>): Fault | undefined => {
  for (const { key, value } of records) {
    if (value.length > valueBytesMax || key.length > valueBytesMax) {
      return { message: `a record has ${value.length} bytes, at most ${valueBytesMax} are possible`, retryable: false }
    }
  }
  return undefined
}

const logError = ({ message, retryable }: Fault): LogError => new LogError({ message, retryable })

const readError = (partition: Partition, offset: Offset, fault: Fault): LogError | OffsetOutOfRange =>
  fault.range === undefined ?
    logError(fault) :
    new OffsetOutOfRange({ partition, offset, ...fault.range, message: fault.message })
