/**
 * Hours, items and categories of each day and segment, as analysts see them, against a ranking made anew from the accepted events.
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
import { amount, dateOf, decidedDays, inRun, reporting, span } from "./KpiDays.ts"

export const rankings: Check = {
  name: "rankings",
  promise: "The hours, items and categories of each day are those of its events, with bots and without",
  needsEvents: true,
  run: (context): Effect.Effect<CheckResult, WarehouseError, Warehouse> =>
    decidedDays(context, (run, judgements) =>
      Effect.map(
        Effect.forEach(
          [hoursSql, itemsSql, categoriesSql],
          (sql) => compare(sql(run, eventsSql(run, judgements)), run)
        ),
        together
      ), areRanked)
}

/** Rankings follow some seconds behind the figures of their day. */
const areRanked = `day NOT IN (
  SELECT metric_date FROM (SELECT metric_date, from_events FROM daily_metrics_raw FINAL WHERE segment = 'all') AS d
  LEFT JOIN (SELECT metric_date, from_events FROM popular_raw FINAL WHERE segment = 'all') AS p USING metric_date
  WHERE d.from_events != p.from_events)`

/** Rows that a view shows and those that it must show. */
interface Comparison {
  readonly view: string
  /** What names a row, beside its day and segment; all of it is text. */
  readonly key: string
  readonly stored: string
  readonly recomputed: string
}

/** A row is compared whole; one that is missing is an empty text. */
const compare = Effect.fnUntraced(function*(
  { key, recomputed, stored, view }: Comparison,
  { dates }: Run
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const days = `metric_date IN (${dates.map((date) => `toDate('${date}')`).join(", ")})`
  const joined = `
    (SELECT toString(metric_date) AS date, toString(segment) AS segment, ${key} AS name, ${stored} AS row FROM ${view} WHERE ${days}) AS s
    FULL JOIN (${recomputed}) AS r ON s.date = r.date AND s.segment = r.segment AND s.name = r.name`
  const [sums] = yield* warehouse.query(
    `SELECT count() AS examined, countIf(s.row != r.row) AS differences FROM ${joined} ${modestly}`
  )
  const differences = Number(sums!["differences"])
  const sample = differences === 0 ? [] : yield* warehouse.query(
    `SELECT '${view}' AS view, if(s.date = '', r.date, s.date) AS metric_date, if(s.date = '', r.segment, s.segment) AS segment,
       if(s.date = '', r.name, s.name) AS ${
      view === "hourly_traffic" ? "hour_start" : "rank"
    }, s.row AS stored, r.row AS recomputed
     FROM ${joined} WHERE s.row != r.row ORDER BY metric_date, segment, length(name), name LIMIT ${differencesShownMax} ${modestly}`
  )
  return { examined: Number(sums!["examined"]), differences, sample }
})

/** Events of the days, once in "all" and once in "clean" or "flagged". */
const eventsSql = (run: Run, judgements: Judgements): string => {
  const [from, to] = span(run)
  return `
    SELECT date, segment, event_ts, visitor_id, item_id, category, event_type IN ('view', 'click') AS is_click,
      event_type = 'purchase' AS is_purchase, if(is_purchase AND ${reporting}, ${amount}, toDecimal128(0, 4)) AS worth
    FROM (
      SELECT ${
    dateOf("event_ts", run)
  }, event_ts, visitor_id, item_id, toString(category) AS category, event_type, price, quantity, currency,
        session_id IN (${flaggedSql(judgements, from, to)}) AS flagged
      FROM events WHERE ${isNoSmokeSql} AND event_ts >= ${from} AND event_ts < ${to} AND ${inRun("event_ts", run)}
    ) ARRAY JOIN if(flagged, ['all', 'flagged'], ['all', 'clean']) AS segment`
}

const counts =
  "countIf(is_click) AS clicks, countIf(is_purchase) AS purchases, uniqExact(visitor_id) AS visitors, sum(worth) AS revenue"

const hoursSql = ({ zone }: Run, events: string): Comparison => ({
  view: "hourly_traffic",
  key: "toString(hour_start)",
  stored: "toString((clicks, purchases, unique_visitors, toString(revenue)))",
  recomputed: `
    SELECT date, segment, name, toString((clicks, purchases, visitors, toString(revenue))) AS row
    FROM (
      SELECT date, segment, toString(toDateTime(toStartOfHour(event_ts, ${zone}), 'UTC'), 'UTC') AS name, ${counts}
      FROM (${events}) GROUP BY date, segment, name
    )`
})

/** Ranked rows of one kind of name. */
const rankedSql = (name: string, more: string, events: string): string => `
  SELECT date, segment, toString(rank) AS name, toString((title, more, clicks, purchases, visitors, toString(revenue))) AS row
  FROM (
    SELECT *, row_number() OVER (PARTITION BY date, segment ORDER BY revenue DESC, clicks DESC, title) AS rank
    FROM (
      SELECT date, segment, ${name} AS title, ${more} AS more, ${counts}
      FROM (${events}) WHERE ${name} != '' GROUP BY date, segment, title
    )
  ) WHERE rank <= 1000`

const categoryCounts = "sumMapIf(map(category, toUInt64(1)), category != '')"

/** The most frequent one, of equals the first by its letters; events without one do not count. */
const categoryOf = `arraySort((c, n) -> (-toInt64(n), c), mapKeys(${categoryCounts}), mapValues(${categoryCounts}))[1]`

const itemsSql = (_: Run, events: string): Comparison => ({
  view: "popular_items",
  key: "toString(rank)",
  stored: "toString((item_id, category, clicks, purchases, unique_visitors, toString(revenue)))",
  recomputed: rankedSql("item_id", categoryOf, events)
})

const categoriesSql = (_: Run, events: string): Comparison => ({
  view: "popular_categories",
  key: "toString(rank)",
  stored: "toString((category, '', clicks, purchases, unique_visitors, toString(revenue)))",
  recomputed: rankedSql("category", "''", events)
})
