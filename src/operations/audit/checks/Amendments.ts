/**
 * What persons folded in: the late events against the records they came from, the sessions that hold them against a recomputation
 * from accepted and late events, and the history against both. What no change counts (it died before its row) is not looked at.
 *
 * Accepted events near an amended session are decided for all time, so the checkpoint at the audit's beginning plays no part.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext } from "../AuditContext.ts"
import { dayMs, decidableFrom, modestly, time } from "../AuditContext.ts"
import type { Check, CheckResult, Difference } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"
import { repeatedSql } from "./LateRepeats.ts"

export const amendments: Check = {
  name: "amendments",
  promise:
    "What amendments fold in is what came too late, each once, in the sessions that it makes, and the history adds up",
  needsEvents: true,
  run: Effect.fnUntraced(function*(context): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
    return together([
      yield* compared(eventsSql(context)),
      yield* sessionsCheck(context),
      yield* compared(historySql),
      yield* compared(countedSql),
      yield* compared(reopenedSql)
    ])
  })
}

/** A query gives a row for each thing looked at, with `why` it is wrong, or nothing. */
const compared = Effect.fnUntraced(function*(
  sql: string
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const [total] = yield* warehouse.query(
    `SELECT count() AS examined, countIf(why != '') AS differences FROM (${sql}) ${modestly}`
  )
  const differences = Number(total!["differences"])
  const sample: ReadonlyArray<Difference> = differences === 0 ? [] : yield* warehouse.query(
    `SELECT * FROM (${sql}) WHERE why != '' ORDER BY ALL LIMIT ${differencesShownMax} ${modestly}`
  )
  return { examined: Number(total!["examined"]), differences, sample }
})

const counted = "change_id IN (SELECT change_id FROM amendments)"

/** The newest state of each late event that a change has touched. */
const heldSql = (columns: string): string =>
  `SELECT ${columns} FROM amended_events FINAL WHERE ${counted} ORDER BY version DESC LIMIT 1 BY partition, offset`

const inScope = ({ scope }: AuditContext, column: string): string =>
  scope === "all" ?
    "1" :
    `(${column} >= ${time(scope.dayStart)} AND ${column} < ${time(scope.dayStart + dayMs)})`

const sameColumns = [
  "event_id",
  "visitor_id",
  "event_ts",
  "event_type",
  "item_id",
  "category",
  "price",
  "currency",
  "quantity",
  "appended_at"
]

const eventsSql = (context: AuditContext): string => {
  const texts = ["url", "referrer", "user_agent"]
  return `
  SELECT h.partition AS partition, h.offset AS offset, h.event_id AS event_id, h.amendment_id AS amendment_id,
    multiIf(
      l.original = '', 'no such record came too late',
      ${sameColumns.map((column) => `h.${column} != l.${column}`).join(" OR ")}, 'it is not what came too late',
      ${texts.map((text) => `position(l.original, h.${text}) = 0`).join(" OR ")}, 'its record does not say so',
      h.standing AND (h.partition, h.offset) IN (${repeatedSql("1")}), 'it only repeats a record before it',
      h.standing AND a.reverted, 'its amendment was reverted',
      NOT h.standing AND NOT a.reverted, 'it was taken out, but its amendment holds',
      a.id = '', 'there is no such amendment',
      ''
    ) AS why
  FROM (${heldSql(`${[...sameColumns, ...texts].join(", ")}, partition, offset, amendment_id, standing`)}) AS h
  LEFT JOIN (
    SELECT partition, offset, original, ${sameColumns.join(", ")} FROM late_events FINAL
    WHERE (partition, offset) IN (SELECT partition, offset FROM amended_events)
  ) AS l ON h.partition = l.partition AND h.offset = l.offset
  LEFT JOIN (
    SELECT amendment_id AS id, countIf(action = 'revert') > 0 AS reverted
    FROM amendments FINAL GROUP BY id
  ) AS a ON h.amendment_id = a.id
  WHERE ${inScope(context, "h.event_ts")}`
}

