/**
 * The start of every run: newest checkpoints, proof that log and settings are still the ones they speak of, and cores that know
 * whom to read back. There is no other way to start, so a crash is nothing special.
 */
import { Effect, Option, Schema, Stream } from "effect"
import type { Offset, Partition } from "../domain/Identifiers.ts"
import { murmur2 } from "../domain/Murmur2.ts"
import { isConserved } from "../domain/Outcome.ts"
import type { CoreSettings } from "../domain/Settings.ts"
import { coreVersion } from "../domain/Settings.ts"
import type { LogError, OffsetOutOfRange, PartitionRange } from "../log/EventLog.ts"
import { EventLog } from "../log/EventLog.ts"
import { PartitionCore, startPosition } from "../sessionizer/PartitionCore.ts"
import type { FlushIdentity } from "../warehouse/FlushBlocks.ts"
import type { Checkpoint } from "../warehouse/StateStore.ts"
import { StateStore } from "../warehouse/StateStore.ts"
import type { WarehouseError } from "../warehouse/Warehouse.ts"
import { Processor, recordHash } from "./Processor.ts"

/** Log, settings and database do not belong together. The message says what differs and what to do. */
export class PipelineRefused extends Schema.TaggedError<PipelineRefused>()("PipelineRefused", {
  reason: Schema.Literals([
    "log_recreated",
    "log_trimmed",
    "log_too_short",
    "record_changed",
    "partitions_changed",
    "settings_changed",
    "core_version_changed"
  ]),
  message: Schema.String
}) {}

/** What must never happen has happened: the evidence, for whoever looks into it. Processing stops, nothing is overwritten. */
export class BrokenInvariant extends Schema.TaggedError<BrokenInvariant>()("BrokenInvariant", {
  message: Schema.String
}) {}

const remedy =
  "Process the log again into another database (another --data-dir, or another database name) and switch to it."

/** @param owned the partitions to process; all when absent */
export const recover = Effect.fnUntraced(function*(
  settings: CoreSettings,
  runId: string,
  owned?: ReadonlyArray<Partition>
): Effect.fn.Return<
  Processor,
  PipelineRefused | BrokenInvariant | WarehouseError | LogError | OffsetOutOfRange,
  EventLog | StateStore
> {
  const log = yield* EventLog
  const store = yield* StateStore
  const identity: FlushIdentity = { logId: log.logId, partitions: log.partitions, runId, settings }
  const [stored, ranges] = yield* Effect.all([store.checkpoints, log.ranges, refuseDisagreement], {
    concurrency: "unbounded"
  })
  const checkpoints = new Map(stored.map((checkpoint) => [checkpoint.partition, checkpoint]))
  for (const checkpoint of checkpoints.values()) yield* refuseForeign(checkpoint, identity)
  // Side by side: a remote log takes its time for each.
  yield* Effect.forEach(
    checkpoints.values(),
    (checkpoint) => refuseOtherLog(checkpoint, ranges[checkpoint.partition]!),
    { concurrency: "unbounded", discard: true }
  )
  const hashSeed = murmur2(runId)
  const cores = (owned ?? ranges.map((_, number) => number as Partition)).map((partition) => {
    const start = startPosition(ranges[partition]!.start)
    return new PartitionCore(partition, settings, checkpoints.get(partition)?.position ?? start, hashSeed)
  })
  const processor = new Processor(identity)
  for (const core of cores) processor.own(core)
  return processor
})

/** The determinism alarm: two runs that decided differently below the same offset. */
const refuseDisagreement = Effect.gen(function*() {
  const store = yield* StateStore
  const [first] = yield* store.disagreements
  if (first !== undefined) {
    return yield* new BrokenInvariant({
      message: `two runs decided differently before offset ${first.offset} of partition ${first.partition}: ` +
        `${first.runs.join(", ")} (table decision_hashes). One log must have one result; this is a bug. ` +
        "Keep the log and the database, and report it."
    })
  }
})

const refuseForeign = (
  checkpoint: Checkpoint,
  identity: FlushIdentity
): Effect.Effect<void, PipelineRefused | BrokenInvariant> => {
  const refuse = (reason: PipelineRefused["reason"], message: string) =>
    Effect.fail(new PipelineRefused({ reason, message: `${message} ${remedy}` }))
  if (checkpoint.logId !== identity.logId) {
    return refuse(
      "log_recreated",
      `The database was made from log ${checkpoint.logId}, this is log ${identity.logId}: recreated, or the wrong one.`
    )
  }
  if (checkpoint.partitions !== identity.partitions) {
    return refuse(
      "partitions_changed",
      `The database was made from ${checkpoint.partitions} partitions, the log has ${identity.partitions}.`
    )
  }
  if (checkpoint.coreVersion !== coreVersion) {
    return refuse(
      "core_version_changed",
      `The database was made by version ${checkpoint.coreVersion} of the core, this is version ${coreVersion}.`
    )
  }
  const differences = settingsDifferences(JSON.parse(checkpoint.settings), identity.settings)
  if (differences.length > 0) {
    return refuse("settings_changed", `The database was made with other settings: ${differences.join(", ")}.`)
  }
  const { counts, offset } = checkpoint.position
  if (!isConserved(counts)) {
    return Effect.fail(
      new BrokenInvariant({
        message: `partition ${checkpoint.partition} at offset ${offset}: received is not the sum of the outcomes: ` +
          `${JSON.stringify(counts)} (table checkpoints). This is a bug. Keep the log and the database, and report it.`
      })
    )
  }
  return Effect.void
}

const settingsDifferences = (
  recorded: Readonly<Record<string, unknown>>,
  settings: CoreSettings
): ReadonlyArray<string> => {
  const now: Readonly<Record<string, unknown>> = settings
  return [...new Set([...Object.keys(recorded), ...Object.keys(now)])]
    .filter((name) => recorded[name] !== now[name])
    .map((name) => `${name} was ${String(recorded[name])} and is ${String(now[name])}`)
}

const refuseOtherLog = Effect.fnUntraced(function*(
  { partition, position: { offset }, recordHash: expected }: Checkpoint,
  range: PartitionRange
): Effect.fn.Return<void, PipelineRefused | LogError | OffsetOutOfRange, EventLog> {
  if (range.start > offset) {
    return yield* new PipelineRefused({
      reason: "log_trimmed",
      message: `Partition ${partition} must go on at offset ${offset}, but the log begins at ${range.start}: ` +
        `${
          range.start - offset
        } records were trimmed before they were processed. To go on without them: guardian log reset --to earliest. ` +
        `To have all that the log still holds processed alike: ${remedy}`
    })
  }
  if (range.end < offset) {
    return yield* new PipelineRefused({
      reason: "log_too_short",
      message: `Partition ${partition} was processed up to offset ${offset}, but the log ends at ${range.end}: ` +
        `records are gone, or this is another log. ${remedy}`
    })
  }
  if (range.start === offset || offset === 0) return
  const log = yield* EventLog
  const batch = yield* Stream.runHead(log.read(partition, (offset - 1) as Offset, { recordsMax: 1 }))
  const found = Option.filter(batch, (each) => each.offset(0) === offset - 1 && recordHash(each.value(0)) === expected)
  if (Option.isNone(found)) {
    return yield* new PipelineRefused({
      reason: "record_changed",
      message: `The record at offset ${
        offset - 1
      } of partition ${partition} is not the one that was processed. ${remedy}`
    })
  }
})
