/**
 * The events that decide the sessions which begin in a slice: those of the slice, those up to a gap before it (does a first event
 * really open its session?), and of visitors whose session runs on beyond its end the events until that session's end.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import type { AuditContext, Slice } from "./AuditContext.ts"
import { below, dayMs, modestly, time, visitorsOf } from "./AuditContext.ts"

/** Accepted events below the checkpoint, each once, as a subquery. Times as epoch ms in `ts`. */
export const eventsSql = (
  context: AuditContext,
  slice: Slice,
  range: { readonly from: number; readonly to: number },
  columns: string
): string =>
  `SELECT toUnixTimestamp64Milli(event_ts) AS ts, ${columns} FROM events_raw FINAL
  WHERE event_ts >= ${time(range.from)} AND event_ts < ${time(range.to)} AND ${visitorsOf(slice)} AND offset < ${
    below(context)
  }`

/**
 * The events of all sessions that begin in the slice, and of some that begin up to a gap before it.
 * @param only a condition on visitors that leaves out the others
 */
export const sessionEventsSql = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice,
  columns: string,
  only = "1"
): Effect.fn.Return<string, WarehouseError, Warehouse> {
  const from = slice.from - context.settings.gapMs
  const to = yield* endOfSessions(context, slice)
  const events = `${eventsSql(context, slice, { from, to }, columns)} AND ${only}`
  return to === slice.to ?
    events :
    `${events} AND (event_ts < ${time(slice.to)} OR visitor_id IN (${runningSql(context, slice)}))`
})

/** Sessions that reach over the end of a slice are followed for so long at first, then for more and more, ms. */
const followedMs = dayMs

/** The time before which all sessions that begin in the slice have ended, epoch ms. */
const endOfSessions = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice
): Effect.fn.Return<number, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const { gapMs } = context.settings
  for (let ahead = followedMs;; ahead *= 4) {
    const to = slice.to + ahead
    const [row] = yield* warehouse.query(`
      SELECT count() AS events, max(ts) AS last FROM (
        SELECT visitor_id, ts, sum(begins) OVER (PARTITION BY visitor_id ORDER BY ts ROWS UNBOUNDED PRECEDING) AS run
        FROM (${
      beginningsSql(
        eventsSql(context, slice, { from: slice.to - gapMs, to }, "visitor_id") +
          ` AND visitor_id IN (${runningSql(context, slice)})`,
        gapMs
      )
    })
      ) WHERE run = 1 ${modestly}`)
    if (Number(row!["events"]) === 0) return slice.to
    const last = Number(row!["last"])
    if (last + gapMs < to) return Math.max(slice.to, last + 1)
  }
})

/** Visitors whose last session of the slice began in it and may go on after it. */
const runningSql = (context: AuditContext, slice: Slice): string => {
  const { gapMs } = context.settings
  const events = eventsSql(context, slice, { from: slice.from - gapMs, to: slice.to }, "visitor_id")
  return `SELECT visitor_id FROM (${beginningsSql(events, gapMs)}) GROUP BY visitor_id
    HAVING max(ts) >= ${slice.to - gapMs} AND maxIf(ts, begins) >= ${slice.from}`
}

/** Marks events that are further than the gap behind their visitor's event before them. */
const beginningsSql = (events: string, gapMs: number): string =>
  `SELECT visitor_id, ts, ts - lagInFrame(ts, 1, toInt64(-1000000000000000)) OVER (
     PARTITION BY visitor_id ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) > ${gapMs} AS begins FROM (${events})`
