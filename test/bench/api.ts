/**
 * npm run bench:api -- [--days 100] [--sessions 20000] [--seconds 10] [--connections 1] [--rate 15000] [--only PART_OF_A_PATH]
 *
 * Latency of the API over days of so many sessions of five events, one question after the other, by autocannon, while a pipeline takes in
 * `rate` events per second (0: none) and the KPI views keep up with it. Sender, pipeline, server, ClickHouse and autocannon share the
 * machine.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import autocannon from "autocannon"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { apiRoutes, apiServices, routerConfig } from "../../src/api/ApiRoutes.ts"
import { ApiSources } from "../../src/api/ApiSources.ts"
import { paths } from "../../src/cli/Installation.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { refreshKpis } from "../../src/warehouse/KpiBacklog.ts"
import { migrate } from "../../src/warehouse/Migrations.ts"
import { applyReporting } from "../../src/warehouse/Reporting.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { child } from "./child.ts"
import { eventsPerSession, fill } from "./History.ts"
import type { FlushLine } from "./kpiServe.ts"
import { machine } from "./machine.ts"

const { values } = parseArgs({
  options: {
    days: { type: "string", default: "100" },
    sessions: { type: "string", default: "20000" },
    seconds: { type: "string", default: "10" },
    connections: { type: "string", default: "1" },
    rate: { type: "string", default: "15000" },
    only: { type: "string", default: "" }
  }
})
const days = Number(values.days)
const sessions = Number(values.sessions)
const end = Date.UTC(2026, 5, 1)
const dayMs = 86_400_000
/** Live events are those of the noon after next. */
const noon = end + 1.5 * dayMs
const rate = Number(values.rate)
/** Before anything is asked: the pipeline takes in what came while it started. */
const settleMs = 20_000
const newest = new Date(end - dayMs).toISOString().slice(0, 10)

/** Aims: p99 of daily figures below 100 ms, of lists below 300 ms. */
const questions: ReadonlyArray<readonly [path: string, aimMs: number]> = [
  [`metrics/daily/${newest}`, 100],
  ["metrics/daily", 100],
  ...rate > 0 ? [[`metrics/daily/${new Date(noon).toISOString().slice(0, 10)}`, 100] as const] : [],
  [`metrics/funnel/${newest}`, 100],
  [`metrics/hourly/${newest}`, 100],
  ["metrics/summary", 100],
  [`items/popular/${newest}`, 300],
  ["items/trending", 300],
  ["sessions?limit=50", 300],
  ["sessions?limit=50&min_purchases=1", 300],
  ["anomalies", 300],
  ["visitors/v77", 300],
  ["stats", 300]
]

const program = Effect.gen(function*() {
  const server = yield* EmbeddedWarehouse
  const address = server.address("writer")
  yield* migrate(address)
  const warehouse = yield* make(address)
  const inWarehouse = Effect.provideService(Warehouse, warehouse)
  yield* applyReporting({ timeZone: "UTC" }, defaultCoreSettings).pipe(inWarehouse)
  for (let day = days; day > 0; day--) {
    yield* fill(warehouse, end - day * dayMs, end - (day - 1) * dayMs, sessions, `day-${day}`, 1)
  }
  yield* refreshKpis.pipe(inWarehouse)
  console.log(`${(days * sessions * eventsPerSession).toLocaleString("en")} events of ${days} days`)
  const http = createServer()
  yield* Layer.build(
    HttpRouter.serve(apiRoutes({ host: "127.0.0.1", readKeys: [], adminKeys: [], pages: "/nowhere" }), {
      routerConfig,
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provide(NodeHttpServer.layer(() => http, { host: "127.0.0.1", port: 0 })),
      Layer.provide(apiServices),
      Layer.provide(
        Layer.effect(
          ApiSources,
          Effect.map(
            make(server.address("reader")),
            (reader) =>
              ApiSources.of({
                reader,
                writer: warehouse,
                logNames: undefined,
                logRanges: Effect.succeed(undefined),
                pipeline: undefined,
                collector: undefined,
                reading: undefined
              })
          )
        )
      )
    )
  )
  const flushes: Array<FlushLine> = []
  if (rate > 0) {
    yield* child<FlushLine>("./kpiServe.ts", [directory], (line) => flushes.push(line))
    yield* child("./kpiTraffic.ts", [directory, String(noon), String(rate)], () => undefined)
    while (flushes.length === 0) yield* Effect.sleep(100)
    yield* Effect.sleep(settleMs)
  }
  const [before, began] = [flushes.at(-1)?.received ?? 0, performance.now()]
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/api/v1/`
  const rows: Array<Record<string, unknown>> = []
  for (const [path, aimMs] of questions.filter(([path]) => path.includes(values.only))) {
    const found = yield* Effect.promise(() =>
      autocannon({ url: url + path, connections: Number(values.connections), duration: Number(values.seconds) })
    )
    rows.push({
      path,
      "requests/s": Math.round(found.requests.average),
      "p50 ms": found.latency.p50,
      "p99 ms": found.latency.p99,
      "aim ms": aimMs,
      "not 2xx": found.non2xx + found.errors
    })
  }
  console.table(rows)
  if (rate > 0) {
    const perSecond = (flushes.at(-1)!.received - before) / ((performance.now() - began) / 1_000)
    console.log(`taken in meanwhile: ${Math.round(perSecond).toLocaleString("en")} events/s`)
  }
})

const directory = mkdtempSync(join(tmpdir(), "guardian-bench-api-"))
try {
  console.log(machine())
  await Effect.runPromise(
    Effect.scoped(program).pipe(Effect.provide(EmbeddedWarehouse.layer({ directory: paths(directory).warehouse })))
  )
} finally {
  rmSync(directory, { recursive: true, force: true })
}
