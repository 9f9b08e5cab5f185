/**
 * The settings that decide results. One database belongs to one set of them: they are recorded with each checkpoint and a
 * difference is refused. Where the process runs, its ports and its pace are not here: they may change freely.
 */
import { Schema } from "effect"

const Duration = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 * 86_400_000 }))
const Threshold = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))

export const CoreSettings = Schema.Struct({
  /** Neighbours of a session are at most this far apart, in ms; exactly this far stays in. */
  gapMs: Duration,
  /** A record is late when event_ts < watermark - this, in ms. */
  latenessMs: Duration,
  /** A record is rejected when event_ts > append time + this, in ms. */
  futureMaxMs: Duration,
  /** ISO 4217. `revenue` sums this currency and purchases without one; others are kept beside it. */
  reportingCurrency: Schema.String.check(Schema.isPattern(/^[A-Z]{3}$/)),
  /** HIGH_FREQUENCY: more clicks than this in one tumbling window of `highFrequencyWindowMs`. */
  highFrequencyClicks: Threshold,
  highFrequencyWindowMs: Duration,
  /** BOT_LIKE: more clicks than this in a window of `botLikeWindowMs` sliding by `botLikeSlideMs`, and too few items. */
  botLikeClicks: Threshold,
  botLikeWindowMs: Duration,
  botLikeSlideMs: Duration,
  /** BOT_LIKE: unique items / clicks must be below this. */
  botLikeDiversity: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
}).check(
  Schema.makeFilter((settings) =>
    settings.botLikeWindowMs % settings.botLikeSlideMs === 0 || "botLikeWindowMs must be a multiple of botLikeSlideMs"
  )
)
export type CoreSettings = typeof CoreSettings.Type

export const defaultCoreSettings: CoreSettings = {
  gapMs: 30 * 60_000,
  latenessMs: 10 * 60_000,
  futureMaxMs: 5 * 60_000,
  reportingCurrency: "USD",
  highFrequencyClicks: 50,
  highFrequencyWindowMs: 10_000,
  botLikeClicks: 50,
  botLikeWindowMs: 60_000,
  botLikeSlideMs: 30_000,
  botLikeDiversity: 0.1
}

/** How figures are reported. A time zone may change at any time: days are merged again. */
export const ReportingSettings = Schema.Struct({
  /** IANA: days begin and end at its midnights, and may have 23 or 25 hours. */
  timeZone: Schema.String.check(
    Schema.makeFilter((zone) => isTimeZone(zone) || `"${zone}" is no IANA time zone such as Europe/Berlin`)
  )
})
export type ReportingSettings = typeof ReportingSettings.Type

export const defaultReportingSettings: ReportingSettings = { timeZone: "UTC" }

const isTimeZone = (zone: string): boolean => {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== ""
  } catch {
    return false
  }
}

/** The earliest event_ts that is accepted: 2000-01-01T00:00:00Z. */
export const eventTsMin = 946_684_800_000

/** Bumped when the core's results change for the same log: part of what a database belongs to. */
export const coreVersion = 2

/** How far behind `watermark - lateness` an event can still matter: ids, sessions and rule windows all fit in this, in ms. */
export const horizonMs = (settings: CoreSettings): number => Math.max(settings.gapMs, longestWindowMs(settings))

/** The longest rule window, ms. */
export const longestWindowMs = (settings: CoreSettings): number =>
  Math.max(settings.highFrequencyWindowMs, settings.botLikeWindowMs)
