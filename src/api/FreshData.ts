/** How far the data reaches: asked at most once a second, or every five, for all requests together. */
import { Clock, Context, Effect, Layer } from "effect"
import { ApiSources } from "./ApiSources.ts"
import type { TookTooLong, Unavailable } from "./contract/Problems.ts"
import { ask } from "./Question.ts"

/** A partition's newest checkpoint. */
export interface Progress {
  readonly partition: number
  readonly next_offset: number
  readonly watermark_ms: number
  readonly counters: Readonly<Record<string, number>>
}

export interface FreshnessValue {
  readonly watermark: string | null
  readonly newest_event: string | null
  readonly age_seconds: number | null
}

/** How long an answer about progress is taken for new. */
const keptFor = "1 second"
const backlogKeptFor = "5 seconds"

export class FreshData extends Context.Service<FreshData, {
  readonly progress: Effect.Effect<ReadonlyArray<Progress>, Unavailable | TookTooLong>
  /** The newest day with figures, if there is one. */
  readonly newestDay: Effect.Effect<string | undefined, Unavailable | TookTooLong>
  /** What the KPIs have yet to take in, by stage. It costs ClickHouse much, and pages ask for it again and again. */
  readonly backlog: Effect.Effect<Readonly<Record<string, number>>, Unavailable | TookTooLong>
}>()("guardian/api/FreshData") {
  static readonly layer: Layer.Layer<FreshData, never, ApiSources> = Layer.effect(
    FreshData,
    Effect.gen(function*() {
      const sources = yield* ApiSources
      const asked = <Row>(sql: string) => Effect.provideService(ask<Row>(sql), ApiSources, sources)
      const newestDay = Effect.map(
        asked<{ readonly day: string; readonly days: number }>(newestDaySql),
        ([newest]) => newest === undefined || newest.days === 0 ? undefined : newest.day
      )
      const backlog = Effect.map(
        asked<{ readonly stage: string; readonly waiting: number }>(backlogSql),
        (rows) => Object.fromEntries(rows.map(({ stage, waiting }) => [stage, waiting]))
      )
      return FreshData.of({
        progress: yield* Effect.cachedWithTTL(asked<Progress>(progressSql), keptFor),
        newestDay: yield* Effect.cachedWithTTL(newestDay, keptFor),
        backlog: yield* Effect.cachedWithTTL(backlog, backlogKeptFor)
      })
    })
  )
}

const newestDaySql =
  "SELECT toString(max(metric_date)) AS day, count() AS days FROM daily_metrics_raw WHERE segment = 'all'"

const backlogSql = "SELECT stage, waiting FROM kpi_backlog WHERE waiting > 0"

const progressSql = `
SELECT partition, offset AS next_offset, watermark_ms, CAST(counters, 'Map(String, UInt64)') AS counters
FROM newest_checkpoints ORDER BY partition`

/** What every answer carries. A partition without an event yet does not hold the watermark back: quiet ones have none. */
export const freshness: Effect.Effect<FreshnessValue, Unavailable | TookTooLong, FreshData> = Effect.gen(function*() {
  const marks = (yield* FreshData.use(({ progress }) => progress)).map(({ watermark_ms }) => watermark_ms)
    .filter((mark) => mark > -8.64e15)
  if (marks.length === 0) return { watermark: null, newest_event: null, age_seconds: null }
  const now = yield* Clock.currentTimeMillis
  const watermark = Math.min(...marks)
  return {
    watermark: new Date(watermark).toISOString(),
    newest_event: new Date(Math.max(...marks)).toISOString(),
    age_seconds: (now - watermark) / 1_000
  }
})
