/** The rule of sessions on the stored rows alone: two of one visitor lie more than the gap apart, or they would be one. */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, Slice } from "../AuditContext.ts"
import { below, modestly, time, visitorsOf } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"

export const sessionsApart: Check = {
  name: "sessions apart",
  promise: "No two living sessions of a visitor are within the gap",
  needsEvents: true,
  run: (context) => Effect.map(Effect.forEach(context.slices, (slice) => ofSlice(context, slice)), together)
}

/** Rows above the checkpoint are left out after FINAL, so a session that is changing right now is compared with none. */
const ofSlice = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const { gapMs } = context.settings
  const earlier =
    "OVER (PARTITION BY visitor_id ORDER BY started_ms, session_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
  const [row] = yield* warehouse.query(`
    SELECT count() AS examined, countIf(${tooNear(gapMs)}) AS differences,
      groupArrayIf(${differencesShownMax})(
        (visitor_id, earlier_id, earlier_end_ms, session_id, started_ms), ${tooNear(gapMs)}) AS sample
    FROM (
      SELECT visitor_id, session_id, started_ms, max(ended_ms) ${earlier} AS earlier_end_ms,
        argMax(session_id, ended_ms) ${earlier} AS earlier_id
      FROM (
        SELECT visitor_id, session_id, toUnixTimestamp64Milli(started_at) AS started_ms,
          toUnixTimestamp64Milli(ended_at) AS ended_ms
        FROM sessions_raw FINAL
        WHERE started_at < ${time(slice.to)} AND ended_at >= ${time(slice.from - gapMs)} AND ${visitorsOf(slice)}
          AND merged_into = '' AND version <= ${below(context)}
      )
    )
    WHERE started_ms >= ${slice.from} ${modestly}`)
  return {
    examined: Number(row!["examined"]),
    differences: Number(row!["differences"]),
    sample: (row!["sample"] as ReadonlyArray<ReadonlyArray<unknown>>).map(
      ([visitor_id, earlier_id, earlier_end_ms, session_id, started_ms]) => ({
        visitor_id,
        earlier_id,
        earlier_end_ms,
        session_id,
        started_ms
      })
    )
  }
})

const tooNear = (gapMs: number): string => `earlier_id != '' AND started_ms - earlier_end_ms <= ${gapMs}`
