/**
 * The pipeline of a process: one stream per partition from the log, decoded, into one loop that loads what is missing, steps the
 * cores and cuts flushes. While a flush is being written the next batches are stepped; at most one flush is under way and at most
 * `recordsInMemoryMax` records wait for theirs, so a slow warehouse slows reading and nothing grows.
 */
import { Clock, Deferred, Effect, Latch, Option, Queue, Stream } from "effect"
import type { Scope } from "effect"
import type { EventBatch } from "../domain/EventBatch.ts"
import type { Offset, Partition } from "../domain/Identifiers.ts"
import { noOutcomes } from "../domain/Outcome.ts"
import type { CoreSettings } from "../domain/Settings.ts"
import type { LogError, OffsetOutOfRange } from "../log/EventLog.ts"
import { EventLog } from "../log/EventLog.ts"
import type { RegistryError } from "../log/SchemaRegistry.ts"
import { SchemaRegistry } from "../log/SchemaRegistry.ts"
import { EventDecoder } from "../log/WireFormat.ts"
import { StateStore } from "../warehouse/StateStore.ts"
import type { WarehouseError } from "../warehouse/Warehouse.ts"
import type { DeadLetterSink } from "./DeadLetters.ts"
import { deadLettersOf } from "./DeadLetters.ts"
import { decodeBatch } from "./Decoding.ts"
import type { PipelineStatus } from "./PipelineStatus.ts"
import type { Flush, Processor } from "./Processor.ts"
import { recollect } from "./Recollection.ts"
import type { BrokenInvariant, PipelineRefused } from "./Recovery.ts"
import { recover } from "./Recovery.ts"
import type { RunRecorder } from "./RunRecord.ts"
import { recorded } from "./RunRecord.ts"
import { waitingOut } from "./WaitingOut.ts"

export interface PipelineOptions {
  readonly settings: CoreSettings
  /** Names this run in checkpoints and decision hashes. */
  readonly runId: string
  readonly status: PipelineStatus
  /** "drain": up to the ends that the log has at the start, then return. "live": until `stop` is done. */
  readonly until: "drained" | "stopped"
  /** The partitions to process; all when absent. */
  readonly partitions?: ReadonlyArray<Partition> | undefined
  /** Told of each flush that is acknowledged: next offsets by partition. */
  readonly onFlushed?: ((offsets: ReadonlyMap<Partition, Offset>) => void) | undefined
  /** Gets every dead letter as well, before the checkpoint that covers it. */
  readonly deadLetters?: DeadLetterSink | undefined
  /** Keeps an account of starts and ends. */
  readonly recorder?: RunRecorder | undefined
  /** Ends the run: what was read is flushed first. */
  readonly stop: Deferred.Deferred<void>
  /** Records of one batch from the log. */
  readonly readRecordsMax?: number | undefined
  /** A flush is cut at this many records, or this long after the first of them, whichever comes first. */
  readonly flushRecordsMax?: number | undefined
  readonly flushAfterMs?: number | undefined
  /** Records that may wait for a flush while another is being written: flushes grow up to this when catching up. */
  readonly recordsInMemoryMax?: number | undefined
  /** Visitors kept in memory, all partitions together; others are read back on sight. */
  readonly visitorsInMemoryMax?: number | undefined
}

export type PipelineError =
  | PipelineRefused
  | BrokenInvariant
  | WarehouseError
  | LogError
  | OffsetOutOfRange
  | RegistryError

/** Where a limit is not given. */
export const defaultLimits = {
  readRecordsMax: 5_000,
  flushRecordsMax: 20_000,
  flushAfterMs: 500,
  recordsInMemoryMax: 100_000,
  visitorsInMemoryMax: 750_000
}

/** Recovers, then processes until drained or stopped. Outages of warehouse, log and registry are waited out. */
export const run = Effect.fnUntraced(
  function*(
    options: PipelineOptions
  ): Effect.fn.Return<void, PipelineError, EventLog | StateStore | SchemaRegistry | Scope.Scope> {
    const { logId } = yield* EventLog
    yield* recorded(options.recorder, { runId: options.runId, logId, settings: options.settings }, processed(options))
  },
  Effect.scoped
)

const processed = Effect.fnUntraced(function*(options: PipelineOptions) {
  const waitOut = waitingOut(options.status)
  const processor = yield* waitOut(recover(options.settings, options.runId, options.partitions))
  const loop = yield* makeLoop(processor, options)
  report(processor, options.status)
  options.status.stored = options.status.passed
  options.status.state = "running"
  yield* loop
  options.status.state = "stopped"
})

/** The longest that the loop sleeps without looking whether it should stop, ms. */
const idleMs = 100

/** How long a start waits for a first flush before it reads the past back without one, ms. */
const recollectAfterMs = 5_000

