/**
 * Outcomes, judged again in the order of the log: the watermark as a running maximum over accepted events and control records, and from it whether
 * each accepted, late or rejected record had to be that. Duplicates and dead letters leave no time to judge; they are counted.
 */
import { Effect } from "effect"
import { eventTsMin } from "../../../domain/Settings.ts"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, AuditedPartition, Offsets } from "../AuditContext.ts"
import { below, byPartition, chunksOf, dayMs, modestly, time } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"

export const outcomes: Check = {
  name: "outcomes",
  promise: "Every record was accepted, late or rejected as the watermark of its partition and its ids demand",
  needsEvents: true,
  run: Effect.fnUntraced(function*(context): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
    const range = yield* offsetsOfScope(context)
    const results: Array<CheckResult> = [yield* rejections(context)]
    let watermarks = yield* watermarksBelow(context, range.from)
    for (const chunk of chunksOf(range, context.partitions.length, context.sliceEventsMax)) {
      results.push(yield* ofChunk(context, chunk, watermarks))
      watermarks = yield* watermarksBelow(context, chunk.to, chunk.from, watermarks)
    }
    return together(results)
  })
}

/** By partition; the least safe integer before the first accepted event. */
type Watermarks = ReadonlyMap<number, number>

const inScope = ({ scope }: AuditContext, column: string): string =>
  scope === "all" ? "1" : `${column} >= ${time(scope.dayStart)} AND ${column} < ${time(scope.dayStart + dayMs)}`

const offsetsOfScope = Effect.fnUntraced(function*(
  context: AuditContext
): Effect.fn.Return<Offsets, WarehouseError, Warehouse> {
  const [row] = yield* (yield* Warehouse).query(
    ["events_raw", "late_events"].map((table) =>
      `SELECT min(offset) AS least, max(offset) + 1 AS end, count() AS records FROM ${table}
       WHERE offset < ${below(context)} AND ${inScope(context, "event_ts")}`
    ).join(" UNION ALL ").replace(
      /^/,
      "SELECT minIf(least, records > 0) AS begin, maxIf(end, records > 0) AS end FROM ("
    ) +
      `) ${modestly}`
  )
  return { from: Number(row!["begin"]), to: Number(row!["end"]) }
})

const watermarksBelow = Effect.fnUntraced(function*(
  context: AuditContext,
  offset: number,
  from = 0,
  known: Watermarks = new Map()
): Effect.fn.Return<Watermarks, WarehouseError, Warehouse> {
  const rows = yield* (yield* Warehouse).query(
    `SELECT partition, max(ms) AS watermark FROM (
       SELECT partition, offset, toUnixTimestamp64Milli(event_ts) AS ms FROM events_raw
       UNION ALL SELECT partition, offset, watermark_ms AS ms FROM control_records
     ) WHERE offset >= ${from} AND offset < ${offset} AND offset < ${below(context)} GROUP BY partition ${modestly}`
  )
  const watermarks = new Map(known)
  for (const row of rows) {
    const partition = Number(row["partition"])
    watermarks.set(partition, Math.max(watermarks.get(partition) ?? Number.MIN_SAFE_INTEGER, Number(row["watermark"])))
  }
  return watermarks
})

const ofChunk = Effect.fnUntraced(function*(
  context: AuditContext,
  chunk: Offsets,
  watermarks: Watermarks
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const [row] = yield* (yield* Warehouse).query(`
    SELECT count() AS examined, countIf(why != '') AS differences,
      groupArrayIf(${differencesShownMax})(tuple(partition, offset, outcome, why, ts, watermark, recorded_watermark), why != '') AS sample
    FROM (${judgedSql(context, chunk, watermarks)}) WHERE offset >= ${chunk.from} ${modestly}`)
  return {
    examined: Number(row!["examined"]),
    differences: Number(row!["differences"]),
    sample: (row!["sample"] as ReadonlyArray<ReadonlyArray<unknown>>).map(
      ([partition, offset, outcome, why, event_ts_ms, watermark_ms, recorded_watermark_ms]) => ({
        partition,
        offset,
        outcome,
        why,
        event_ts_ms,
        watermark_ms,
        ...(outcome === "late" && { recorded_watermark_ms })
      })
    )
  }
})

