/** What it costs to keep the KPIs of a history, and of an hour with very many events, when single visits come in. */
import { Effect } from "effect"
import { refreshKpis } from "../../src/warehouse/KpiBacklog.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { eventsPerSession, fill } from "./History.ts"
import { load } from "./machine.ts"
import { inMs, percentile } from "./percentile.ts"

const dayMs = 86_400_000
const hourMs = 3_600_000
const quarterMs = 900_000

export interface HistoryCost {
  readonly days: number
  readonly sessionsPerDay: number
  /** Until the KPIs had taken in all of it. */
  readonly takenInMs: number
  readonly freshnessMs: ReadonlyArray<number>
  /** Of all refreshes that one visit causes together. */
  readonly cpuMsPerVisit: number
  readonly views: ReadonlyArray<ViewCost>
}

interface ViewCost {
  readonly target: string
  readonly cpuMs: number
  readonly rowsRead: number
  readonly mb: number
}

/** Fills the days before `end`, and adds visits to the newest of them, one after another. */
export const historyCost = Effect.fnUntraced(function*(
  { days, end, probes, sessionsPerDay }: {
    readonly days: number
    readonly sessionsPerDay: number
    readonly end: number
    readonly probes: number
  }
) {
  const warehouse = yield* Warehouse
  const sessions = days * sessionsPerDay
  const text = `${days} days of ${count(sessionsPerDay)} sessions (${count(sessions * eventsPerSession)} events)`
  const filling = performance.now()
  for (let day = days; day > 0; day--) {
    yield* fill(warehouse, end - day * dayMs, end - (day - 1) * dayMs, sessionsPerDay, `day-${day}`, 1)
  }
  const began = performance.now()
  yield* refreshKpis
  const takenInMs = performance.now() - began
  console.log(`\n${text}: written in ${inMs(began - filling)}, taken in ${inMs(takenInMs)}`)
  const since = yield* serverClock
  const freshnessMs: Array<number> = []
  for (let number = 0; number < probes; number++) freshnessMs.push(yield* probe(end - 12 * hourMs, 1, `h-${number}`))
  const views = yield* viewCosts(since)
  console.table(views)
  console.log(`freshness of a visit: ${spread(freshnessMs)}; ${load()}`)
  const cpuMsPerVisit = views.reduce((sum, { cpuMs }) => sum + cpuMs, 0)
  return { days, sessionsPerDay, takenInMs, freshnessMs, cpuMsPerVisit, views } satisfies HistoryCost
})

/** Histories side by side, and what they cost as multiples of the first. */
export const costTable = (costs: ReadonlyArray<HistoryCost>) =>
  costs.map(({ cpuMsPerVisit, days, freshnessMs, sessionsPerDay, takenInMs }) => ({
    days,
    "sessions a day": sessionsPerDay,
    "events": days * sessionsPerDay * eventsPerSession,
    "taken in, s": Math.round(takenInMs / 1000),
    "events of the touched quarter": Math.round(sessionsPerDay * eventsPerSession / 96),
    "CPU of a refresh, ms": Math.round(cpuMsPerVisit),
    "of the first": Number((cpuMsPerVisit / costs[0]!.cpuMsPerVisit).toFixed(2)),
    "freshness p95, ms": percentile(freshnessMs, 0.95)
  }))

/** An hour of so many events on the day after history; visits in all of its quarters, so that all of them are computed again. */
export const touchedHour = Effect.fnUntraced(function*(
  { end, events, probes }: { readonly end: number; readonly events: number; readonly probes: number }
) {
  const warehouse = yield* Warehouse
  const from = end + 10 * hourMs
  yield* fill(warehouse, from, from + hourMs, Math.round(events / eventsPerSession), "touched", 1)
  yield* refreshKpis
  const since = yield* serverClock
  const freshnessMs: Array<number> = []
  for (let number = 0; number < probes; number++) freshnessMs.push(yield* probe(from, 4, `t-${number}`))
  console.log(
    `\nall quarters of an hour of ${count(events)} events touched by a visit: freshness ${
      spread(freshnessMs)
    }; ${load()}`
  )
  console.table(yield* viewCosts(since))
})

/** Visits in so many quarters, and how long until daily_metrics shows all of them, ms. */
const probe = Effect.fnUntraced(function*(from: number, quarters: number, name: string) {
  const warehouse = yield* Warehouse
  const day = new Date(from).toISOString().slice(0, 10)
  const shown = Effect.map(
    warehouse.query(`SELECT total_clicks FROM daily_metrics WHERE segment = 'all' AND metric_date = '${day}'`),
    ([row]) => Number(row!["total_clicks"])
  )
  const before = yield* shown
  const started = performance.now()
  const version = 2 + probesMade++
  for (let quarter = 0; quarter < quarters; quarter++) {
    const at = from + quarter * quarterMs + 60_000
    yield* fill(warehouse, at, at + 60_000, 1, `${name}-${quarter}`, version)
  }
  // The first session of a fill ends in a purchase.
  while ((yield* shown) < before + quarters * (eventsPerSession - 1)) yield* Effect.sleep(lookEveryMs)
  return performance.now() - started
})

let probesMade = 0
const lookEveryMs = 20

const serverClock = Effect.gen(function*() {
  const [clock] = yield* (yield* Warehouse).query("SELECT toUnixTimestamp64Milli(now64(3)) AS now")
  return Number(clock!["now"])
})

/** By view: refreshes since then; they are the inserts of no user. CPU of all together, shared out over the probes. */
const viewCosts = Effect.fnUntraced(function*(since: number) {
  const warehouse = yield* Warehouse
  yield* warehouse.command("SYSTEM FLUSH LOGS")
  const rows = yield* warehouse.query(
    `SELECT extract(query, 'INSERT INTO ([^ ]+)') AS target, count() AS refreshes, quantile(0.5)(query_duration_ms) AS ms,
       sum(ProfileEvents['UserTimeMicroseconds'] + ProfileEvents['SystemTimeMicroseconds']) / 1000 / count() AS cpu_ms,
       max(read_rows) AS rows_read, max(memory_usage) / 1e6 AS mb
     FROM system.query_log WHERE type = 'QueryFinish' AND query_kind = 'Insert' AND user = ''
       AND event_time_microseconds > fromUnixTimestamp64Milli(toInt64(${since})) AND position(query, '${warehouse.database}.') > 0
     GROUP BY target ORDER BY target`
  )
  return rows.map((row) => ({
    target: String(row["target"]).split(".").at(-1)!,
    refreshes: Number(row["refreshes"]),
    ms: Math.round(Number(row["ms"])),
    cpuMs: Math.round(Number(row["cpu_ms"])),
    rowsRead: Number(row["rows_read"]),
    mb: Math.round(Number(row["mb"]))
  }))
})

const count = (value: number): string => value.toLocaleString("en")

const spread = (times: ReadonlyArray<number>): string =>
  `p50 ${percentile(times, 0.5)} ms, p95 ${percentile(times, 0.95)} ms (${times.length} probes)`
