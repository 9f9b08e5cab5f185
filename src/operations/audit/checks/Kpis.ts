/**
 * The KPIs of each day and segment against a recomputation from the accepted events: quarters, states, plans and flags of the
 * materialized views have no part in it. Days that are final must agree at any time; the others only when the views say that they
 * have taken in everything, which they cannot while events come in.
 */
import { Effect } from "effect"
import { kpiBacklog } from "../../../warehouse/KpiBacklog.ts"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext } from "../AuditContext.ts"
import { modestly } from "../AuditContext.ts"
import type { Check, CheckResult, Difference } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"
import { flaggedSql, readJudgements } from "./FlaggedSessions.ts"
import type { Judgements } from "./FlaggedSessions.ts"

export const kpis: Check = {
  name: "kpis",
  promise: "The KPIs of each day that is decided are those of its events and sessions, with bots and without",
  run: Effect.fnUntraced(function*(context): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
    const judgements = yield* readJudgements
    const isIdle = Object.keys(yield* kpiBacklog).length === 0
    const days = yield* daysOf(context, isIdle)
    return together(yield* Effect.forEach(days, (day) => ofDay(day, judgements)))
  })
}

interface Day {
  readonly date: string
  /** SQL of its first instant and of the first one after it. */
  readonly from: string
  readonly to: string
}

/** The days of the reporting zone to look at: those with figures and those with events, final ones only unless all is taken in. */
const daysOf = Effect.fnUntraced(function*(
  { scope }: AuditContext,
  isIdle: boolean
): Effect.fn.Return<ReadonlyArray<Day>, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const [zone] = yield* warehouse.query(
    `SELECT if(count() = 0, 'UTC', argMax(value, version)) AS time_zone FROM reporting_settings WHERE name = 'time_zone'`
  )
  const name = `'${String(zone!["time_zone"])}'`
  const only = scope === "all" ? "1" : `date = toDate('${new Date(scope.dayStart).toISOString().slice(0, 10)}')`
  const rows = yield* warehouse.query(
    `SELECT DISTINCT toString(date) AS date FROM (
       SELECT metric_date AS date FROM daily_metrics ${isIdle ? "" : "WHERE status = 'final'"}
       ${isIdle ? `UNION ALL SELECT toDate(event_ts, ${name}) AS date FROM events_raw` : ""}
     ) WHERE ${only} ORDER BY date ${modestly}`
  )
  return rows.map((row) => {
    const date = String(row["date"])
    return {
      date,
      from: `toDateTime64('${date} 00:00:00', 3, ${name})`,
      to: `toDateTime64(toDate('${date}') + 1, 3, ${name})`
    }
  })
})

const ofDay = Effect.fnUntraced(function*(
  day: Day,
  judgements: Judgements
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const [events, sessions, late, stored] = yield* Effect.all([
    warehouse.query(eventsSql(day, judgements)),
    warehouse.query(sessionsSql(day, judgements)),
    warehouse.query(lateSql(day, judgements)),
    warehouse.query(storedSql(day))
  ])
  const differences: Array<Difference> = []
  for (const segment of ["all", "clean", "flagged"]) {
    const rowOf = (rows: ReadonlyArray<Difference>) => rows.find((row) => row["segment"] === segment) ?? {}
    const expected: Difference = { ...rowOf(events), ...rowOf(sessions), ...rowOf(late) }
    const found = rowOf(stored)
    for (const figure of figures) {
      const [is, must] = [found[figure] ?? "0", expected[figure] ?? "0"].map((value) => JSON.stringify(value))
      if (isSame(is!, must!)) continue
      differences.push({ metric_date: day.date, segment, figure, stored: is, recomputed: must })
    }
  }
  return {
    examined: 3 * figures.length,
    differences: differences.length,
    sample: differences.slice(0, differencesShownMax)
  }
})

