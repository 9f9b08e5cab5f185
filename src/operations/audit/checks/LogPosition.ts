/** The log against the checkpoints: it is the same one, it reaches as far, and where they stand it still holds the same bytes. */
import { Effect, Option, Stream } from "effect"
import type { Offset, Partition } from "../../../domain/Identifiers.ts"
import type { LogError, OffsetOutOfRange, PartitionRange } from "../../../log/EventLog.ts"
import { EventLog } from "../../../log/EventLog.ts"
import { recordHash } from "../../../pipeline/Processor.ts"
import type { AuditedPartition } from "../AuditContext.ts"
import type { Check, CheckResult, Difference } from "../Check.ts"

export const logPosition: Check = {
  name: "log position",
  promise:
    "The log is the one that was processed, reaches up to every checkpoint, and holds the recorded bytes before it",
  needsEvents: false,
  run: Effect.fnUntraced(function*(context): Effect.fn.Return<CheckResult, LogError | OffsetOutOfRange, EventLog> {
    const ranges = yield* (yield* EventLog).ranges
    const found = yield* Effect.forEach(
      context.partitions,
      (partition) => judge(partition, ranges[partition.partition])
    )
    const differences = found.flatMap((difference) => difference === undefined ? [] : [difference])
    return { examined: context.partitions.length, differences: differences.length, sample: differences }
  })
}

const judge = Effect.fnUntraced(function*(
  { logId, offset, partition, partitions, recordHash: recorded }: AuditedPartition,
  range: PartitionRange | undefined
): Effect.fn.Return<Difference | undefined, LogError | OffsetOutOfRange, EventLog> {
  const log = yield* EventLog
  const place = { partition, checkpoint: offset, log_start: range?.start, log_end: range?.end }
  if (logId !== log.logId) return { ...place, why: `it was processed from log ${logId}, this is log ${log.logId}` }
  if (partitions !== log.partitions || range === undefined) {
    return { ...place, why: `the log had ${partitions} partitions and has ${log.partitions}` }
  }
  if (range.end < offset) return { ...place, why: "the log ends before the checkpoint" }
  if (range.start > offset) return { ...place, why: "the log begins after the checkpoint: records went unprocessed" }
  // Trimmed up to the checkpoint: its record may go.
  if (range.start === offset || offset === 0) return undefined
  const batch = yield* Stream.runHead(log.read(partition as Partition, (offset - 1) as Offset, { recordsMax: 1 }))
  const held = Option.map(batch, (each) => ({ offset: each.offset(0), hash: recordHash(each.value(0)) }))
  if (Option.isSome(held) && held.value.offset === offset - 1 && held.value.hash === recorded) return undefined
  return { ...place, why: "the record before the checkpoint is not the one that was processed" }
})
