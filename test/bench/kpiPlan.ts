/** What the refresh of one touched quarter of an hour reads, by EXPLAIN: parts and granules of each table, chosen and in all. */
import { Effect } from "effect"
import { kpiViews, refreshKpis, startKpis, stopKpis } from "../../src/warehouse/KpiBacklog.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { fill } from "./History.ts"

const quarterMs = 900_000

/** Each view is asked when what it will read is due, and only then refreshed. */
const chain = kpiViews.filter((view) => view !== "refresh_frontier")

export const printPlan = Effect.fnUntraced(function*(end: number) {
  const warehouse = yield* Warehouse
  yield* refreshKpis
  yield* stopKpis
  const at = end - 48 * quarterMs
  yield* fill(warehouse, at, at + 60_000, 1, "planned", 1_000_000)
  const rows: Array<PlanRow> = []
  for (const view of chain) {
    rows.push(...yield* readingsOf(view))
    yield* warehouse.command(`SYSTEM START VIEW ${warehouse.database}.${view}`)
    yield* warehouse.command(`SYSTEM REFRESH VIEW ${warehouse.database}.${view}`)
    yield* warehouse.command(`SYSTEM WAIT VIEW ${warehouse.database}.${view}`)
  }
  yield* startKpis
  yield* refreshKpis
  console.log("\nplan of a refresh after one visit (EXPLAIN indexes = 1; each reading of a table)")
  console.table(rows)
})

interface PlanRow {
  readonly view: string
  readonly table: string
  readonly parts: string
  readonly granules: string
}

const readingsOf = Effect.fnUntraced(function*(view: string) {
  const warehouse = yield* Warehouse
  const [found] = yield* warehouse.query(
    "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = {view:String}",
    { view }
  )
  const lines = yield* warehouse.query(`EXPLAIN indexes = 1 ${String(found!["as_select"])}`)
  const text = lines.map((line) => String(line["explain"])).join("\n")
  const tables = new Map<string, Array<PlanReading>>()
  for (const reading of text.split("ReadFromMergeTree (").slice(1)) {
    const table = reading.slice(0, reading.indexOf(")")).split(".").at(-1)!
    tables.set(table, [...tables.get(table) ?? [], {
      parts: chosen(reading, "Parts"),
      granules: chosen(reading, "Granules")
    }])
  }
  return [...tables].map(([table, readings]): PlanRow => ({
    view,
    table,
    parts: readings.map(({ parts }) => parts).join(", "),
    granules: readings.map(({ granules }) => granules).join(", ")
  }))
})

interface PlanReading {
  readonly parts: string
  readonly granules: string
}

/** Each index leaves fewer: the last one's count of the first one's total. Nothing: an empty set of keys, or an empty table. */
const chosen = (reading: string, what: "Parts" | "Granules"): string => {
  const steps = [...reading.matchAll(new RegExp(`${what}: (\\d+)/(\\d+)`, "g"))]
  return steps.length === 0 ? "none" : `${steps.at(-1)![1]} of ${steps[0]![2]}`
}
