/**
 * npm run bench:audit -- [--records N] [--per-second N] [--memory BYTES]
 *
 * What an audit of everything costs: fills a log with shop traffic of some days, drains it, starts ClickHouse anew with the memory
 * given, audits, and prints the time of each check, the CPU seconds per million events and the engine's peak memory.
 */
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import {
  clientLayer,
  eventSchemaId,
  logLayer,
  registryLayer,
  stateStoreLayer,
  warehouseLayer
} from "../../src/cli/Installation.ts"
import { logReadingLayer } from "../../src/cli/LogReading.ts"
import { process as processLog } from "../../src/cli/Processing.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import { encodeEvent } from "../../src/log/WireFormat.ts"
import { audit } from "../../src/operations/audit/Audit.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"
import { machine } from "./machine.ts"
import { childPids, cpuSeconds, peakMegabytes } from "./processes.ts"

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "2000000" },
    "per-second": { type: "string", default: "15" },
    memory: { type: "string", default: "1000000000" }
  }
})
const records = Number(values.records)
const eventsPerSecond = Number(values["per-second"])
const appendRecords = 5_000
const directory = mkdtempSync(join(tmpdir(), "guardian-bench-audit-"))
process.env["GUARDIAN_CLICKHOUSE_MEMORY_BYTES"] = values.memory

const fill = Effect.gen(function*() {
  const log = yield* EventLog
  const schemaId = yield* eventSchemaId
  const startMs = Date.now() - records / eventsPerSecond * 1000
  const traffic = new ShopTraffic({ seed: 1, startMs, eventsPerSecond })
  for (let i = 0; i < records; i += appendRecords) {
    yield* log.append(traffic.nextRecords(appendRecords, (event) => encodeEvent(schemaId, event)))
  }
}).pipe(Effect.provide(Layer.merge(logLayer(directory), registryLayer(directory))))

const drain = processLog({ dataDirectory: directory, until: "drained", status: new PipelineStatus() }).pipe(
  Effect.provide(
    stateStoreLayer.pipe(
      Layer.provideMerge(warehouseLayer(directory)),
      Layer.merge(logReadingLayer(directory)),
      Layer.merge(registryLayer(directory))
    )
  )
)

const measured = Effect.gen(function*() {
  const engine = childPids(process.pid)[0]!
  const cpuBefore = cpuSeconds(engine)
  const started = performance.now()
  let before = started
  const report = yield* audit({
    auditId: "bench",
    scope: "all",
    onChecked: ({ differences, examined, name }) =>
      Effect.sync(() => {
        const now = performance.now()
        const seconds = ((now - before) / 1000).toFixed(1)
        console.log(
          `${name.padEnd(20)} ${seconds.padStart(6)} s  ${
            examined.toLocaleString("en")
          } examined, ${differences} differ`
        )
        before = now
      })
  })
  const perMillion = 1e6 / records
  console.log(
    `everything           ${
      ((performance.now() - started) / 1000).toFixed(1).padStart(6)
    } s, ${report.failed} checks failed`
  )
  console.log(`CPU s/million        ${((cpuSeconds(engine) - cpuBefore) * perMillion).toFixed(1)} of the engine`)
  console.log(
    `peak memory          ${peakMegabytes(engine)} MB of the engine, ${Number(values.memory) / 1e6} MB allowed`
  )
}).pipe(
  Effect.provide(
    Layer.merge(clientLayer("writer").pipe(Layer.provide(warehouseLayer(directory))), logReadingLayer(directory))
  )
)

try {
  console.log(machine())
  await Effect.runPromise(fill)
  await Effect.runPromise(drain as Effect.Effect<void, unknown>)
  console.log(`${records.toLocaleString("en")} records of ${(records / eventsPerSecond / 86_400).toFixed(1)} days`)
  await Effect.runPromise(measured)
} finally {
  rmSync(directory, { recursive: true, force: true })
}
