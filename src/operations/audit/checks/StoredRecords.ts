/** What the newest checkpoints count against the rows below them: nothing counted is missing, nothing uncounted is there. */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext } from "../AuditContext.ts"
import { allOffsets, below, chunksOf, modestly } from "../AuditContext.ts"
import type { Check, CheckResult, Difference } from "../Check.ts"

export const storedRecords: Check = {
  name: "stored records",
  promise:
    "Below the checkpoint lie as many accepted, late, rejected and dead-lettered records as it counts, up to its watermark",
  needsEvents: true,
  run: Effect.fnUntraced(function*(context): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
    const differences: Array<Difference> = []
    let examined = 0
    for (const [outcome, table] of tables) {
      const found = yield* rowsOf(context, table)
      for (const { counters, partition } of context.partitions) {
        const rows = found.get(partition)?.rows ?? 0
        examined += rows
        const isShort = outcome === "accepted" && context.gone !== undefined && rows < counters[outcome]!
        if (rows !== counters[outcome] && !isShort) {
          differences.push({ partition, outcome, table, counted: counters[outcome], rows })
        }
      }
      if (outcome !== "accepted") continue
      const passed = yield* controlWatermarks(context)
      for (const { partition, watermark } of context.partitions) {
        const greatest = Math.max(
          found.get(partition)?.watermark ?? Number.MIN_SAFE_INTEGER,
          passed.get(partition) ?? Number.MIN_SAFE_INTEGER
        )
        if (greatest !== watermark) {
          differences.push({ partition, watermark_ms: watermark, greatest_event_ts_ms: greatest })
        }
      }
    }
    return { examined, differences: differences.length, sample: differences }
  })
}

const tables = [
  ["accepted", "events_raw"],
  ["late", "late_events"],
  ["rejected", "rejected_records"],
  ["dead_lettered", "dead_letters"]
] as const

/** How far control records have carried each partition. */
const controlWatermarks = Effect.fnUntraced(function*(
  context: AuditContext
): Effect.fn.Return<ReadonlyMap<number, number>, WarehouseError, Warehouse> {
  const rows = yield* (yield* Warehouse).query(
    `SELECT partition, max(watermark_ms) AS watermark FROM control_records WHERE offset < ${
      below(context)
    } GROUP BY partition ${modestly}`
  )
  return new Map(rows.map((row) => [Number(row["partition"]), Number(row["watermark"])]))
})

/** FINAL: a flush that was written again, or whose parts are not merged yet, counts once. */
const rowsOf = Effect.fnUntraced(function*(
  context: AuditContext,
  table: string
): Effect.fn.Return<
  ReadonlyMap<number, { readonly rows: number; readonly watermark: number }>,
  WarehouseError,
  Warehouse
> {
  const time = table === "events_raw" ? "event_ts" : "appended_at"
  const warehouse = yield* Warehouse
  const found = new Map<number, { rows: number; watermark: number }>()
  for (const chunk of chunksOf(allOffsets(context), context.partitions.length, context.sliceEventsMax * 10)) {
    const rows = yield* warehouse.query(
      `SELECT partition, count() AS records, max(toUnixTimestamp64Milli(${time})) AS greatest FROM ${table} FINAL
       WHERE offset >= ${chunk.from} AND offset < ${chunk.to} AND offset < ${
        below(context)
      } GROUP BY partition ${modestly}`
    )
    for (const row of rows) {
      const before = found.get(Number(row["partition"]))
      found.set(Number(row["partition"]), {
        rows: (before?.rows ?? 0) + Number(row["records"]),
        watermark: Math.max(before?.watermark ?? Number.MIN_SAFE_INTEGER, Number(row["greatest"]))
      })
    }
  }
  return found
})
