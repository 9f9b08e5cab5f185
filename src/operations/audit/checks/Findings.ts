/**
 * Findings, recomputed from accepted clicks: windows by arithmetic on their times, the verdict after every click by running
 * counts in offset order. So also the record at which a verdict last became true, and verdicts that were withdrawn.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, Slice } from "../AuditContext.ts"
import { below, modestly, time, visitorsOf } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"
import { settled, withoutInFlux } from "../InFlux.ts"
import { eventsSql } from "../SliceEvents.ts"

export const findings: Check = {
  name: "findings",
  promise: "Every finding is what its visitor's accepted clicks make it, and there are no others",
  needsEvents: true,
  run: (context) => Effect.map(Effect.forEach(context.slices, (slice) => ofSlice(context, slice)), together)
}

const ofSlice = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const rows = yield* warehouse.query(`
    SELECT finding_id, countIf(is_stored) AS stored_rows, countIf(NOT is_stored) AS recomputed_rows,
      anyIf(state, is_stored) AS stored, anyIf(state, NOT is_stored) AS recomputed,
      sum(count()) OVER () AS examined
    FROM (SELECT finding_id, true AS is_stored, ${state} FROM (${storedSql(context, slice)})
      UNION ALL SELECT finding_id, false AS is_stored, ${state} FROM (${recomputedSql(context, slice)}))
    WHERE ${settled(context, "findings_raw", "finding_id")}
    GROUP BY finding_id
    ORDER BY (stored_rows != 1 OR recomputed_rows != 1 OR stored != recomputed) DESC, finding_id
    LIMIT ${context.recheckedMax} ${modestly}`)
  const differing = rows.filter((row) =>
    Number(row["stored_rows"]) !== 1 || Number(row["recomputed_rows"]) !== 1 ||
    JSON.stringify(row["stored"]) !== JSON.stringify(row["recomputed"])
  )
  const ids = yield* withoutInFlux(
    context,
    "findings_raw",
    differing.map((row) => String(row["finding_id"]))
  )
  const kept = new Set(ids)
  return {
    examined: Number(rows[0]?.["examined"] ?? 0),
    differences: kept.size,
    sample: differing.filter((row) => kept.has(String(row["finding_id"]))).slice(0, differencesShownMax).map((
      row
    ) => ({
      finding_id: row["finding_id"],
      stored: Number(row["stored_rows"]) === 0 ? null : row["stored"],
      recomputed: Number(row["recomputed_rows"]) === 0 ? null : row["recomputed"]
    }))
  }
})

/** All that a finding's row says, but its id. */
const columns = [
  ["rule", "String"],
  ["visitor_id", "String"],
  ["session_id", "String"],
  ["start_ms", "Int64"],
  ["end_ms", "Int64"],
  ["clicks", "UInt64"],
  ["unique_items", "UInt64"],
  ["score", "Float64"],
  ["found_at_offset", "UInt64"],
  ["appended_ms", "Int64"],
  ["withdrawn", "UInt8"],
  ["partition", "UInt16"],
  ["version", "UInt64"]
] as const

const state = `CAST(tuple(${columns.map(([name]) => name).join(", ")}), 'Tuple(${
  columns.map(([name, type]) => `${name} ${type}`).join(", ")
})') AS state`

const storedSql = (context: AuditContext, slice: Slice): string => `
  SELECT finding_id, rule, visitor_id, session_id, toUnixTimestamp64Milli(window_start) AS start_ms,
    toUnixTimestamp64Milli(window_end) AS end_ms, clicks, unique_items, score, found_at_offset,
    toUnixTimestamp64Milli(appended_at) AS appended_ms, withdrawn, partition, version
  FROM findings_raw FINAL
  WHERE window_start >= ${time(slice.from)} AND window_start < ${time(slice.to)} AND ${visitorsOf(slice)}
    AND version <= ${below(context)}`

