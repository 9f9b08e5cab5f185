/** One place in the log, one event; one event, one place. Read without FINAL, which would show one of two and hide the other. */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, Slice } from "../AuditContext.ts"
import { below, modestly, time, visitorsOf } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"

export const identifiers: Check = {
  name: "identifiers",
  promise: "No two accepted records are the same visitor, event_ts and event_id, and no record is two events",
  run: (context) =>
    Effect.map(
      Effect.all([
        Effect.map(
          Effect.forEach(context.slices, (slice) =>
            twice(context, slice, "visitor_id, event_ts, event_id", "partition, offset", "accepted more than once")),
          together
        ),
        twice(
          context,
          // Events of one record may have any times and visitors.
          { from: context.slices[0]!.from, to: context.slices.at(-1)!.to, bucket: 0, buckets: 1 },
          "partition, offset",
          "visitor_id, event_ts, event_id",
          "one record, several events"
        )
      ]),
      ([events, records]) => ({ ...together([events, records]), examined: events.examined })
    )
}

/** Groups of rows by one identity that have several of the other. A flush that was written again has one. */
const twice = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice,
  identity: string,
  other: string,
  why: string
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const rows = `FROM events_raw WHERE event_ts >= ${time(slice.from)} AND event_ts < ${time(slice.to)}
    AND ${visitorsOf(slice)} AND offset < ${below(context)}`
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
