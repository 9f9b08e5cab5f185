/**
 * The KPIs of each day and segment against a recomputation from the accepted events: quarters, states, plans and flags of the
 * materialized views have no part in it. Days that are final must agree at any time; the others only when the views say that they
 * have taken in everything, which they cannot while events come in.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import { isNoSmokeSql } from "../../smoke/SmokeVisitor.ts"
import { modestly } from "../AuditContext.ts"
import type { Check, CheckResult, Difference } from "../Check.ts"
import { differencesShownMax } from "../Check.ts"
import { flaggedSql } from "./FlaggedSessions.ts"
import type { Judgements } from "./FlaggedSessions.ts"
import type { Run } from "./KpiDays.ts"
import { amount, bySegment, dateOf, decidedDays, reporting, span } from "./KpiDays.ts"
import { repeatedSql } from "./LateRepeats.ts"

export const kpis: Check = {
  name: "kpis",
  promise: "The KPIs of each day that is decided are those of its events and sessions, with bots and without",
  needsEvents: true,
  run: (context): Effect.Effect<CheckResult, WarehouseError, Warehouse> => decidedDays(context, ofRun)
}

const ofRun = Effect.fnUntraced(function*(
  run: Run,
  judgements: Judgements
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const [stored, ...parts] = yield* Effect.all([
    warehouse.query(storedSql(run)),
    warehouse.query(eventsSql(run, judgements)),
    warehouse.query(sessionsSql(run, judgements)),
    warehouse.query(lateSql(run, judgements))
  ])
  const keyOf = (row: Difference) => `${String(row["date"])} ${String(row["segment"])}`
  const found = new Map(stored.map((row) => [keyOf(row), row]))
  const recomputed = new Map<string, Difference>()
  for (const row of parts.flat()) recomputed.set(keyOf(row), { ...recomputed.get(keyOf(row)), ...row })
  const differences: Array<Difference> = []
  for (const metric_date of run.dates) {
    for (const segment of ["all", "clean", "flagged"]) {
      for (const figure of figures) {
        const [is, must] = [found, recomputed].map((rows) =>
          JSON.stringify(rows.get(`${metric_date} ${segment}`)?.[figure] ?? "0")
        )
        if (!isSame(is!, must!)) differences.push({ metric_date, segment, figure, stored: is, recomputed: must })
      }
    }
  }
  return {
    examined: run.dates.length * 3 * figures.length,
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
  "late_revenue",
  "late_repeat",
  "amended_events"
] as const

/** Text of numbers: "0.0000" is "0", and no map is an empty one. */
const isSame = (a: string, b: string): boolean => plain(a) === plain(b)
const plain = (text: string): string => text === "{}" ? "0" : text.replaceAll(/\.0+"/g, '"').replaceAll('"', "")

const eventsSql = (run: Run, judgements: Judgements): string => {
  const [from, to] = span(run)
  return `
SELECT date, segment, toString(countIf(event_type IN ('view', 'click'))) AS total_clicks,
  toString(countIf(event_type = 'purchase')) AS total_purchases, toString(uniqExact(visitor_id)) AS unique_visitors,
  toString(uniqExactIf(item_id, item_id != '')) AS unique_items,
  toString(sumIf(${amount}, event_type = 'purchase' AND ${reporting})) AS total_revenue,
  sumMapIf(map(toString(currency), ${amount}), event_type = 'purchase' AND NOT ${reporting}) AS revenue_by_currency,
  toString(countIf(amendment_id != '')) AS amended_events
FROM (
  SELECT ${dateOf("event_ts", run)}, amendment_id, visitor_id, item_id, event_type, price, quantity, currency,
    session_id IN (${flaggedSql(judgements, from, to)}) AS flagged
  FROM events WHERE ${isNoSmokeSql} AND event_ts >= ${from} AND event_ts < ${to}
) ${bySegment} ${modestly}`
}

const sessionsSql = (run: Run, judgements: Judgements): string => {
  const [from, to] = span(run)
  return `
SELECT date, segment, toString(count()) AS sessions, toString(countIf(purchases > 0)) AS purchase_sessions,
  toString(sum(ended_ms - started_ms)) AS duration_ms, toString(sum(clicks)) AS session_clicks,
  toString(countIf(events = 1)) AS bounces, toString(countIf(clicks > 0)) AS view_sessions,
  toString(countIf(clicks > 1)) AS multi_view_sessions, toString(countIf(carts > 0)) AS cart_sessions
FROM (
  SELECT ${dateOf("started_at", run)}, toUnixTimestamp64Milli(started_at) AS started_ms,
    toUnixTimestamp64Milli(ended_at) AS ended_ms, events, clicks, carts, purchases,
    session_id IN (${flaggedSql(judgements, from, to)}) AS flagged
  FROM sessions WHERE ${isNoSmokeSql} AND started_at >= ${from} AND started_at < ${to}
) ${bySegment} ${modestly}`
}

/** A late event has no session of its own: only a person's word on its visitor flags it. */
const lateSql = (run: Run, { visitors }: Judgements): string => {
  const [from, to] = span(run)
  const during = `event_ts >= ${from} AND event_ts < ${to}`
  return `
SELECT date, segment, toString(countIf(NOT repeats)) AS late_events, toString(countIf(repeats)) AS late_repeat,
  toString(sumIf(${amount}, NOT repeats AND event_type = 'purchase' AND ${reporting})) AS late_revenue
FROM (
  SELECT ${dateOf("event_ts", run)}, event_type, price, quantity, currency,
    has([${visitors.bots.join(",")}]::Array(String), visitor_id) AS flagged,
    (partition, offset) IN (${repeatedSql(during)}) AS repeats
  FROM late_events FINAL WHERE ${isNoSmokeSql} AND ${during}
) ${bySegment} ${modestly}`
}

const storedSql = ({ dates }: Run): string => `
SELECT toString(metric_date) AS date, segment, ${
  figures.map((figure) => figure === "revenue_by_currency" ? figure : `toString(${figure}) AS ${figure}`).join(", ")
}
FROM (
  SELECT metric_date, segment, ${figures.join(", ")} FROM daily_metrics_raw FINAL
  WHERE metric_date >= toDate('${dates[0]}') AND metric_date <= toDate('${dates.at(-1)}')
) ${modestly}`
