/** The promise "accounted for", at every checkpoint there ever was: no record without an outcome, none with two, none taken back. */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import { modestly } from "../AuditContext.ts"
import type { Check, CheckResult } from "../Check.ts"
import { differencesShownMax } from "../Check.ts"

export const conservation: Check = {
  name: "conservation",
  promise:
    "At every checkpoint received = accepted + duplicate + late + rejected + dead-lettered, and no count ever falls",
  needsEvents: false,
  run: Effect.fnUntraced(function*(): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
    const rows = yield* (yield* Warehouse).query(`
      SELECT partition, offset, counters, why, count() OVER () AS differences FROM (${judgedSql}) WHERE why != ''
      ORDER BY partition, offset LIMIT ${differencesShownMax} ${modestly}`)
    const [total] = yield* (yield* Warehouse).query("SELECT count() AS examined FROM checkpoints FINAL")
    return {
      examined: Number(total!["examined"]),
      differences: Number(rows[0]?.["differences"] ?? 0),
      sample: rows.map(({ counters, offset, partition, why }) => ({ partition, offset, why, counters }))
    }
  })
}

const outcomeNames = ["accepted", "duplicate", "late", "rejected", "dead_lettered"]
const names = ["received", ...outcomeNames]
const one = "OVER (PARTITION BY partition ORDER BY offset ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"

/** Of two rows at one offset the newer counts, as it does for a start of the pipeline. */
const judgedSql = `
  SELECT partition, offset, counters, multiIf(
    counters['received'] != ${
  outcomeNames.map((name) => `counters['${name}']`).join(" + ")
}, 'the outcomes do not add up to received',
    counters['received'] > offset, 'more was received than the log had',
    arrayExists((now, before) -> now < before, counts, counts_before), 'a count is less than at the checkpoint before it',
    watermark_ms < watermark_before, 'the watermark is before that of the checkpoint before it',
    ''
  ) AS why
  FROM (
    SELECT partition, offset, counters, watermark_ms, [${
  names.map((name) => `counters['${name}']`).join(", ")
}] AS counts,
      lagInFrame(counts, 1, [${names.map(() => "toUInt64(0)").join(", ")}]) ${one} AS counts_before,
      lagInFrame(watermark_ms, 1, toInt64(${Number.MIN_SAFE_INTEGER})) ${one} AS watermark_before
    FROM checkpoints FINAL
  )`
