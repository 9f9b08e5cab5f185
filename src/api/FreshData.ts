/** How far the data reaches: read from the checkpoints, at most once a second for all requests together. */
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

export class FreshData extends Context.Service<FreshData, {
  readonly progress: Effect.Effect<ReadonlyArray<Progress>, Unavailable | TookTooLong>
}>()("guardian/api/FreshData") {
  static readonly layer: Layer.Layer<FreshData, never, ApiSources> = Layer.effect(
    FreshData,
    Effect.gen(function*() {
      const sources = yield* ApiSources
      const progress = yield* Effect.cachedWithTTL(
        Effect.provideService(ask<Progress>(progressSql), ApiSources, sources),
        keptFor
      )
      return FreshData.of({ progress })
    })
  )
}

const progressSql = `
SELECT partition, max(offset) AS next_offset, argMax(watermark_ms, c.offset) AS watermark_ms,
  CAST(argMax(counters, c.offset), 'Map(String, UInt64)') AS counters
FROM checkpoints AS c GROUP BY partition ORDER BY partition`

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