/** Each change against the events it wrote. */
const historySql = `
  SELECT a.amendment_id AS amendment_id, a.action AS action, toString(a.events) AS told, toString(w.events) AS written,
    multiIf(
      a.events != w.events, 'it tells of another number of events',
      a.revenue != w.revenue, 'it tells of other money',
      a.author = '', 'nobody made it',
      a.action = 'revert' AND a.amendment_id NOT IN (SELECT amendment_id FROM amendments WHERE action = 'amend'),
        'it takes back what never was',
      ''
    ) AS why
  FROM (SELECT * FROM amendments FINAL) AS a
  LEFT JOIN (
    SELECT change_id, amendment_id, standing, count() AS events, sumIf(
      toDecimal128(price, 4) * quantity,
      event_type = 'purchase' AND currency IN ('', (SELECT argMax(JSONExtractString(settings, 'reportingCurrency'), offset) FROM checkpoints))
    ) AS revenue
    FROM amended_events FINAL GROUP BY change_id, amendment_id, standing
  ) AS w ON w.change_id = a.change_id AND w.amendment_id = a.amendment_id AND w.standing = (a.action = 'amend')`

/** Each change that ever counted: without its row in the history it would look like one that died. */
const countedSql = `
  SELECT amendment_id, toString(action) AS action, change_id,
    if(change_id IN (SELECT change_id FROM amendments), '', 'it counted once, and its row in the history is gone') AS why
  FROM counted_changes FINAL`

/** A day that says it was reopened names a word or a change of a person. */
const reopenedSql = `
  SELECT toString(metric_date) AS metric_date, reopened_by,
    if((reopened_at, reopened_by) IN (
      SELECT set_at, author FROM verdicts UNION ALL SELECT made_at, author FROM amendments
    ), '', 'nobody reopened it then') AS why
  FROM daily_metrics_raw FINAL WHERE segment = 'all' AND reopened_at > toDateTime64(0, 3, 'UTC')`

const sessionsCheck = Effect.fnUntraced(function*(
  context: AuditContext
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const { gapMs } = context.settings
  const [late] = yield* warehouse.query(
    `SELECT count() AS events, toUnixTimestamp64Milli(min(event_ts)) AS first, toUnixTimestamp64Milli(max(event_ts)) AS last
     FROM amended_events WHERE ${counted}`
  )
  if (Number(late!["events"]) === 0) return { examined: 0, differences: 0, sample: [] }
  const [reach] = yield* warehouse.query(
    `SELECT least(toUnixTimestamp64Milli(min(started_at)), ${Number(late!["first"])}) AS first,
       greatest(toUnixTimestamp64Milli(max(ended_at)), ${Number(late!["last"])}) AS last
     FROM sessions_raw FINAL
     WHERE merged_into = '' AND visitor_id IN (SELECT visitor_id FROM amended_events)
       AND started_at <= ${time(Number(late!["last"]) + gapMs)} AND ended_at >= ${time(Number(late!["first"]) - gapMs)}`
  )
  const first = Number(reach!["first"]) > 0 ? Number(reach!["first"]) : Number(late!["first"])
  return yield* compared(sessionsSql(context, { first, last: Number(reach!["last"]) }))
})

const state =
  "(visitor_id, started_ms, ended_ms, events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, " +
  "entry_url, exit_url, first_referrer, user_agent, log_partition, late_events, replaces)"

const sessionsSql = (
  context: AuditContext,
  { first, last }: { readonly first: number; readonly last: number }
): string => {
  const started = `${inScope(context, "fromUnixTimestamp64Milli(started_ms, 'UTC')")} AND started_ms >= ${
    decidableFrom(context)
  }`
  return `
  SELECT if(s.session_id = '', r.session_id, s.session_id) AS session_id, toString(s.state) AS stored, toString(r.state) AS recomputed,
    multiIf(
      s.session_id = '', 'there is no such amended session',
      r.session_id = '', 'no late events make it',
      s.state != r.state, 'it is not what its events make it',
      r.strays > 0, 'some of its late events are said to be in another',
      ''
    ) AS why
  FROM (
    SELECT session_id, CAST(${state}, '${stateType}') AS state FROM (
      SELECT *, toUnixTimestamp64Milli(started_at) AS started_ms, toUnixTimestamp64Milli(ended_at) AS ended_ms, partition AS log_partition
      FROM amended_sessions FINAL WHERE ${counted} ORDER BY version DESC LIMIT 1 BY session_id
    ) WHERE standing AND ${started}
  ) AS s
  FULL JOIN (
    SELECT session_id, CAST(${state}, '${stateType}') AS state, strays FROM (${
    recomputedSql(context, first, last)
  }) WHERE ${started}
  ) AS r ON s.session_id = r.session_id`
}

