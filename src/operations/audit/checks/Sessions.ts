/**
 * Sessions, recomputed from events: window functions over each visitor's events in time order, cut where neighbours are further
 * apart than the gap. The ids that events were stored under are not looked at; an id follows from its opening event.
 *
 * Texts are compared by their hashes first, which is several times cheaper to sort; what differs is looked at again in full.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, Slice } from "../AuditContext.ts"
import { below, modestly, time, visitorsOf } from "../AuditContext.ts"
import type { Check, CheckResult, Difference } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"
import { settled, withoutInFlux } from "../InFlux.ts"
import { sessionEventsSql } from "../SliceEvents.ts"

export const sessions: Check = {
  name: "sessions",
  promise: "Every session is what its visitor's accepted events make it, and there are no others",
  needsEvents: true,
  run: (context) => Effect.map(Effect.forEach(context.slices, (slice) => ofSlice(context, slice)), together)
}

const ofSlice = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const [total] = yield* (yield* Warehouse).query(
    `SELECT count() AS examined, countIf(${differs}) AS differences,
       groupArrayIf(${context.recheckedMax})((session_id, hex(visitor)), ${differs}) AS found
     FROM (${yield* comparedSql(context, slice, hashed)}) ${modestly}`
  )
  const found = new Map(total!["found"] as ReadonlyArray<readonly [id: string, visitor: string]>)
  const ids = yield* withoutInFlux(context, "sessions_raw", [...found.keys()])
  const shown = ids.toSorted().slice(0, differencesShownMax)
  return {
    examined: Number(total!["examined"]),
    differences: Number(total!["differences"]) - (found.size - ids.length),
    sample: yield* inFull(context, slice, shown, shown.map((id) => found.get(id)!))
  }
})

const differs = "stored_rows != 1 OR recomputed_rows != 1 OR stored != recomputed"

/** How texts are carried: themselves, or only enough to tell them apart. */
interface Texts {
  readonly of: (column: string) => string
  readonly visitorOf: (column: string) => string
  /** All columns of a session as one value. */
  readonly state: string
}

/** All that a session row says, but its id. */
const columns = [
  ["visitor", "String"],
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

const names = columns.map(([name]) => name).join(", ")
const types = columns.map(([name, type]) => `${name === "visitor" ? "visitor_id" : name} ${type}`).join(", ")

const hashed: Texts = {
  of: (column) => `sipHash64(${column})`,
  visitorOf: (column) => `sipHash128(${column})`,
  state: `sipHash64(${
    columns.map(([name, type]) => type.startsWith("UInt64") ? `toUInt64(${name})` : name).join(", ")
  })`
}

const whole: Texts = {
  of: (column) => column,
  visitorOf: (column) => column,
  state: `CAST(tuple(${names}), 'Tuple(${types})')`
}

const comparedSql = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice,
  texts: Texts,
  only = "1"
): Effect.fn.Return<string, WarehouseError, Warehouse> {
  const events = yield* sessionEventsSql(context, slice, eventColumns(context, texts), only)
  return `
    SELECT session_id, any(visitor) AS visitor, countIf(is_stored) AS stored_rows, countIf(NOT is_stored) AS recomputed_rows,
      anyIf(state, is_stored) AS stored, anyIf(state, NOT is_stored) AS recomputed
    FROM (SELECT session_id, true AS is_stored, visitor, ${texts.state} AS state FROM (${
    storedSql(context, slice, texts, only)
  })
      UNION ALL SELECT session_id, false AS is_stored, visitor, ${texts.state} AS state FROM (${
    recomputedSql(context, slice, events)
  }))
    WHERE ${settled(context, "sessions_raw", "session_id")}
    GROUP BY session_id`
})

/** The differing sessions of some visitors, with all they say. */
const inFull = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice,
  ids: ReadonlyArray<string>,
  visitors: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<Difference>, WarehouseError, Warehouse> {
  if (ids.length === 0) return []
  const only = `sipHash128(visitor_id) IN (${visitors.map((hash) => `unhex('${hash}')`).join(", ")})`
  const rows = yield* (yield* Warehouse).query(
    `SELECT * FROM (${yield* comparedSql(context, slice, whole, only)})
     WHERE session_id IN {ids:Array(String)} ORDER BY session_id ${modestly}`,
    { ids }
  )
  return rows.map((row) => ({
    session_id: row["session_id"],
    stored: Number(row["stored_rows"]) === 0 ? null : row["stored"],
    recomputed: Number(row["recomputed_rows"]) === 0 ? null : row["recomputed"]
  }))
})

