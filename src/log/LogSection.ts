/** Parts of a log: of a partition, read once and to its end, since `EventLog.read` goes on for ever; of a log, up to some offsets. */
import { Effect, Stream } from "effect"
import type { EpochMillis, Offset, Partition } from "../domain/Identifiers.ts"
import type { LogBatch, LogError, OffsetOutOfRange } from "./EventLog.ts"
import { EventLog } from "./EventLog.ts"

/** Records in `[from, to)`; nothing when `from` is not below `to`, which must not be beyond the partition's end. */
export interface LogSection {
  readonly partition: Partition
  readonly from: number
  readonly to: number
}

/** Its batches in order. The last one may reach beyond `to`: look at the offsets. */
export const readSection = (
  { from, partition, to }: LogSection,
  recordsMax: number
): Stream.Stream<LogBatch, LogError | OffsetOutOfRange, EventLog> =>
  from >= to ? Stream.empty : Stream.unwrap(
    Effect.map(EventLog, (log) =>
      Stream.takeUntil(
        log.read(partition, from as Offset, { recordsMax: Math.min(recordsMax, to - from) }),
        (batch) => batch.offset(batch.count - 1) >= to - 1
      ))
  )

/** The log as it would be if its partitions ended at these offsets, none of which is beyond its partition's end. */
export const endingAt = (log: EventLog["Service"], ends: ReadonlyArray<number>): EventLog["Service"] => ({
  ...log,
  ranges: Effect.map(
    log.ranges,
    (ranges) => ranges.map(({ start }, partition) => ({ start, end: Math.max(start, ends[partition]!) as Offset }))
  ),
  read: (partition, from, options) => {
    const end = ends[partition]!
    // At its end it waits for more, as logs do.
    const rest = Stream.never
    return from >= end ? rest : log.read(partition, from, options).pipe(
      Stream.takeUntil((batch) => batch.offset(batch.count - 1) >= end - 1),
      Stream.map((batch) => batch.offset(batch.count - 1) < end ? batch : new FrontOfBatch(batch, end)),
      Stream.concat(rest)
    )
  }
})

/** The records of a batch that lie below an offset. */
class FrontOfBatch implements LogBatch {
  readonly partition: Partition
  readonly count: number
  readonly bytes: Buffer
  readonly #batch: LogBatch

  constructor(batch: LogBatch, end: number) {
    this.partition = batch.partition
    this.bytes = batch.bytes
    this.#batch = batch
    let count = batch.count
    while (count > 0 && batch.offset(count - 1) >= end) count--
    this.count = count
  }

  offset(index: number): Offset {
    return this.#batch.offset(index)
  }

  appendedAt(index: number): EpochMillis {
    return this.#batch.appendedAt(index)
  }

  valueStart(index: number): number {
    return this.#batch.valueStart(index)
  }

  valueEnd(index: number): number {
    return this.#batch.valueEnd(index)
  }

  value(index: number): Buffer {
    return this.#batch.value(index)
  }

  key(index: number): Buffer {
    return this.#batch.key(index)
  }

  headers(index: number): Readonly<Record<string, string>> | undefined {
    return this.#batch.headers(index)
  }
}
