import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { rangeDaysMax } from "../contract/Fields.ts"
import { GuardianApi } from "../contract/GuardianApi.ts"
import type { DailyMetrics, FunnelStage, HourlyTraffic, PeriodFigures } from "../contract/MetricsGroup.ts"
import { BadParameters, NotFound } from "../contract/Problems.ts"
import { FreshData, freshness } from "../FreshData.ts"
import { ask } from "../Question.ts"
import { answerOne, answerRows } from "../RowAnswer.ts"

const columns = `metric_date, segment, total_clicks, total_purchases, unique_visitors, unique_items, total_revenue,
  CAST(revenue_by_currency, 'Map(String, String)') AS revenue_by_currency, avg_order_value, sessions, conversion_rate,
  avg_session_duration_sec, avg_clicks_per_session, bounce_rate, late_events, late_repeat, late_revenue, amended_events, status, open_sessions, verdicts,
  nullIf(reopened_at, toDateTime64(0, 3, 'UTC')) AS reopened_at, reopened_by, time_zone, refreshed_at`

const daySql = `SELECT ${columns} FROM daily_metrics WHERE metric_date = {date:Date} AND segment = {segment:String}`
const rangeSql = `SELECT ${columns} FROM daily_metrics
WHERE metric_date >= {from:Date} AND metric_date <= {to:Date} AND segment = {segment:String} ORDER BY metric_date`
const hoursSql = `SELECT metric_date, segment, hour_start, local_hour, clicks, purchases, unique_visitors, revenue
FROM hourly_traffic WHERE metric_date = {date:Date} AND segment = {segment:String} ORDER BY hour_start`
const funnelSql = `SELECT metric_date, segment, stage, session_count, percentage, drop_rate FROM session_funnel
WHERE metric_date = {date:Date} AND segment = {segment:String}
ORDER BY indexOf(['VIEW', 'MULTI_VIEW', 'ADD_TO_CART', 'PURCHASE'], stage)`

/** The newest day with figures. */
export const newestDay = FreshData.use(({ newestDay }) => newestDay)

interface DayStanding {
  readonly status: string
  readonly refreshed_at: string
}

/** As the view daily_metrics has it, at a third of its price. */
const standingSql = `SELECT status, refreshed_at FROM daily_metrics_raw FINAL
WHERE metric_date = {date:Date} AND segment = {segment:String} AND time_zone = (SELECT time_zone FROM reporting)`

/** What the figures of a final day stand on; undefined while they may still change by themselves. No such day: 404. */
export const finalDay = Effect.fnUntraced(function*(date: string, segment: string) {
  const [day] = yield* ask<DayStanding>(standingSql, { date, segment })
  if (day === undefined) return yield* noSuchDay(date)
  return day.status === "final" ? day.refreshed_at : undefined
})

const noSuchDay = (date: string) => new NotFound({ detail: `There are no figures of ${date}.` })

const dayMs = 86_400_000
const shifted = (day: string, days: number): string =>
  new Date(Date.parse(day) + days * dayMs).toISOString().slice(0, 10)

const daily = Effect.fnUntraced(function*(query: { from?: string; to?: string; segment: string }) {
  const to = query.to ?? (yield* newestDay) ?? "1970-01-01"
  const from = query.from ?? shifted(to < "1970-02-01" ? "1970-02-01" : to, -29)
  const days = (Date.parse(to) - Date.parse(from)) / dayMs + 1
  if (query.from !== undefined && days < 1) return yield* new BadParameters({ detail: "from must not be after to" })
  if (days > rangeDaysMax) {
    return yield* new BadParameters({ detail: `from and to span ${days} days; ${rangeDaysMax} is the most` })
  }
  return yield* answerRows<typeof DailyMetrics.Type>({
    sql: rangeSql,
    parameters: { from, to, segment: query.segment }
  })
})

/** Both periods in one reading, the newer one marked. */
const periodsSql = `
SELECT m.metric_date >= {from:Date} AS is_current, count() AS days_with_data, sum(total_clicks) AS total_clicks,
  sum(total_purchases) AS total_purchases, sum(total_revenue) AS total_revenue,
  if(total_purchases = 0, toDecimal128(0, 4), total_revenue / greatest(total_purchases, 1)) AS avg_order_value,
  sum(m.sessions) AS sessions, sum(m.purchase_sessions) / greatest(sum(m.sessions), 1) AS conversion_rate,
  sum(m.duration_ms) / 1000 / greatest(sum(m.sessions), 1) AS avg_session_duration_sec,
  sum(m.bounces) / greatest(sum(m.sessions), 1) AS bounce_rate, sum(m.late_events) AS late_events
FROM daily_metrics_raw AS m FINAL
WHERE m.time_zone = (SELECT time_zone FROM reporting) AND m.segment = {segment:String}
  AND m.metric_date >= {begin:Date} AND m.metric_date <= {to:Date}
GROUP BY is_current`

type Figures = Omit<typeof PeriodFigures.Type, "from" | "to">

const noFigures: Figures = {
  days_with_data: 0,
  total_clicks: 0,
  total_purchases: 0,
  total_revenue: "0",
  avg_order_value: "0",
  sessions: 0,
  conversion_rate: 0,
  avg_session_duration_sec: 0,
  bounce_rate: 0,
  late_events: 0
}

const summary = Effect.fnUntraced(function*({ days, segment }: { readonly days: number; readonly segment: string }) {
  const to = yield* newestDay
  if (to === undefined) return yield* new NotFound({ detail: "There are no figures yet." })
  const from = shifted(to, 1 - days)
  const [begin, end] = [shifted(from, -days), shifted(from, -1)]
  const rows = yield* ask<Figures & { readonly is_current: number }>(periodsSql, { begin, from, to, segment })
  const figuresOf = (isCurrent: number): Figures => {
    const { is_current: _, ...figures } = rows.find((row) => row.is_current === isCurrent) ??
      { ...noFigures, is_current: 0 }
    return figures
  }
  return {
    data: { current: { from, to, ...figuresOf(1) }, previous: { from: begin, to: end, ...figuresOf(0) } },
    freshness: yield* freshness
  }
})

export const MetricsHandlers = HttpApiBuilder.group(GuardianApi, "metrics", (handlers) =>
  handlers.handleAll({
    daily: ({ query }) => daily(query),
    day: Effect.fnUntraced(function*({ params: { date }, query: { segment } }) {
      const [day] = yield* ask<typeof DailyMetrics.Type>(daySql, { date, segment })
      if (day === undefined) return yield* noSuchDay(date)
      return yield* answerOne(day, day.status === "final" ? day.refreshed_at : undefined)
    }),
    hourly: Effect.fnUntraced(function*({ params, query: { segment } }) {
      const finalAs = yield* finalDay(params.date, segment)
      return yield* answerRows<typeof HourlyTraffic.Type>({
        sql: hoursSql,
        parameters: { ...params, segment },
        finalAs
      })
    }),
    funnel: Effect.fnUntraced(function*({ params, query: { segment } }) {
      const finalAs = yield* finalDay(params.date, segment)
      return yield* answerRows<typeof FunnelStage.Type>({ sql: funnelSql, parameters: { ...params, segment }, finalAs })
    }),
    summary: ({ query }) => summary(query)
  }))