const makeLoop = Effect.fnUntraced(function*(processor: Processor, options: PipelineOptions) {
  const limits = { ...defaultLimits, ...definedOnly(options) }
  const { status } = options
  const store = yield* StateStore
  const clock = yield* Clock.Clock
  const waitOut = waitingOut(status)
  const { batches, failed, wake } = yield* readAll(processor, options, limits.readRecordsMax)
  const written = yield* Deferred.make<void>()
  // What came in since the crash is shown first: the rest of the past is read back behind it.
  yield* Deferred.await(written).pipe(
    Effect.timeoutOption(recollectAfterMs),
    Effect.andThen(waitOut(recollect(processor, limits.visitorsInMemoryMax))),
    Effect.andThen(Effect.sync(() => {
      status.isRecollected = true
    })),
    Effect.catchCause((cause) => Effect.andThen(Deferred.failCause(failed, cause), wake.open)),
    Effect.forkScoped
  )

  /** The flush that is being written: done with how long it took, ms. */
  let flushing:
    | { readonly flush: Flush; readonly done: Deferred.Deferred<number, WarehouseError | LogError> }
    | undefined
  let dueAt = Infinity
  /** After a restart the first batch is flushed alone and at once: reading visitors back for more would hold up the first new row. */
  let isFirst = processor.cores.some(({ idsComplete }) => !idsComplete)
  const stored = new Map(processor.cores.map(({ nextOffset, partition }) => [partition, nextOffset]))

  const write = Effect.fnUntraced(function*(flush: Flush): Effect.fn.Return<number, WarehouseError | LogError> {
    const startedAt = clock.currentTimeMillisUnsafe()
    if (options.deadLetters !== undefined) {
      const records = deadLettersOf(flush, options.deadLetters.source, startedAt)
      if (records.length > 0) yield* waitOut(options.deadLetters.append(records))
    }
    for (const step of flush.steps) {
      yield* Effect.forEach(step, (block) => waitOut(store.write(block)), { concurrency: "unbounded", discard: true })
    }
    return clock.currentTimeMillisUnsafe() - startedAt
  }, (writing, flush) => Effect.withSpan(writing, "pipeline.flush", { attributes: { records: flush.records } }))

  const cut = Effect.gen(function*() {
    const flush = processor.cut()
    dueAt = Infinity
    if (flush === undefined) return
    const done = yield* Deferred.make<number, WarehouseError | LogError>()
    flushing = { flush, done }
    yield* Effect.forkScoped(Deferred.into(write(flush), done).pipe(Effect.andThen(wake.open)))
  })

  const settle = Effect.gen(function*() {
    if (flushing === undefined) return
    const { done, flush } = flushing
    const tookMs = yield* Deferred.await(done)
    flushing = undefined
    processor.flushed(flush)
    options.onFlushed?.(flush.offsets)
    processor.evict(limits.visitorsInMemoryMax)
    yield* Deferred.succeed(written, undefined)
    for (const [partition, offset] of flush.offsets) stored.set(partition, offset)
    status.stored = [...stored.values()].reduce((sum, offset) => sum + offset, 0)
    noteFlush(status, flush, tookMs)
  })

  // After a failure asked anew: those that have come are not missing any more.
  const load = (arrived: ReadonlyArray<EventBatch>) =>
    Effect.suspend(() => {
      const missing = processor.missing(arrived)
      if (missing === undefined) return Effect.void
      return store.histories(missing, (partition, history) => {
        processor.load(partition, history)
        status.visitorsLoaded++
      })
    })

  const step = Effect.fnUntraced(function*(arrived: ReadonlyArray<EventBatch>) {
    // From now, not from when they are stepped: reading visitors back may take long.
    if (dueAt === Infinity) dueAt = clock.currentTimeMillisUnsafe() + limits.flushAfterMs
    yield* waitOut(load(arrived))
    for (const batch of arrived) {
      processor.step(batch)
      batch.release()
    }
    report(processor, status)
  }, (stepping, arrived) =>
    Effect.withSpan(stepping, "pipeline.step", {
      attributes: { records: arrived.reduce((sum, { count }) => sum + count, 0) }
    }))

  return Effect.gen(function*() {
    for (;;) {
      if (flushing !== undefined && Deferred.isDoneUnsafe(flushing.done)) yield* settle
      const isStopping = Deferred.isDoneUnsafe(options.stop)
      if (isStopping) status.state = "stopping"
      const isEnding = isStopping || isDrained(processor, batches.ends)
      const isDue = processor.recordsSinceCut >= limits.flushRecordsMax || clock.currentTimeMillisUnsafe() >= dueAt ||
        (isFirst && processor.recordsSinceCut > 0)
      if (flushing === undefined && (isDue || isEnding)) yield* cut
      if (isEnding) {
        if (flushing === undefined) return
        yield* settle
        continue
      }
      if (isFirst && flushing !== undefined) {
        isFirst = false
        yield* settle
        continue
      }
      // Full: nothing more is read until the flush under way is acknowledged.
      if (flushing !== undefined && processor.recordsSinceCut >= limits.recordsInMemoryMax) {
        yield* settle
        continue
      }
      yield* wake.close
      const arrived = yield* batches.take
      if (arrived.length > 0) {
        yield* step(arrived)
        continue
      }
      if (Deferred.isDoneUnsafe(failed)) return yield* Deferred.await(failed)
      const waitMs = flushing === undefined ? dueAt - clock.currentTimeMillisUnsafe() : idleMs
      // Only a wake-up can be lost to the timeout here, never a batch.
      yield* Effect.timeoutOption(wake.await, Math.max(1, Math.min(idleMs, waitMs)))
    }
  })
})

