/** The KPIs beside a pipeline at full rate: how fresh they are, and what their refreshes cost the flushes. */
import { Effect } from "effect"
import { logLayer } from "../../src/cli/Installation.ts"
import type { EpochMillis } from "../../src/domain/Identifiers.ts"
import { endMarkers } from "../../src/log/ControlRecords.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import { kpiBacklog, refreshKpis, startKpis, stopKpis } from "../../src/warehouse/KpiBacklog.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { child } from "./child.ts"
import { eventsPerSession, fill } from "./History.ts"
import type { FlushLine } from "./kpiServe.ts"
import type { ProbeLine } from "./kpiTraffic.ts"
import { percentile } from "./percentile.ts"

export interface LiveOptions {
  /** Of the installation. */
  readonly directory: string
  /** History ends here; live events are those of the noon after next. */
  readonly end: number
  readonly rate: number
  /** Of each turn. */
  readonly seconds: number
  readonly heldMinutes: number
}

const dayMs = 86_400_000
const lookEveryMs = 100
/** Not measured at the beginning of a turn: what the turn before left behind. */
const settleSeconds = 10
const turns = ["stopped", "running", "stopped", "running"] as const

interface Flush extends FlushLine {
  readonly atMs: number
}

interface Turn {
  readonly views: (typeof turns)[number]
  readonly from: number
  readonly to: number
}

export const liveFigures = Effect.fnUntraced(function*(
  { directory, end, heldMinutes, rate, seconds }: LiveOptions
) {
  const warehouse = yield* Warehouse
  const noon = end + 1.5 * dayMs
  const begin = noon + heldMinutes * 60_000
  yield* fill(warehouse, noon, begin, rate * heldMinutes * 60 / eventsPerSession, "held", 1)
  yield* refreshKpis
  const flushes: Array<Flush> = []
  const probes: Array<ProbeLine> = []
  yield* child<FlushLine>("./kpiServe.ts", [directory], (line) => flushes.push({ ...line, atMs: Date.now() }))
  // Time comes to all partitions and closes the sessions of the history: that is an import's end, and nothing of every day.
  yield* Effect.provide(
    EventLog.use((log) => log.append(endMarkers(log.partitions, noon as EpochMillis))),
    logLayer(directory)
  )
  yield* waitFor("history to be final", isFinal(end - dayMs))
  yield* refreshKpis
  yield* child<ProbeLine>("./kpiTraffic.ts", [directory, String(begin), String(rate)], (line) => probes.push(line))
  yield* waitFor(
    "the pipeline",
    Effect.sync(() => flushes.at(-1)?.received ?? 0).pipe(Effect.map((received) => received > 0))
  )
  const seen: Array<number> = []
  yield* Effect.forkScoped(watch(noon, seen))
  const measured: Array<Turn> = []
  for (const views of turns) {
    yield* views === "running" ? startKpis : stopKpis
    yield* Effect.sleep(`${settleSeconds} seconds`)
    const from = Date.now()
    yield* Effect.sleep(`${seconds} seconds`)
    measured.push({ views, from, to: Date.now() })
    const last = probes.length
    if (views === "running") yield* waitFor("the last probe of a turn", Effect.sync(() => seen.length >= last))
  }
  print(measured, flushes, probes, seen)
  console.log(`waiting at the end: ${JSON.stringify(yield* kpiBacklog)}`)
})

const isFinal = Effect.fnUntraced(function*(day: number) {
  const date = new Date(day).toISOString().slice(0, 10)
  const rows = yield* (yield* Warehouse).query(
    `SELECT status FROM daily_metrics WHERE segment = 'all' AND metric_date <= '${date}' AND status != 'final'`
  )
  return rows.length === 0
})

/** `seen[n]`: when the n-th probe, from 0, was first shown. */
const watch = Effect.fnUntraced(function*(noon: number, seen: Array<number>) {
  const warehouse = yield* Warehouse
  const day = new Date(noon).toISOString().slice(0, 10)
  for (;;) {
    const [row] = yield* warehouse.query(
      `SELECT toUInt32(revenue_by_currency['XTS']) AS probes FROM daily_metrics WHERE segment = 'all' AND metric_date = '${day}'`
    )
    while (seen.length < Number(row?.["probes"] ?? 0)) seen.push(Date.now())
    yield* Effect.sleep(lookEveryMs)
  }
})

const print = (
  measured: ReadonlyArray<Turn>,
  flushes: ReadonlyArray<Flush>,
  probes: ReadonlyArray<ProbeLine>,
  seen: ReadonlyArray<number>
): void => {
  const rows = measured.map(({ from, to, views }) => {
    const during = ({ atMs }: { readonly atMs: number }) => atMs >= from && atMs < to
    const mine = flushes.filter(during)
    const asked = probes.filter(during)
    const ages = views === "running" ? asked.map(({ atMs, probe }) => seen[probe - 1]! - atMs) : []
    return {
      views,
      "appended /s": perSecond(asked, ({ appended }) => appended),
      "processed /s": perSecond(mine, ({ received }) => received),
      flushes: mine.length,
      "flush p50, ms": percentile(mine.map(({ flushMs }) => flushMs), 0.5),
      "flush p95, ms": percentile(mine.map(({ flushMs }) => flushMs), 0.95),
      probes: ages.length,
      "freshness p50, ms": percentile(ages, 0.5),
      "freshness p95, ms": percentile(ages, 0.95)
    }
  })
  console.log("\npipeline at full rate, in turns with the KPI views stopped and running")
  console.table(rows)
  const all = (views: Turn["views"]) =>
    flushes.filter(({ atMs }) => measured.some((turn) => turn.views === views && atMs >= turn.from && atMs < turn.to))
      .map(({ flushMs }) => flushMs)
  for (const share of [0.5, 0.95]) {
    const [without, beside] = [percentile(all("stopped"), share), percentile(all("running"), share)]
    console.log(
      `flush p${share * 100}: ${without} ms without refreshes, ${beside} ms beside them: ${
        (beside / without).toFixed(2)
      } times`
    )
  }
}

const perSecond = <Line extends { readonly atMs: number }>(
  lines: ReadonlyArray<Line>,
  count: (line: Line) => number
): number => {
  const [first, last] = [lines[0], lines.at(-1)]
  return first === undefined || last === undefined ?
    NaN :
    Math.round((count(last) - count(first)) / (last.atMs - first.atMs) * 1000)
}

const waitMsMax = 1_200_000

const waitFor = <E, R>(what: string, isSo: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function*() {
    const deadline = Date.now() + waitMsMax
    while (!(yield* isSo)) {
      if (Date.now() > deadline) throw new Error(`not within ${waitMsMax} ms: ${what}`)
      yield* Effect.sleep(lookEveryMs)
    }
  })
