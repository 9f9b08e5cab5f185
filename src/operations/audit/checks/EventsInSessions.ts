/** Where each accepted event counts, by the way analysts go: from the id it was accepted under, over a merge, to a living session. */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, Slice } from "../AuditContext.ts"
import { keptIdFrom, modestly } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"
import { settled, settledOf } from "../InFlux.ts"
import { eventsSql } from "../SliceEvents.ts"

export const eventsInSessions: Check = {
  name: "events in sessions",
  promise: "Every accepted event leads to a living session, of its own visitor, that spans it",
  needsEvents: true,
  run: (context) => Effect.map(Effect.forEach(context.slices, (slice) => ofSlice(context, slice)), together)
}

const ofSlice = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const [total] = yield* warehouse.query(`SELECT sum(events) AS events FROM (${groupsSql(context, slice)}) ${modestly}`)
  const found = yield* warehouse.query(`
    SELECT * FROM (${strayGroupsSql(context, slice)}) ORDER BY accepted_as LIMIT ${context.recheckedMax} ${modestly}`)
  const strays = yield* settledOf(context, found, ["accepted_as", "leads_to"])
  return {
    examined: Number(total!["events"]),
    differences: strays.reduce((sum, row) => sum + Number(row["events"]), 0),
    sample: strays.slice(0, differencesShownMax)
  }
})

/** Events by the session that they were accepted under: few rows, for the look-ups. */
const groupsSql = (context: AuditContext, slice: Slice): string => `
  SELECT session_id AS accepted_as, visitor_id, min(ts) AS first_ms, max(ts) AS last_ms, count() AS events,
    argMin(event_id, ts) AS an_event
  FROM (${eventsSql(context, slice, slice, "visitor_id, partition, offset, event_id, session_id")})
  GROUP BY session_id, visitor_id`

const strayGroupsSql = (context: AuditContext, slice: Slice): string => {
  const ids = `SELECT accepted_as FROM (${groupsSql(context, slice)})`
  const aliases = `SELECT absorbed_id, session_id, version FROM session_aliases FINAL WHERE absorbed_id IN (${ids})`
  const resolved = `
    SELECT g.accepted_as AS accepted_as, g.visitor_id AS visitor_id, g.first_ms AS first_ms, g.last_ms AS last_ms,
      g.events AS events, g.an_event AS an_event, if(a.session_id = '', g.accepted_as, a.session_id) AS leads_to
    FROM (${groupsSql(context, slice)}) AS g LEFT JOIN (${aliases}) AS a ON a.absorbed_id = g.accepted_as`
  const stored = `SELECT session_id, visitor_id, merged_into, toUnixTimestamp64Milli(started_at) AS started_ms,
      toUnixTimestamp64Milli(ended_at) AS ended_ms
    FROM sessions_raw FINAL
    WHERE session_id IN (${ids}) OR session_id IN (SELECT session_id FROM (${aliases}))`
  return `
    SELECT accepted_as, leads_to, visitor_id, an_event, events, first_ms, last_ms,
      multiIf(
        s.session_id = '', if(leads_to < '${keptIdFrom(context)}', '', 'there is no such session'),
        s.merged_into != '', 'that session was absorbed',
        s.visitor_id != r.visitor_id, 'that session is another visitor''s',
        s.started_ms > first_ms OR s.ended_ms < last_ms, 'that session does not span it',
        ''
      ) AS why
    FROM (${resolved}) AS r LEFT JOIN (${stored}) AS s ON s.session_id = r.leads_to
    WHERE why != '' AND ${settled(context, "sessions_raw", "accepted_as", "leads_to")}
      AND ${settled(context, "session_aliases", "accepted_as")}`
}