/** A rule as DESIGN.md 4.4 states it; the pipeline's own rules are not asked. */
interface StatedRule {
  readonly rule: string
  readonly windowMs: number
  readonly slideMs: number
  readonly clicks: number
  /** Over `n` clicks with `u` unique items. */
  readonly stands: string
  readonly score: string
}

const statedRules = ({ settings }: AuditContext): ReadonlyArray<StatedRule> => [
  {
    rule: "HIGH_FREQUENCY",
    windowMs: settings.highFrequencyWindowMs,
    slideMs: settings.highFrequencyWindowMs,
    clicks: settings.highFrequencyClicks,
    stands: "1",
    score: `n / ${settings.highFrequencyClicks}`
  },
  {
    rule: "BOT_LIKE",
    windowMs: settings.botLikeWindowMs,
    slideMs: settings.botLikeSlideMs,
    clicks: settings.botLikeClicks,
    stands: `u / n < ${settings.botLikeDiversity}`,
    score: `(n / ${settings.botLikeClicks}) * (1 - u / n)`
  }
]

const recomputedSql = (context: AuditContext, slice: Slice): string =>
  statedRules(context).map((rule) => recomputedByRule(context, slice, rule)).join("\nUNION ALL\n")

/** Windows with few clicks go before anything is collected: most visitors have no other. */
const recomputedByRule = (context: AuditContext, slice: Slice, rule: StatedRule): string => {
  const windows = (columns: string): string => `
    SELECT ${columns}, arrayJoin(arrayFilter(
      w -> w + ${rule.windowMs} > ts AND w >= ${slice.from} AND w < ${slice.to},
      arrayMap(i -> intDiv(ts, ${rule.slideMs}) * ${rule.slideMs} - i * ${rule.slideMs},
        range(${Math.ceil(rule.windowMs / rule.slideMs)}))
    )) AS start_ms
    FROM (${eventsSql(context, slice, { from: slice.from, to: slice.to + rule.windowMs }, `${columns}, event_type`)})
    WHERE event_type = 'view' OR event_type = 'click'`
  const busy = `SELECT visitor_id, start_ms FROM (${windows("visitor_id")})
    GROUP BY visitor_id, start_ms HAVING count() > ${rule.clicks}`
  return `
  SELECT
    lower(substring(hex(SHA256(concat('${rule.rule}', char(31), visitor_id, char(31), toString(start_ms)))), 1, 20)) AS finding_id,
    '${rule.rule}' AS rule, visitor_id, in_order[-1].3 AS session_id, start_ms, start_ms + ${rule.windowMs} AS end_ms,
    length(in_order) AS n, uniques[-1] AS u, n AS clicks, u AS unique_items, ${rule.score} AS score,
    in_order[risen].1 AS found_at_offset, in_order[risen].4 AS appended_ms, NOT verdicts[-1] AS withdrawn, partition,
    in_order[-1].1 + 1 AS version
  FROM (
    SELECT visitor_id, start_ms, any(partition) AS partition,
      arraySort(groupArray((offset, item_id, session_id, toUnixTimestamp64Milli(appended_at)))) AS in_order,
      arrayCumSum(arrayMap(
        (item, nth) -> toUInt32(item != '' AND nth = 1),
        arrayMap(click -> click.2, in_order), arrayEnumerateUniq(arrayMap(click -> click.2, in_order))
      )) AS uniques,
      arrayMap((u, n) -> n > ${rule.clicks} AND (${rule.stands}), uniques, arrayEnumerate(uniques)) AS verdicts,
      arrayLastIndex((now, before) -> now AND NOT before, verdicts, arrayPushFront(arrayPopBack(verdicts), 0)) AS risen
    FROM (${windows("visitor_id, partition, offset, item_id, session_id, appended_at")})
    WHERE (visitor_id, start_ms) IN (${busy})
    GROUP BY visitor_id, start_ms
  )
  WHERE risen > 0`
}
