/**
 * The determinism alarm, over everything that any run ever noted, above the checkpoint too: a run that was killed has decided
 * like the one that came after it.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import { modestly } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax } from "../Check.ts"

export const decisionHashes: Check = {
  name: "decision hashes",
  promise: "All runs that passed an offset had decided the same before it",
  needsEvents: false,
  run: Effect.fnUntraced(function*(): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
    const warehouse = yield* Warehouse
    const [total] = yield* warehouse.query(
      `SELECT count() AS examined, countIf(differing) AS differences FROM (${placesSql}) ${modestly}`
    )
    const differences = Number(total!["differences"])
    return {
      examined: Number(total!["examined"]),
      differences,
      sample: differences === 0 ? [] : yield* warehouse.query(
        `SELECT partition, offset, hashes FROM (${placesSql}) WHERE differing
         ORDER BY partition, offset LIMIT ${differencesShownMax} ${modestly}`
      )
    }
  })
}

/** Checkpoints carry the hash as well. */
const placesSql = `
  SELECT partition, offset, core_version, min(hash) != max(hash) AS differing,
    groupUniqArray(10)(concat(run_id, ': ', hex(hash))) AS hashes
  FROM (
    SELECT partition, offset, core_version, run_id, hash FROM decision_hashes
    UNION ALL
    SELECT partition, offset, core_version, run_id, decision_hash AS hash FROM checkpoints
  ) GROUP BY partition, offset, core_version`