/** Living sessions that no record at or above the checkpoint has changed. */
const storedSql = (context: AuditContext, slice: Slice, texts: Texts, only: string): string => `
  SELECT session_id, ${texts.visitorOf("visitor_id")} AS visitor, toUnixTimestamp64Milli(started_at) AS started_ms,
    toUnixTimestamp64Milli(ended_at) AS ended_ms, events, clicks, carts, purchases, unique_items, revenue,
    arraySort(arrayZip(mapKeys(revenue_by_currency), mapValues(revenue_by_currency)))::Array(Tuple(String, Decimal(38, 4)))
      AS revenue_by_currency,
    ${texts.of("entry_url")} AS entry_url, ${texts.of("exit_url")} AS exit_url,
    ${texts.of("first_referrer")} AS first_referrer, ${texts.of("user_agent")} AS user_agent, partition, version
  FROM (
    SELECT * FROM sessions_raw FINAL
    WHERE started_at >= ${time(slice.from)} AND started_at < ${time(slice.to)} AND ${visitorsOf(slice)} AND ${only}
      AND merged_into = '' AND version <= ${below(context)}
  )`

/** Everything of an event that a session needs, of fixed size where it can be. `place` orders events of a visitor. */
const eventColumns = ({ settings }: AuditContext, texts: Texts): string => {
  const amount = "toDecimal128(price, 4) * quantity"
  const isForeign = `event_type = 'purchase' AND currency NOT IN ('', '${settings.reportingCurrency}')`
  return `${texts.visitorOf("visitor_id")} AS visitor, partition, offset,
    bitShiftLeft(toUInt128(ts), 64) + offset AS place,
    toFixedString(substring(SHA256(concat(visitor_id, char(31), event_id, char(31), toString(ts))), 1, 10), 10) AS id_hash,
    event_type = 'view' OR event_type = 'click' AS is_click, event_type = 'add_to_cart' AS is_cart,
    event_type = 'purchase' AS is_purchase, sipHash64(item_id) AS item, item_id != '' AS has_item,
    ${isForeign} AS is_foreign, currency, if(is_purchase, ${amount}, toDecimal128(0, 4)) AS amount,
    ${texts.of("url")} AS page, ${texts.of("referrer")} AS came_from, ${texts.of("user_agent")} AS agent`
}

const recomputedSql = ({ settings: { gapMs } }: AuditContext, slice: Slice, events: string): string => `
  SELECT
    lower(concat(leftPad(hex(toUInt64(bitShiftRight(argMin(place, offset), 64))), 12, '0'), hex(argMin(id_hash, offset))))
      AS session_id,
    visitor, min(ts) AS started_ms, max(ts) AS ended_ms,
    count() AS events, countIf(is_click) AS clicks, countIf(is_cart) AS carts, countIf(is_purchase) AS purchases,
    uniqExactIf(item, has_item) AS unique_items, sumIf(amount, NOT is_foreign) AS revenue,
    groupArrayIf((toString(currency), amount), is_foreign) AS foreign_amounts,
    arrayMap(
      code -> (code, arrayReduce('sum', arrayMap(pair -> pair.2, arrayFilter(pair -> pair.1 = code, foreign_amounts)))),
      arraySort(arrayDistinct(arrayMap(pair -> pair.1, foreign_amounts)))
    )::Array(Tuple(String, Decimal(38, 4))) AS revenue_by_currency,
    argMin(page, place) AS entry_url, argMax(page, place) AS exit_url,
    argMin(came_from, place) AS first_referrer, argMin(agent, place) AS user_agent,
    any(log_partition) AS partition, max(offset) + 1 AS version
  FROM (
    SELECT *, partition AS log_partition,
      sum(begins) OVER (PARTITION BY visitor ORDER BY place ROWS UNBOUNDED PRECEDING) AS run
    FROM (
      SELECT *, ts - lagInFrame(ts, 1, toInt64(-1000000000000000)) OVER (
        PARTITION BY visitor ORDER BY place ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) > ${gapMs} AS begins
      FROM (${events})
    )
  )
  GROUP BY visitor, run
  HAVING started_ms >= ${slice.from} AND started_ms < ${slice.to}`
