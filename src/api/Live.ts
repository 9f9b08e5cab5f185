/** What a live page shows: made once a second for all who watch. */
import { Clock, Context, Effect, Layer, Schedule, Stream } from "effect"
import { ApiSources } from "./ApiSources.ts"
import type { Anomaly } from "./contract/AnomaliesGroup.ts"
import type { LiveState } from "./contract/OperationsGroup.ts"
import { Unavailable } from "./contract/Problems.ts"
import type { TookTooLong } from "./contract/Problems.ts"
import { FreshData, freshness } from "./FreshData.ts"
import { anomalyColumns } from "./handlers/AnomaliesHandlers.ts"
import { outcomesOf, partitionProgress, totalLag } from "./Progress.ts"
import { ask } from "./Question.ts"

/** How many may watch at a time. */
export const watchersMax = 64
const every = "1 second"
/** A day before the newest window: findings are partitioned by month. */
const newestSql = `SELECT ${anomalyColumns} FROM anomalies
WHERE window_start >= (SELECT max(window_start) FROM findings_raw) - INTERVAL 1 DAY
ORDER BY window_start DESC, rule DESC, visitor_id DESC LIMIT 10`

type State = typeof LiveState.Type

export class Live extends Context.Service<Live, {
  /** States for ever; refused when too many watch. A second without an answer of the warehouse is left out. */
  readonly watch: Effect.Effect<Stream.Stream<State>, Unavailable | TookTooLong>
}>()("guardian/api/Live") {
  static readonly layer: Layer.Layer<Live, never, ApiSources | FreshData> = Layer.effect(
    Live,
    Effect.gen(function*() {
      const context = yield* Effect.context<ApiSources | FreshData>()
      const state = yield* Effect.cachedWithTTL(Effect.provideContext(current, context), "900 millis")
      let watchers = 0
      const place = Effect.acquireRelease(
        Effect.sync(() => {
          watchers++
        }),
        () =>
          Effect.sync(() => {
            watchers--
          })
      )
      const states = Stream.fromEffectSchedule(Effect.option(state), Schedule.spaced(every)).pipe(
        Stream.filter((found) => found._tag === "Some"),
        Stream.map((found) => found.value)
      )
      return Live.of({
        watch: Effect.gen(function*() {
          if (watchers >= watchersMax) {
            return yield* new Unavailable({ detail: `${watchersMax} clients watch already; that is the most.` })
          }
          // Whether there is anything to watch is told by a problem, not by a stream that breaks off.
          yield* state
          return Stream.unwrap(Effect.as(place, states))
        })
      })
    })
  )
}

const current: Effect.Effect<State, Unavailable | TookTooLong, ApiSources | FreshData> = Effect.gen(function*() {
  const at = yield* Clock.currentTimeMillis
  const progress = yield* FreshData.use((data) => data.progress)
  const partitions = yield* partitionProgress
  return {
    at: new Date(at).toISOString(),
    outcomes: outcomesOf(progress),
    partitions,
    lag: totalLag(partitions),
    newest_findings: yield* ask<typeof Anomaly.Type>(newestSql),
    freshness: yield* freshness
  }
})
