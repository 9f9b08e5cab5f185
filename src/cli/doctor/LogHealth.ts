/** The log: whether it opens, what it holds, and whether its ends can be read. */
import { Effect, Result, Stream } from "effect"
import { existsSync } from "node:fs"
import type { Partition } from "../../domain/Identifiers.ts"
import type { PartitionRange } from "../../log/EventLog.ts"
import { EventLog } from "../../log/EventLog.ts"
import { readSection } from "../../log/LogSection.ts"
import { existingLogLayer, paths } from "../Installation.ts"
import { logKind } from "../LogChoice.ts"
import type { Check } from "./Check.ts"
import { checksOf } from "./Check.ts"

export interface LogFound {
  readonly logId: string
  readonly partitions: number
  readonly ranges: ReadonlyArray<PartitionRange>
}

const { fail, ok } = checksOf("log")

/** `found` is absent when there is no log or it cannot be opened. */
export const logHealth = (
  dataDirectory: string
): Effect.Effect<{ readonly found: LogFound | undefined; readonly checks: ReadonlyArray<Check> }> => {
  return Effect.gen(function*() {
    if ((yield* logKind) === "sqlite" && !existsSync(paths(dataDirectory).log)) {
      return { found: undefined, checks: [ok("opens", "there is none yet")] }
    }
    return yield* Effect.provide(opened, existingLogLayer(dataDirectory))
  }).pipe(
    Effect.catch((error) => Effect.succeed({ found: undefined, checks: [fail("opens", error.message)] }))
  )
}

const opened = Effect.gen(function*() {
  const { logId, partitions, ranges: asked } = yield* EventLog
  const ranges = yield* asked
  const checks = [
    ok("opens", `log ${logId}, ${partitions} partitions`),
    ok("holds", ranges.map(({ end, start }, partition) => `${partition}: ${start} to ${end}`).join(", ")),
    yield* readable(ranges)
  ]
  return { found: { logId, partitions, ranges }, checks }
})

/** First and last record of each partition: their stored checksums are compared when they are read. Not the records between. */
const readable = Effect.fnUntraced(function*(ranges: ReadonlyArray<PartitionRange>) {
  const read = Effect.forEach(
    ranges.flatMap(({ end, start }, number) => {
      const partition = number as Partition
      return start === end ? [] : [{ partition, from: start, to: start + 1 }, { partition, from: end - 1, to: end }]
    }),
    (section) => Stream.runDrain(readSection(section, 1)),
    { discard: true }
  )
  const outcome = yield* Effect.result(read)
  return Result.isSuccess(outcome) ?
    ok("reads", "oldest and newest batch of each partition, checksums as stored") :
    fail("reads", outcome.failure.message)
})
