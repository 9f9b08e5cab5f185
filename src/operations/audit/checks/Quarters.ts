/**
 * The quarters of an hour that days are merged from, with the sets of visitors and items in them, against a recomputation from the
 * accepted events and their sessions. A day is merged anew whenever one of its quarters changes, and shows then what the others hold.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import { isNoSmokeSql } from "../../smoke/SmokeVisitor.ts"
import { modestly } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"
import { flaggedSql } from "./FlaggedSessions.ts"
import type { Judgements } from "./FlaggedSessions.ts"
import type { Run } from "./KpiDays.ts"
import { amount, decidedDays, inRun, reporting, span } from "./KpiDays.ts"
import { repeatedSql } from "./LateRepeats.ts"

export const quarters: Check = {
  name: "quarters",
  promise: "The quarters of an hour from which days are merged hold what their events and sessions say",
  needsEvents: true,
  run: (context): Effect.Effect<CheckResult, WarehouseError, Warehouse> =>
    decidedDays(context, (run, judgements) =>
      Effect.map(
        Effect.forEach([eventsOf, lateOf, sessionsOf], (of) => compare(of(run, judgements), run)),
        together
      ))
}

/** What a table holds of each quarter and segment, and what it must hold. */
interface Comparison {
  readonly table: string
  /** Figures of one row, as SQL of text: what the table holds. */
  readonly stored: string
  /** Rows with quarter, segment, row (the same text), visitors and items (states). */
  readonly recomputed: string
  /** SQL of the states that the table holds; sets are compared by their members. */
  readonly visitors: string
  readonly items: string
  /** The text of a quarter in which nothing is. */
  readonly empty: string
}

const compare = Effect.fnUntraced(function*(
  { empty, items, recomputed, stored, table, visitors }: Comparison,
  run: Run
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const [from, to] = span(run)
  const compared = `
    SELECT '${table}' AS table, toString(quarter) AS quarter, segment,
      if(countIf(is_stored) = 0, ${empty}, anyIf(row, is_stored)) AS stored,
      if(countIf(NOT is_stored) = 0, ${empty}, anyIf(row, NOT is_stored)) AS recomputed,
      (uniqExactMergeIf(v, is_stored), uniqExactMergeIf(v, NOT is_stored), uniqExactMerge(v)) AS visitors,
      (uniqExactMergeIf(i, is_stored), uniqExactMergeIf(i, NOT is_stored), uniqExactMerge(i)) AS items,
      stored != recomputed OR visitors.1 != visitors.3 OR visitors.2 != visitors.3 OR items.1 != items.3 OR items.2 != items.3 AS differs
    FROM (
      SELECT true AS is_stored, quarter, toString(segment) AS segment, ${stored} AS row, ${visitors} AS v, ${items} AS i
      FROM ${table} FINAL WHERE quarter >= ${from} AND quarter < ${to} AND segment != ''
      UNION ALL
      SELECT false, quarter, segment, row, visitors, items FROM (${recomputed})
    ) WHERE ${inRun("quarter", run)} GROUP BY quarter, segment`
  const [sums] = yield* warehouse.query(
    `SELECT count() AS examined, countIf(differs) AS differences FROM (${compared}) ${modestly}`
  )
  const differences = Number(sums!["differences"])
  const sample = differences === 0 ? [] : yield* warehouse.query(
    `SELECT table, quarter, segment, stored, recomputed, visitors AS visitors_stored_recomputed_both, items AS items_stored_recomputed_both
     FROM (${compared}) WHERE differs ORDER BY quarter, segment LIMIT ${differencesShownMax} ${modestly}`
  )
  return { examined: Number(sums!["examined"]), differences, sample }
})

const quarterOf = (column: string): string => `toStartOfFifteenMinutes(toDateTime(${column}, 'UTC')) AS quarter`
const segment = "if(flagged, 'flagged', 'clean') AS segment"
const noVisitors = "arrayReduce('uniqExactState', emptyArrayUInt64())"
const noItems = "arrayReduce('uniqExactState', emptyArrayString())"

