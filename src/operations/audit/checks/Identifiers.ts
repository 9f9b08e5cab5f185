/** One place in the log, one event; one event, one place. Read without FINAL, which would show one of two and hide the other. */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, Slice } from "../AuditContext.ts"
import { allOffsets, below, chunksOf, modestly, time, visitorsOf } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"

export const identifiers: Check = {
  name: "identifiers",
  promise: "No two accepted records are the same visitor, event_ts and event_id, and no record is two events",
  needsEvents: true,
  run: (context) =>
    Effect.map(
      Effect.all([
        Effect.forEach(context.slices, (slice) => twice(context, eventIdentity, ofSlice(slice))),
        // Events of one record may have any times and visitors.
        Effect.forEach(
          chunksOf(allOffsets(context), context.partitions.length, context.sliceEventsMax),
          ({ from, to }) =>
            twice(context, placeIdentity, `offset >= ${from} AND offset < ${to} AND ${ofScope(context)}`)
        )
      ]),
      ([events, records]) => ({ ...together([...events, ...records]), examined: together(events).examined })
    )
}

const eventIdentity = {
  identity: "visitor_id, event_ts, event_id",
  other: "partition, offset",
  why: "accepted more than once"
}
const placeIdentity = {
  identity: "partition, offset",
  other: "visitor_id, event_ts, event_id",
  why: "one record, several events"
}

const ofSlice = (slice: Slice): string =>
  `event_ts >= ${time(slice.from)} AND event_ts < ${time(slice.to)} AND ${visitorsOf(slice)}`

const ofScope = ({ slices }: AuditContext): string =>
  `event_ts >= ${time(slices[0]!.from)} AND event_ts < ${time(slices.at(-1)!.to)}`

/** Groups of rows by one identity that have several of the other. A flush that was written again has one. */
const twice = Effect.fnUntraced(function*(
  context: AuditContext,
  { identity, other, why }: typeof eventIdentity,
  condition: string
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const rows = `FROM events_raw WHERE ${condition} AND offset < ${below(context)}`
  const [total] = yield* warehouse.query(`
    SELECT count() AS examined, sum(several) AS differences FROM (
      SELECT min(h) != max(h) AS several FROM (
        SELECT sipHash128(${identity}) AS id, sipHash64(${other}) AS h ${rows}
      ) GROUP BY id
    ) ${modestly}`)
  const result = { examined: Number(total!["examined"]), differences: Number(total!["differences"]) }
  if (result.differences === 0) return { ...result, sample: [] }
  const sample = yield* warehouse.query(`
    SELECT visitor_id, event_id, event_ts, partition, offset, '${why}' AS why ${rows}
      AND (${identity}) IN (SELECT ${identity} ${rows} GROUP BY ${identity} HAVING uniqExact(${other}) > 1)
    ORDER BY ${identity} LIMIT ${differencesShownMax} ${modestly}`)
  return { ...result, sample }
})