const stateType =
  "Tuple(String, Int64, Int64, UInt64, UInt64, UInt64, UInt64, UInt64, Decimal(38, 4), Map(String, Decimal(38, 4)), " +
  "String, String, String, String, UInt16, UInt64, Array(String))"

/** Runs of accepted and late events of the visitors concerned; those with a late one in them. */
const recomputedSql = (
  { settings: { gapMs, reportingCurrency } }: AuditContext,
  first: number,
  last: number
): string => {
  const names =
    "visitor_id, event_ts, event_id, event_type, item_id, price, currency, quantity, url, referrer, user_agent, partition, offset"
  const held = `SELECT * FROM (${heldSql(`${names}, session_id, standing, version`)}) WHERE standing`
  const amount = "toDecimal128(price, 4) * quantity"
  return `
  SELECT
    if(empty(accepted_ids), lower(concat(
      leftPad(hex(toUInt64(opening.1)), 12, '0'), substring(hex(SHA256(concat(visitor_id, char(31), opening.2, char(31), toString(opening.1)))), 1, 20)
    )), accepted_ids[1]) AS session_id,
    visitor_id, started_ms, ended_ms, events, clicks, carts, purchases, unique_items, revenue, revenue_by_currency, entry_url, exit_url,
    first_referrer, user_agent, log_partition, late_events, accepted_ids AS replaces, arrayCount(id -> id != session_id, late_ids) AS strays
  FROM (
    SELECT visitor_id, min(ts) AS started_ms, max(ts) AS ended_ms, count() AS events, countIf(event_type IN ('view', 'click')) AS clicks,
      countIf(event_type = 'add_to_cart') AS carts, countIf(event_type = 'purchase') AS purchases,
      uniqExactIf(item_id, item_id != '') AS unique_items,
      sumIf(${amount}, event_type = 'purchase' AND currency IN ('', '${reportingCurrency}')) AS revenue,
      sumMapIf(map(toString(currency), ${amount}), event_type = 'purchase' AND currency NOT IN ('', '${reportingCurrency}'))
        AS revenue_by_currency,
      argMin(url, (ts, offset)) AS entry_url, argMax(url, (ts, offset)) AS exit_url, argMin(referrer, (ts, offset)) AS first_referrer,
      argMin(user_agent, (ts, offset)) AS user_agent, any(partition) AS log_partition, countIf(is_late) AS late_events,
      arraySort(groupUniqArrayIf(counts_in, NOT is_late)) AS accepted_ids, groupArrayIf(counts_in, is_late) AS late_ids,
      argMin((ts, event_id), offset) AS opening
    FROM (
      SELECT *, sum(begins) OVER (PARTITION BY visitor_id ORDER BY ts, offset ROWS UNBOUNDED PRECEDING) AS run FROM (
        SELECT *, ts - lagInFrame(ts, 1, toInt64(-1000000000000000)) OVER (
          PARTITION BY visitor_id ORDER BY ts, offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) > ${gapMs} AS begins
        FROM (
          SELECT ${names}, toUnixTimestamp64Milli(event_ts) AS ts, false AS is_late, if(a.session_id = '', e.session_id, a.session_id) AS counts_in
          FROM (
            SELECT ${names}, session_id FROM events_raw FINAL
            WHERE visitor_id IN (SELECT visitor_id FROM (${held})) AND event_ts >= ${time(first)} AND event_ts <= ${
    time(last)
  }
          ) AS e
          LEFT JOIN (SELECT absorbed_id, session_id FROM session_aliases FINAL) AS a ON e.session_id = a.absorbed_id
          UNION ALL
          SELECT ${names}, toUnixTimestamp64Milli(event_ts) AS ts, true AS is_late, session_id AS counts_in FROM (${held})
        )
      )
    )
    GROUP BY visitor_id, run HAVING late_events > 0
  )`
}