/** Besides the chunk, the earlier events whose ids may still count as seen in it. */
const judgedSql = (context: AuditContext, chunk: Offsets, watermarks: Watermarks): string => {
  const { futureMaxMs, latenessMs } = context.settings
  const atBegin = byPartition(context.partitions, watermarkOf(watermarks), "Int64")
  const remembered = Math.min(...context.partitions.map(watermarkOf(watermarks))) - latenessMs
  const columns =
    "partition, offset, toUnixTimestamp64Milli(event_ts) AS ts, toUnixTimestamp64Milli(appended_at) AS appended_ms, " +
    "sipHash128(visitor_id, event_id) AS id"
  const records = `
    SELECT 'accepted' AS outcome, ${columns}, toInt64(0) AS recorded_watermark FROM events_raw FINAL
    WHERE offset < ${chunk.to} AND offset < ${below(context)} AND (offset >= ${chunk.from} OR event_ts >= ${
    time(remembered)
  })
    UNION ALL
    SELECT 'late' AS outcome, ${columns}, toUnixTimestamp64Milli(watermark) AS recorded_watermark FROM late_events FINAL
    WHERE offset < ${chunk.to} AND offset < ${below(context)} AND offset >= ${chunk.from}
    UNION ALL
    SELECT 'control' AS outcome, partition, offset, watermark_ms AS ts, toUnixTimestamp64Milli(appended_at) AS appended_ms,
      sipHash128('') AS id, toInt64(0) AS recorded_watermark FROM control_records FINAL
    WHERE offset < ${chunk.to} AND offset < ${below(context)} AND offset >= ${chunk.from}`
  const before = "ORDER BY offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
  return `
    SELECT partition, offset, outcome, ts, watermark, recorded_watermark, multiIf(
      outcome = 'control', '',
      ts > appended_ms + ${futureMaxMs} OR ts < ${eventTsMin}, 'its time had to be rejected',
      outcome = 'accepted' AND ts < watermark - ${latenessMs}, 'it had to be late',
      outcome = 'accepted' AND seen_at > 0 AND seen_at >= watermark - ${latenessMs}, 'it had to be a duplicate',
      -- Events that are no longer kept may have moved it, though not beyond the first that is.
      outcome = 'late' AND watermark < ${context.gone?.until ?? Number.MIN_SAFE_INTEGER}, '',
      outcome = 'late' AND ts >= watermark - ${latenessMs}, 'it was in time',
      outcome = 'late' AND recorded_watermark != watermark, 'another watermark was recorded with it',
      ''
    ) AS why
    FROM (
      SELECT *, greatest(${atBegin}, maxIf(ts, outcome IN ('accepted', 'control')) OVER (PARTITION BY partition ${before})) AS watermark,
        maxIf(ts, outcome = 'accepted') OVER (PARTITION BY partition, id ${before}) AS seen_at
      FROM (${records})
    )`
}

const watermarkOf = (watermarks: Watermarks) => ({ partition }: AuditedPartition): number =>
  watermarks.get(partition) ?? Number.MIN_SAFE_INTEGER

const rejections = Effect.fnUntraced(function*(
  context: AuditContext
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const appendedMs = "toUnixTimestamp64Milli(appended_at)"
  const inTime = `event_ts_ms >= ${eventTsMin} AND event_ts_ms <= ${appendedMs} + ${context.settings.futureMaxMs}`
  const [row] = yield* (yield* Warehouse).query(`
    SELECT count() AS examined, countIf(${inTime}) AS differences,
      groupArrayIf(${differencesShownMax})((partition, offset, event_ts_ms), ${inTime}) AS sample
    FROM rejected_records FINAL WHERE offset < ${below(context)} AND ${inScope(context, "appended_at")} ${modestly}`)
  return {
    examined: Number(row!["examined"]),
    differences: Number(row!["differences"]),
    sample: (row!["sample"] as ReadonlyArray<ReadonlyArray<unknown>>).map(([partition, offset, event_ts_ms]) => ({
      partition,
      offset,
      outcome: "rejected",
      why: "its time was no reason to reject it",
      event_ts_ms
    }))
  }
})