const isDrained = (processor: Processor, ends: ReadonlyArray<Offset> | undefined): boolean =>
  ends !== undefined && processor.cores.every(({ nextOffset, partition }) => nextOffset >= ends[partition]!)

/** Starts a reader per partition. At most `partitions + 2` decoded batches wait. */
const readAll = Effect.fnUntraced(function*(processor: Processor, options: PipelineOptions, recordsMax: number) {
  const log = yield* EventLog
  const registry = yield* SchemaRegistry
  // One for all partitions: it keeps strings that repeat.
  const decoder = new EventDecoder((id) => registry.byId(id))
  const wake = yield* Latch.make(false)
  const failed = yield* Deferred.make<never, PipelineError>()
  const queue = yield* Queue.bounded<EventBatch>(processor.cores.length + 2)
  const ends = options.until === "drained" ?
    (yield* waitingOut(options.status)(log.ranges)).map(({ end }) => end) :
    undefined
  for (const { nextOffset, partition } of processor.cores) {
    if (ends !== undefined && nextOffset >= ends[partition]!) continue
    yield* Effect.forkScoped(
      readPartition(partition, nextOffset, recordsMax, decoder, options.status).pipe(
        Stream.runForEach((batch) => Effect.andThen(Queue.offer(queue, batch), wake.open)),
        Effect.catchCause((cause) => Effect.andThen(Deferred.failCause(failed, cause), wake.open))
      )
    )
  }
  const all = Math.max(1, processor.cores.length)
  let batchesMax = processor.cores.some(({ idsComplete }) => !idsComplete) ? 1 : all
  /**
   * What has arrived, without waiting: at most one batch per partition at a time. After a restart the very first goes alone: the
   * fewer visitors are to be read back, the sooner there is a new row.
   */
  const take = Effect.gen(function*() {
    const arrived: Array<EventBatch> = []
    while (arrived.length < batchesMax) {
      const batch = yield* Queue.poll(queue)
      if (Option.isNone(batch)) break
      arrived.push(batch.value)
    }
    if (arrived.length > 0) batchesMax = all
    return arrived
  })
  return { batches: { take, ends }, failed, wake }
})

/** The decoded batches of one partition, for ever. */
const readPartition = (
  partition: Partition,
  from: Offset,
  recordsMax: number,
  decoder: EventDecoder,
  status: PipelineStatus
) =>
  Stream.unwrap(Effect.gen(function*() {
    const log = yield* EventLog
    const waitOut = waitingOut(status)
    return log.read(partition, from, { recordsMax }).pipe(
      Stream.mapEffect((batch) => waitOut(decodeBatch(decoder, batch)))
    )
  }))

const report = (processor: Processor, status: PipelineStatus): void => {
  const counts = noOutcomes()
  let visitors = 0
  let ids = 0
  let passed = 0
  for (const core of processor.cores) {
    passed += core.nextOffset
    for (const name of Object.keys(counts) as Array<keyof typeof counts>) counts[name] += core.counts[name]
    visitors += core.visitorsInMemory
    ids += core.idsInMemory
    if (core.position.watermark > status.watermark) status.watermark = core.position.watermark
  }
  status.counts = counts
  status.passed = passed
  status.visitorsInMemory = visitors
  status.idsInMemory = ids
}

const noteFlush = (status: PipelineStatus, flush: Flush, tookMs: number): void => {
  status.flushes++
  status.flushedRecords += flush.records
  status.flushMs.push(tookMs)
  status.flushMsTotal += tookMs
  if (status.flushMs.length > 100) status.flushMs.shift()
}

const definedOnly = (options: PipelineOptions): Partial<typeof defaultLimits> =>
  Object.fromEntries(
    Object.keys(defaultLimits).flatMap((name) => {
      const value = options[name as keyof typeof defaultLimits]
      return value === undefined ? [] : [[name, value]]
    })
  )
