/**
 * npm run bench:drain -- [--records N] [--visitors N] [--profile] [--log kafka]
 *
 * With --log kafka the log is on a broker that it starts itself, on the same machine.
 *
 * Stored events -> warehouse, everything embedded: fills a log with shop traffic, then drains it in a fresh process and prints
 * events/s, CPU seconds per million events and peak memory of both processes, and where the pipeline's thread spent its time.
 */
import { Effect, Layer } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { KafkaCluster } from "../../src/cli/cluster/KafkaCluster.ts"
import { eventSchemaId, logLayer, registryLayer } from "../../src/cli/Installation.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import { encodeEvent } from "../../src/log/WireFormat.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"
import { machine } from "./machine.ts"

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "2000000" },
    visitors: { type: "string", default: "200000" },
    profile: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    log: { type: "string", default: "sqlite" }
  }
})
const records = Number(values.records)
const eventsPerSecond = 15_000
const appendRecords = 5_000
const directory = mkdtempSync(join(tmpdir(), "guardian-bench-drain-"))

const fill = Effect.gen(function*() {
  const log = yield* EventLog
  const schemaId = yield* eventSchemaId
  const traffic = new ShopTraffic({
    seed: 1,
    startMs: Date.now() - records / eventsPerSecond * 1000,
    eventsPerSecond,
    visitors: Number(values.visitors)
  })
  const started = performance.now()
  for (let i = 0; i < records; i += appendRecords) {
    yield* log.append(traffic.nextRecords(appendRecords, (event) => encodeEvent(schemaId, event)))
  }
  return records / (performance.now() - started) * 1000
})

const cluster = values.log === "kafka" ?
  await KafkaCluster.start({ nodes: 1, heapMb: 512, fullJit: true }) :
  undefined
process.env["GUARDIAN_LOG"] = values.log
process.env["GUARDIAN_KAFKA_BROKERS"] = cluster?.brokers.join(",") ?? ""
process.env["GUARDIAN_KAFKA_REPLICATION"] = "1"

try {
  console.log(machine())
  const rate = await Effect.runPromise(Effect.provide(fill, Layer.merge(logLayer(directory), registryLayer(directory))))
  console.log(
    `log filled with ${records.toLocaleString("en")} records at ${
      Math.round(rate).toLocaleString("en")
    }/s (generator included)`
  )
  const output = execFileSync(
    process.execPath,
    [
      new URL("./drainProcess.ts", import.meta.url).pathname,
      directory,
      values.profile ? "profile" : ""
    ],
    { encoding: "utf8", maxBuffer: 1 << 26, stdio: ["ignore", "pipe", "inherit"] }
  )
  console.log(output.trimEnd())
} finally {
  await cluster?.stop()
  if (!values.keep) rmSync(directory, { recursive: true, force: true })
  else console.log(`kept: ${directory}`)
}
