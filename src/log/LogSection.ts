/** A part of a partition, read once and to its end: `EventLog.read` goes on for ever. */
import { Effect, Stream } from "effect"
import type { Offset, Partition } from "../domain/Identifiers.ts"
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
