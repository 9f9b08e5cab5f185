/**
 * Lets processing go on behind records that are gone, or that nobody wants: a checkpoint is written further on, with the counts,
 * watermark and decision hash of the newest one. What lies between is never processed, and never counted. Only forward: going
 * back would count again what the database has, so that takes another database.
 */
import { Effect, Option, Schema, Stream } from "effect"
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import type { CoreSettings } from "../../domain/Settings.ts"
import type { LogError, OffsetOutOfRange, PartitionRange } from "../../log/EventLog.ts"
import { EventLog } from "../../log/EventLog.ts"
import { recordHash } from "../../pipeline/Processor.ts"
import { PartitionCore } from "../../sessionizer/PartitionCore.ts"
import { flushSteps } from "../../warehouse/FlushBlocks.ts"
import type { PartitionFlush } from "../../warehouse/FlushBlocks.ts"
import { StateStore } from "../../warehouse/StateStore.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"

/** The first record that is held, the end, or the first record appended at or after a time. */
export type ResetTarget = "earliest" | "latest" | EpochMillis

export interface PartitionReset {
  readonly partition: Partition
  readonly from: Offset
  readonly to: Offset
}

/** It cannot be: the message says why and what to do. */
export class ResetRefused extends Schema.TaggedError<ResetRefused>()("ResetRefused", { message: Schema.String }) {}

export interface ResetOptions {
  readonly to: ResetTarget
  readonly settings: CoreSettings
  readonly runId: string
}

/** What it moved; partitions without a checkpoint begin where the log does anyway, and stay out. */
export const resetLog = Effect.fnUntraced(function*(
  { runId, settings, to }: ResetOptions
): Effect.fn.Return<
  ReadonlyArray<PartitionReset>,
  ResetRefused | WarehouseError | LogError | OffsetOutOfRange,
  EventLog | StateStore
> {
  const log = yield* EventLog
  const store = yield* StateStore
  const ranges = yield* log.ranges
  const resets: Array<PartitionReset> = []
  const flushes: Array<PartitionFlush> = []
  for (const { logId, partition, position, settings: recorded } of yield* store.checkpoints) {
    if (logId !== log.logId || JSON.stringify(JSON.parse(recorded)) !== JSON.stringify(settings)) {
      return yield* new ResetRefused({
        message: "the database was made from another log or with other settings: process this log into another database"
      })
    }
    const range = ranges[partition]!
    const target = yield* offsetOf(partition, range, to)
    if (target <= position.offset) continue
    const core = new PartitionCore(partition, settings, { ...position, offset: target })
    resets.push({ partition, from: position.offset, to: target })
    flushes.push({
      partition,
      changes: core.takeChanges(),
      position: core.position,
      recordHash: target === range.start ? "" : yield* hashBefore(partition, target)
    })
  }
  const identity = { logId: log.logId, partitions: log.partitions, runId, settings }
  for (const step of flushes.length === 0 ? [] : flushSteps(flushes, identity)) {
    yield* Effect.forEach(step, (block) => store.write(block), { discard: true })
  }
  return resets
})

const offsetOf = (partition: Partition, range: PartitionRange, to: ResetTarget) =>
  to === "earliest" ?
    Effect.succeed(range.start) :
    to === "latest" ?
    Effect.succeed(range.end) :
    firstAt(partition, range, to)

/** Append times never fall within a partition, so halving finds it. */
const firstAt = Effect.fnUntraced(function*(partition: Partition, { end, start }: PartitionRange, time: EpochMillis) {
  let [low, high] = [start as number, end as number]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const record = Option.getOrThrow(yield* first(partition, middle))
    if (record.appendedAt(0) < time) low = record.offset(0) + 1
    else high = middle
  }
  return low as Offset
})

const hashBefore = Effect.fnUntraced(function*(partition: Partition, offset: Offset) {
  const record = Option.getOrThrow(yield* first(partition, offset - 1))
  return recordHash(record.value(0))
})

const first = (partition: Partition, offset: number) =>
  Effect.flatMap(EventLog, (log) => Stream.runHead(log.read(partition, offset as Offset, { recordsMax: 1 })))
