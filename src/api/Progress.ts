/** Records by outcome and lag, from the checkpoints and the log. */
import { Effect } from "effect"
import { ApiSources } from "./ApiSources.ts"
import { Unavailable } from "./contract/Problems.ts"
import { FreshData } from "./FreshData.ts"
import type { Progress } from "./FreshData.ts"

export interface OutcomeSums {
  readonly received: number
  readonly accepted: number
  readonly duplicate: number
  readonly late: number
  readonly rejected: number
  readonly dead_lettered: number
}

export const outcomesOf = (partitions: ReadonlyArray<Progress>): OutcomeSums => {
  const sum = (name: string): number => partitions.reduce((total, { counters }) => total + (counters[name] ?? 0), 0)
  return {
    received: sum("received"),
    accepted: sum("accepted"),
    duplicate: sum("duplicate"),
    late: sum("late"),
    rejected: sum("rejected"),
    dead_lettered: sum("deadLettered") + sum("dead_lettered")
  }
}

/** Each partition of the log with how far it is processed; those without a checkpoint yet too. */
export const partitionProgress = Effect.gen(function*() {
  const progress = yield* FreshData.use((data) => data.progress)
  const ranges = yield* ApiSources.use(({ logRanges }) => logRanges).pipe(
    Effect.catchTag("LogError", (error) =>
      Effect.andThen(
        Effect.logWarning(`the log does not say how long it is: ${error.message}`),
        Effect.fail(new Unavailable({ detail: "The log does not answer. Try again in some seconds." }))
      ))
  )
  const known = new Map(progress.map((each) => [each.partition, each]))
  const numbers = ranges === undefined ? progress.map(({ partition }) => partition) : [...ranges.keys()]
  return numbers.map((partition) => {
    const stored = known.get(partition)
    const range = ranges?.[partition]
    const nextOffset = stored?.next_offset ?? range?.start ?? 0
    return {
      partition,
      next_offset: nextOffset,
      log_end: range?.end ?? null,
      lag: range === undefined ? null : Math.max(0, range.end - nextOffset),
      watermark: stored === undefined || stored.watermark_ms < -8.64e15 ?
        null :
        new Date(stored.watermark_ms).toISOString(),
      outcomes: outcomesOf(stored === undefined ? [] : [stored])
    }
  })
})

/** Records that wait in the log; null where it is not at hand. */
export const totalLag = (partitions: ReadonlyArray<{ readonly lag: number | null }>): number | null =>
  partitions.some(({ lag }) => lag === null) ? null : partitions.reduce((sum, { lag }) => sum + lag!, 0)
