/** What merges left behind: a tombstone and an alias for every absorbed id, both straight to the session that lives. */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, Slice } from "../AuditContext.ts"
import { below, idPrefix, keptIdFrom, modestly } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax, together } from "../Check.ts"
import { settled, settledOf } from "../InFlux.ts"

export const aliases: Check = {
  name: "aliases",
  promise: "Every absorbed session id leads in one step to a living session, and its tombstone says the same",
  needsEvents: true,
  run: (context) => Effect.map(Effect.forEach(context.slices, (slice) => ofSlice(context, slice)), together)
}

const ofSlice = Effect.fnUntraced(function*(
  context: AuditContext,
  slice: Slice
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const absorbed = absorbedSql(context, slice)
  const [total] = yield* warehouse.query(`SELECT count() AS ids FROM (${absorbed}) ${modestly}`)
  const found = yield* warehouse.query(
    `SELECT * FROM (${brokenSql(context, absorbed)}) ORDER BY absorbed_id LIMIT ${context.recheckedMax} ${modestly}`
  )
  const broken = yield* settledOf(context, found, ["absorbed_id", "alias_to", "tombstone_to"])
  return {
    examined: Number(total!["ids"]),
    differences: broken.length,
    sample: broken.slice(0, differencesShownMax)
  }
})

/** Absorbed ids as both tables know them, below the checkpoint. */
const absorbedSql = (context: AuditContext, slice: Slice): string => `
  SELECT absorbed_id, countIf(is_alias) AS alias_rows, countIf(NOT is_alias) AS tombstone_rows,
    anyIf(target, is_alias) AS alias_to, anyIf(target, NOT is_alias) AS tombstone_to,
    anyIf(version, is_alias) AS alias_version, anyIf(version, NOT is_alias) AS tombstone_version
  FROM (
    SELECT true AS is_alias, absorbed_id, session_id AS target, version FROM session_aliases FINAL
    WHERE version <= ${below(context)} AND ${idsOf(slice, "absorbed_id")}
    UNION ALL
    SELECT false AS is_alias, session_id AS absorbed_id, merged_into AS target, version FROM sessions_raw FINAL
    WHERE merged_into != '' AND version <= ${below(context)} AND ${idsOf(slice, "session_id")}
  )
  GROUP BY absorbed_id`

const brokenSql = (context: AuditContext, absorbed: string): string => `
  SELECT absorbed_id, alias_to, tombstone_to, alias_version, tombstone_version,
    multiIf(
      alias_rows = 0, 'no alias for this tombstone',
      tombstone_rows = 0, 'no tombstone for this alias',
      alias_to != tombstone_to, 'alias and tombstone lead to different sessions',
      alias_version != tombstone_version, 'alias and tombstone have different versions',
      alias_to >= '${
  keptIdFrom(context)
}' AND alias_to NOT IN (SELECT session_id FROM sessions_raw FINAL WHERE merged_into = ''
        AND session_id IN (SELECT alias_to FROM (${absorbed}))), 'the session it leads to does not live',
      ''
    ) AS why
  FROM (${absorbed}) WHERE why != ''
    AND ${settled(context, "sessions_raw", "absorbed_id", "alias_to", "tombstone_to")}
    AND ${settled(context, "session_aliases", "absorbed_id")}`

/** Ids begin with their opening event's time. */
const idsOf = ({ bucket, buckets, from, to }: Slice, column: string): string =>
  `${column} >= '${idPrefix(from)}' AND ${column} < '${
    idPrefix(to)
  }' AND cityHash64(${column}) % ${buckets} = ${bucket}`
