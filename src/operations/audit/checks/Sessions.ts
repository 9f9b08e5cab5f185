/**
 * Sessions, recomputed from events: window functions over each visitor's events in time order, cut where neighbours are further
 * apart than the gap. The ids that events were stored under are not looked at; an id follows from its opening event.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, Slice } from "../AuditContext.ts"
import { below, modestly, time, visitorsOf } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"
import { withoutInFlux } from "../InFlux.ts"
import { sessionEventsSql } from "../SliceEvents.ts"

export const sessions: Check = {
  name: "sessions",
  promise: "Every session is what its visitor's accepted events make it, and there are no others",
  run: (context) => Effect.map(Effect.forEach(context.slices, (slice) => ofSlice(context, slice)), together)
}

const ofSlice = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const events = yield* sessionEventsSql(
    context,
    slice,
    "visitor_id, partition, offset, event_id, event_type, item_id, price, quantity, currency, url, referrer, user_agent"
  )
  const compared = `
    SELECT session_id, countIf(is_stored) AS stored_rows, countIf(NOT is_stored) AS recomputed_rows,
      anyIf(state, is_stored) AS stored, anyIf(state, NOT is_stored) AS recomputed
    FROM (SELECT session_id, true AS is_stored, ${state} FROM (${storedSql(context, slice)})
      UNION ALL SELECT session_id, false AS is_stored, ${state} FROM (${recomputedSql(context, slice, events)}))
    GROUP BY session_id`
  const [total] = yield* warehouse.query(
    `SELECT count() AS examined, countIf(${differs}) AS differences,
       groupArrayIf(${idsCheckedMax})(session_id, ${differs}) AS ids FROM (${compared}) ${modestly}`
  )
  const examined = Number(total!["examined"])
  const differing = yield* withoutInFlux(context, "sessions_raw", "session_id", total!["ids"] as ReadonlyArray<string>)
  const settled = (total!["ids"] as ReadonlyArray<string>).length - differing.length
  const differences = Number(total!["differences"]) - settled
  if (differences === 0) return { examined, differences, sample: [] }
  const sample = yield* warehouse.query(
    `SELECT * FROM (${compared}) WHERE session_id IN {ids:Array(String)} ORDER BY session_id ${modestly}`,
    { ids: differing.slice(0, differencesShownMax) }
  )
  return { examined, differences, sample: sample.map(differenceOf) }
})

/** So many differing sessions are looked at again: see `withoutInFlux`. */
const idsCheckedMax = 10_000

const differs = "stored_rows != 1 OR recomputed_rows != 1 OR stored != recomputed"

/** All that a session row says, but its id. */
const columns = [
  ["visitor_id", "String"],
  ["started_ms", "Int64"],
  ["ended_ms", "Int64"],
  ["events", "UInt64"],
  ["clicks", "UInt64"],
  ["carts", "UInt64"],
  ["purchases", "UInt64"],
  ["unique_items", "UInt64"],
  ["revenue", "Decimal(38, 4)"],
  ["revenue_by_currency", "Array(Tuple(String, Decimal(38, 4)))"],
  ["entry_url", "String"],
  ["exit_url", "String"],
  ["first_referrer", "String"],
  ["user_agent", "String"],
  ["partition", "UInt16"],
  ["version", "UInt64"]
] as const

const state = `CAST(tuple(${columns.map(([name]) => name).join(", ")}), 'Tuple(${
  columns.map(([name, type]) => `${name} ${type}`).join(", ").replaceAll("'", "\\'")
})') AS state`

/** Living sessions that no record at or above the checkpoint has changed. */
const storedSql = (context: AuditContext, slice: Slice): string => `
  SELECT session_id, visitor_id, toUnixTimestamp64Milli(started_at) AS started_ms, toUnixTimestamp64Milli(ended_at) AS ended_ms,
    events, clicks, carts, purchases, unique_items, revenue,
    arraySort(arrayZip(mapKeys(revenue_by_currency), mapValues(revenue_by_currency))) AS revenue_by_currency,
    entry_url, exit_url, first_referrer, user_agent, partition, version
  FROM sessions_raw FINAL
  WHERE started_at >= ${time(slice.from)} AND started_at < ${time(slice.to)} AND ${visitorsOf(slice)}
    AND merged_into = '' AND version <= ${below(context)}`

const recomputedSql = (context: AuditContext, slice: Slice, events: string): string => {
  const { gapMs, reportingCurrency } = context.settings
  const isForeign = `event_type = 'purchase' AND currency NOT IN ('', '${reportingCurrency}')`
  const amount = "toDecimal128(price, 4) * quantity"
  return `
  SELECT
    concat(
      lower(leftPad(hex(toUInt64(opening.3)), 12, '0')),
      lower(substring(hex(SHA256(concat(visitor_id, char(31), opening.2, char(31), toString(opening.3)))), 1, 20))
    ) AS session_id,
    argMin((offset, event_id, ts), offset) AS opening,
    visitor_id, min(ts) AS started_ms, max(ts) AS ended_ms,
    count() AS events, countIf(event_type = 'view' OR event_type = 'click') AS clicks, countIf(event_type = 'add_to_cart') AS carts,
    countIf(event_type = 'purchase') AS purchases, uniqExactIf(item_id, item_id != '') AS unique_items,
    sumIf(${amount}, event_type = 'purchase' AND NOT (${isForeign})) AS revenue,
    groupArrayIf((toString(currency), ${amount}), ${isForeign}) AS foreign_amounts,
    arrayMap(
      code -> (code, arrayReduce('sum', arrayMap(pair -> pair.2, arrayFilter(pair -> pair.1 = code, foreign_amounts)))),
      arraySort(arrayDistinct(arrayMap(pair -> pair.1, foreign_amounts)))
    ) AS revenue_by_currency,
    argMin(url, (ts, offset)) AS entry_url, argMax(url, (ts, offset)) AS exit_url,
    argMin(referrer, (ts, offset)) AS first_referrer, argMin(user_agent, (ts, offset)) AS user_agent,
    any(partition) AS partition, max(offset) + 1 AS version
  FROM (
    SELECT *, sum(begins) OVER (PARTITION BY visitor_id ORDER BY ts, offset ROWS UNBOUNDED PRECEDING) AS run
    FROM (
      SELECT *, ts - lagInFrame(ts, 1, toInt64(-1000000000000000)) OVER (
        PARTITION BY visitor_id ORDER BY ts, offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) > ${gapMs} AS begins
      FROM (${events})
    )
  )
  GROUP BY visitor_id, run
  HAVING started_ms >= ${slice.from} AND started_ms < ${slice.to}`
}

const differenceOf = (row: Readonly<Record<string, unknown>>) => ({
  session_id: row["session_id"],
  stored: Number(row["stored_rows"]) === 0 ? null : row["stored"],
  recomputed: Number(row["recomputed_rows"]) === 0 ? null : row["recomputed"]
})