const eventsOf = (run: Run, judgements: Judgements): Comparison => {
  const [from, to] = span(run)
  return {
    table: "event_quarters",
    empty: "toString((0, 0, 0, '0', map(), 0, 0))",
    visitors: "visitors",
    items: "items_seen",
    stored:
      `toString((events, clicks, purchases, toString(revenue), mapSort(mapFilter((k, x) -> x != 0, revenue_by_currency)), amended_events,
      if(empty(items), 0, cityHash64(arraySort(arrayMap(i -> (
        i.item_id, i.category, i.events, i.clicks, i.purchases, toString(i.revenue), cityHash64(arraySort(i.visitors))), items))))))`,
    recomputed: `
      SELECT quarter, segment, toString((sum(n), sum(c), sum(p), toString(sum(worth)), mapSort(mapFilter((k, x) -> x != 0, sumMap(others))), sum(amended),
          if(countIf(item_id != '' OR category != '') = 0, 0, cityHash64(arraySort(groupArrayIf(
            (item_id, category, n, c, p, toString(worth), cityHash64(arraySort(who))), item_id != '' OR category != ''))))
        )) AS row, uniqExactArrayState(who) AS visitors, uniqExactStateIf(item_id, item_id != '') AS items
      FROM (
        SELECT quarter, segment, item_id, category, count() AS n, countIf(event_type IN ('view', 'click')) AS c,
          countIf(event_type = 'purchase') AS p, sumIf(${amount}, event_type = 'purchase' AND ${reporting}) AS worth,
          sumMapIf(map(toString(currency), ${amount}), event_type = 'purchase' AND NOT ${reporting}) AS others,
          countIf(amendment_id != '') AS amended, groupUniqArray(sipHash64(visitor_id)) AS who
        FROM (
          SELECT ${quarterOf("event_ts")}, session_id IN (${flaggedSql(judgements, from, to)}) AS flagged, ${segment},
            visitor_id, item_id, toString(category) AS category, event_type, price, quantity, currency, amendment_id
          FROM events WHERE ${isNoSmokeSql} AND event_ts >= ${from} AND event_ts < ${to}
        ) GROUP BY quarter, segment, item_id, category
      ) GROUP BY quarter, segment`
  }
}

/** A late event has no session of its own: only a person's word on its visitor flags it. */
const lateOf = (run: Run, { visitors }: Judgements): Comparison => {
  const [from, to] = span(run)
  const during = `event_ts >= ${from} AND event_ts < ${to}`
  return {
    table: "event_quarters",
    empty: "toString((0, '0', 0))",
    visitors: noVisitors,
    items: noItems,
    stored: "toString((late_events, toString(late_revenue), late_repeats))",
    recomputed: `
      SELECT quarter, segment, toString((countIf(NOT repeats),
          toString(sumIf(${amount}, NOT repeats AND event_type = 'purchase' AND ${reporting})), countIf(repeats))) AS row,
        ${noVisitors} AS visitors, ${noItems} AS items
      FROM (
        SELECT ${quarterOf("event_ts")}, has([${
      visitors.bots.join(",")
    }]::Array(String), visitor_id) AS flagged, ${segment},
          event_type, price, quantity, currency, (partition, offset) IN (${repeatedSql(during)}) AS repeats
        FROM late_events FINAL WHERE ${isNoSmokeSql} AND ${during}
      ) GROUP BY quarter, segment`
  }
}

const sessionsOf = (run: Run, judgements: Judgements): Comparison => {
  const [from, to] = span(run)
  const figures =
    "sessions, purchase_sessions, duration_ms, session_clicks, bounces, view_sessions, multi_view_sessions, cart_sessions"
  return {
    table: "session_quarters",
    empty: "toString((0, 0, 0, 0, 0, 0, 0, 0, CAST([], 'Array(String)')))",
    visitors: noVisitors,
    items: noItems,
    stored: `toString((${figures}, arraySort(flagged.session_id)))`,
    recomputed: `
      SELECT quarter, segment, toString((count(), countIf(purchases > 0), toUInt64(sum(ended_ms - started_ms)), sum(clicks), countIf(events = 1),
          countIf(clicks > 0), countIf(clicks > 1), countIf(carts > 0), arraySort(groupArrayIf(session_id, flagged)))) AS row,
        ${noVisitors} AS visitors, ${noItems} AS items
      FROM (
        SELECT ${quarterOf("started_at")}, session_id, session_id IN (${
      flaggedSql(judgements, from, to)
    }) AS flagged, ${segment},
          toUnixTimestamp64Milli(started_at) AS started_ms, toUnixTimestamp64Milli(ended_at) AS ended_ms, events, clicks, carts, purchases
        FROM sessions WHERE ${isNoSmokeSql} AND started_at >= ${from} AND started_at < ${to}
      ) GROUP BY quarter, segment`
  }
}
