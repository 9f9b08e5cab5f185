/**
 * npm run bench:kpi -- [--history 5x20000,20x20000,5x80000] [--touched 2000000] [--probes 4] [--rate 15000] [--seconds 15] [--held 4]
 *
 * What it takes to keep the KPIs, in three parts; figures of one run are comparable with each other.
 *   1. For each history (days x sessions a day) made in SQL: how long it takes to take it in, then what one more visit costs each
 *      view and how long it is until daily_metrics shows it, by the schedule of the views alone. Of the last history the plan too:
 *      what the refresh of one touched quarter of an hour reads.
 *   2. The same for visits in all four quarters of an hour of `touched` events.
 *   3. The last history with the real pipeline beside it, at `rate` events/s into a quarter that holds `held` minutes of that traffic
 *      already: turns of `seconds` with the views stopped and with them running. Freshness of the KPIs from append to daily_metrics, and
 *      the time of flushes with refreshes and without.
 * The full one: --history 10x20000,10x111112,10x400000,90x111112 --probes 10 --held 9 --seconds 60 (half an hour, 5 GB of disk).
 */
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { paths } from "../../src/cli/Installation.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { migrate } from "../../src/warehouse/Migrations.ts"
import { applyReporting } from "../../src/warehouse/Reporting.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { costTable, historyCost, touchedHour } from "./kpiCost.ts"
import type { HistoryCost } from "./kpiCost.ts"
import { liveFigures } from "./kpiLive.ts"
import { printPlan } from "./kpiPlan.ts"
import { machine } from "./machine.ts"

const { values } = parseArgs({
  options: {
    history: { type: "string", default: "5x20000,20x20000,5x80000" },
    touched: { type: "string", default: "2000000" },
    probes: { type: "string", default: "4" },
    rate: { type: "string", default: "15000" },
    seconds: { type: "string", default: "15" },
    held: { type: "string", default: "4" }
  }
})
const histories = values.history.split(",").map((text) => {
  const [days, sessionsPerDay] = text.split("x").map(Number)
  if (!(days! > 0) || !(sessionsPerDay! > 0)) throw new RangeError(`--history is DAYSxSESSIONS,..., not ${text}`)
  return { days: days!, sessionsPerDay: sessionsPerDay! }
})
const probes = Number(values.probes)
/** Histories end here. */
const end = Date.UTC(2026, 5, 1)

/** The last database is the installation's own: the pipeline goes on in it. */
const database = (i: number, own: string): string => i === histories.length - 1 ? own : `${own}_bench_${i}`

const bench = (directory: string) =>
  Effect.gen(function*() {
    const server = yield* EmbeddedWarehouse
    const own = server.address("writer")
    const costs: Array<HistoryCost> = []
    for (const [i, history] of histories.entries()) {
      const address = { ...own, database: database(i, own.database) }
      yield* migrate(address)
      const warehouse = yield* make(address)
      yield* Effect.gen(function*() {
        yield* applyReporting({ timeZone: "UTC" }, defaultCoreSettings)
        costs.push(yield* historyCost({ ...history, end, probes }))
        if (i < histories.length - 1) return yield* warehouse.command(`DROP DATABASE ${address.database} SYNC`)
        console.table(costTable(costs))
        yield* printPlan(end)
        yield* touchedHour({ end, events: Number(values.touched), probes })
        if (Number(values.rate) > 0) {
          yield* liveFigures({
            directory,
            end,
            rate: Number(values.rate),
            seconds: Number(values.seconds),
            heldMinutes: Number(values.held)
          })
        }
      }).pipe(Effect.scoped, Effect.provideService(Warehouse, warehouse))
    }
  })

const directory = mkdtempSync(join(tmpdir(), "guardian-bench-kpi-"))
try {
  console.log(machine())
  await Effect.runPromise(
    bench(directory).pipe(
      Effect.scoped,
      Effect.provide(EmbeddedWarehouse.layer({ directory: paths(directory).warehouse }))
    )
  )
} finally {
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
}
