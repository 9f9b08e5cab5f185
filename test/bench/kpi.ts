/**
 * npm run bench:kpi -- [--sessions 20000] [--history 10,60] [--rate 15000] [--probes 8]
 *
 * Cost of keeping the KPIs: for each length of history, days of so many sessions are made in SQL, taken in, and then single visits
 * are probed: how long until daily_metrics shows them by the schedule of the views alone, and what each view costs. With --rate
 * that many events a second are written meanwhile, as flushes are, and the time of those inserts is shown, with and without refreshes.
 */
import { Effect, Fiber } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { kpiViews, refreshKpis } from "../../src/warehouse/KpiBacklog.ts"
import { migrate } from "../../src/warehouse/Migrations.ts"
import { applyReporting } from "../../src/warehouse/Reporting.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { eventsPerSession, fill } from "./History.ts"
import { machine } from "./machine.ts"

const { values } = parseArgs({
  options: {
    sessions: { type: "string", default: "20000" },
    history: { type: "string", default: "10,60" },
    rate: { type: "string", default: "0" },
    probes: { type: "string", default: "8" }
  }
})
const sessionsPerDay = Number(values.sessions)
const rate = Number(values.rate)
const probes = Number(values.probes)
const flushMs = 500
/** Days end here; probes and flushes lie on the day after. */
const end = Date.UTC(2026, 5, 1)
const dayMs = 86_400_000

type Service = Warehouse["Service"]

/** Writes `rate` events a second until it is interrupted; gives each flush's time. */
const ingest = (warehouse: Service, times: Array<number>, first: number) =>
  Effect.gen(function*() {
    for (let flush = first;; flush++) {
      const started = performance.now()
      const from = end + flush * flushMs
      yield* fill(
        warehouse,
        from,
        from + flushMs,
        rate * flushMs / 1000 / eventsPerSession,
        `live-${flush}`,
        flush + 1_000
      )
      times.push(performance.now() - started)
      yield* Effect.sleep(Math.max(0, flushMs - (performance.now() - started)))
    }
  })

const percentile = (times: ReadonlyArray<number>, share: number): string => {
  const sorted = [...times].sort((a, b) => a - b)
  return sorted.length === 0 ?
    "-" :
    `${Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!)} ms`
}

/** One more visit on the day after history, and how long until daily_metrics shows it. */
const probe = Effect.fnUntraced(function*(warehouse: Service, number: number) {
  const shown = Effect.map(
    warehouse.query(
      `SELECT sum(total_clicks) AS clicks FROM daily_metrics WHERE segment = 'all' AND metric_date = '2026-06-03'`
    ),
    ([row]) => Number(row!["clicks"])
  )
  const before = yield* shown
  const at = end + 2 * dayMs + number * 60_000
  const started = performance.now()
  yield* fill(warehouse, at, at + 60_000, 1, `probe-${number}`, number + 1)
  while ((yield* shown) <= before) yield* Effect.sleep(20)
  return performance.now() - started
})

/** Refreshes since a second of the server's clock; they are the inserts of no user. */
const costs = Effect.fnUntraced(function*(warehouse: Service, since: number) {
  yield* warehouse.command("SYSTEM FLUSH LOGS")
  const rows = yield* warehouse.query(
    `SELECT extract(query, 'INSERT INTO [^ .]+[.]([a-z_]+)') AS target, count() AS refreshes, round(quantile(0.5)(query_duration_ms)) AS ms,
       round(sum(ProfileEvents['UserTimeMicroseconds'] + ProfileEvents['SystemTimeMicroseconds']) / 1000 / count()) AS cpu_ms,
       max(read_rows) AS rows_read, round(max(memory_usage) / 1e6) AS mb
     FROM system.query_log WHERE type = 'QueryFinish' AND query_kind = 'Insert' AND user = ''
       AND event_time > toDateTime(${since}) GROUP BY target ORDER BY target`
  )
  return rows
})

const measure = (days: number) =>
  Effect.scoped(Effect.gen(function*() {
    const server = yield* EmbeddedWarehouse
    const address = { ...server.address("writer"), database: `guardian_bench_${days}` }
    yield* migrate(address)
    const warehouse = yield* make(address)
    const inWarehouse = Effect.provideService(Warehouse, warehouse)
    yield* applyReporting({ timeZone: "UTC" }, defaultCoreSettings).pipe(inWarehouse)
    for (let day = days; day > 0; day--) {
      yield* fill(warehouse, end - day * dayMs, end - (day - 1) * dayMs, sessionsPerDay, `day-${day}`, 1)
    }
    const began = performance.now()
    yield* refreshKpis.pipe(inWarehouse)
    console.log(
      `\n${days} days of ${sessionsPerDay.toLocaleString("en")} sessions (${
        (days * sessionsPerDay * eventsPerSession).toLocaleString("en")
      } events): taken in ${Math.round(performance.now() - began)} ms`
    )
    const [clock] = yield* warehouse.query("SELECT toUnixTimestamp(now()) AS now")
    const alone: Array<number> = []
    const beside: Array<number> = []
    if (rate > 0) {
      yield* views(warehouse, "STOP")
      yield* Effect.timeoutOption(ingest(warehouse, alone, 0), "15 seconds")
      yield* views(warehouse, "START")
    }
    const live = rate > 0 ? yield* Effect.forkScoped(ingest(warehouse, beside, 30)) : undefined
    const times: Array<number> = []
    for (let number = 0; number < probes; number++) times.push(yield* probe(warehouse, number))
    if (live !== undefined) yield* Fiber.interrupt(live)
    console.log(
      `freshness of a visit: p50 ${percentile(times, 0.5)}, p95 ${percentile(times, 0.95)} (${probes} probes)`
    )
    if (rate > 0) {
      console.log(
        `flush of ${rate.toLocaleString("en")} events/s: p95 ${percentile(alone, 0.95)} without refreshes, ${
          percentile(beside, 0.95)
        } beside them`
      )
    }
    console.table(yield* costs(warehouse, Number(clock!["now"])))
    yield* warehouse.command(`DROP DATABASE ${address.database} SYNC`)
  }))

const views = (warehouse: Service, verb: "STOP" | "START") =>
  Effect.forEach(kpiViews, (view) => warehouse.command(`SYSTEM ${verb} VIEW ${warehouse.database}.${view}`), {
    discard: true
  })

const directory = mkdtempSync(join(tmpdir(), "guardian-bench-kpi-"))
try {
  console.log(machine())
  await Effect.runPromise(
    Effect.forEach(values.history.split(",").map(Number), measure, { discard: true }).pipe(
      Effect.provide(EmbeddedWarehouse.layer({ directory, memoryBytesMax: 2_000_000_000 }))
    )
  )
} finally {
  rmSync(directory, { recursive: true, force: true })
}