const figures = [
  "total_clicks",
  "total_purchases",
  "unique_visitors",
  "unique_items",
  "total_revenue",
  "revenue_by_currency",
  "sessions",
  "purchase_sessions",
  "duration_ms",
  "session_clicks",
  "bounces",
  "view_sessions",
  "multi_view_sessions",
  "cart_sessions",
  "late_events",
  "late_revenue"
] as const

/** Text of numbers: "0.0000" is "0", and no map is an empty one. */
const isSame = (a: string, b: string): boolean => plain(a) === plain(b)
const plain = (text: string): string => text === "{}" ? "0" : text.replaceAll(/\.0+"/g, '"').replaceAll('"', "")

const amount = "toDecimal128(price, 4) * quantity"
const reporting =
  "currency IN ('', (SELECT if(count() = 0, 'USD', argMax(value, version)) FROM reporting_settings WHERE name = 'currency'))"

/** Rows of a day with the segments that they count in. */
const bySegment = "ARRAY JOIN if(flagged, ['all', 'flagged'], ['all', 'clean']) AS segment"

const eventsSql = ({ from, to }: Day, judgements: Judgements): string => `
SELECT segment, toString(countIf(event_type IN ('view', 'click'))) AS total_clicks,
  toString(countIf(event_type = 'purchase')) AS total_purchases, toString(uniqExact(visitor_id)) AS unique_visitors,
  toString(uniqExactIf(item_id, item_id != '')) AS unique_items,
  toString(sumIf(${amount}, event_type = 'purchase' AND ${reporting})) AS total_revenue,
  sumMapIf(map(toString(currency), ${amount}), event_type = 'purchase' AND NOT ${reporting}) AS revenue_by_currency
FROM (
  SELECT visitor_id, item_id, event_type, price, quantity, currency,
    session_id IN (${flaggedSql(judgements, from, to)}) AS flagged
  FROM events WHERE event_ts >= ${from} AND event_ts < ${to}
) ${bySegment} GROUP BY segment ${modestly}`

const sessionsSql = ({ from, to }: Day, judgements: Judgements): string => `
SELECT segment, toString(count()) AS sessions, toString(countIf(purchases > 0)) AS purchase_sessions,
  toString(sum(ended_ms - started_ms)) AS duration_ms, toString(sum(clicks)) AS session_clicks,
  toString(countIf(events = 1)) AS bounces, toString(countIf(clicks > 0)) AS view_sessions,
  toString(countIf(clicks > 1)) AS multi_view_sessions, toString(countIf(carts > 0)) AS cart_sessions
FROM (
  SELECT toUnixTimestamp64Milli(started_at) AS started_ms, toUnixTimestamp64Milli(ended_at) AS ended_ms, events, clicks,
    carts, purchases, session_id IN (${flaggedSql(judgements, from, to)}) AS flagged
  FROM sessions WHERE started_at >= ${from} AND started_at < ${to}
) ${bySegment} GROUP BY segment ${modestly}`

/** A late event has no session: only a person's word on its visitor flags it. */
const lateSql = ({ from, to }: Day, { visitors }: Judgements): string => `
SELECT segment, toString(count()) AS late_events,
  toString(sumIf(${amount}, event_type = 'purchase' AND ${reporting})) AS late_revenue
FROM (
  SELECT event_type, price, quantity, currency, has([${visitors.bots.join(",")}]::Array(String), visitor_id) AS flagged
  FROM late_events FINAL WHERE event_ts >= ${from} AND event_ts < ${to}
) ${bySegment} GROUP BY segment ${modestly}`

const storedSql = ({ date }: Day): string => `
SELECT segment, ${
  figures.map((figure) => figure === "revenue_by_currency" ? figure : `toString(${figure}) AS ${figure}`).join(", ")
}
FROM (SELECT segment, ${
  figures.join(", ")
} FROM daily_metrics_raw FINAL WHERE metric_date = toDate('${date}')) ${modestly}`
