/** The measured process of `bench:drain`: drains the data directory named on the command line and prints the figures. */
import { Effect, Layer } from "effect"
import type { Profiler } from "node:inspector/promises"
import { Session } from "node:inspector/promises"
import { existingLogLayer, registryLayer, stateStoreLayer, warehouseLayer } from "../../src/cli/Installation.ts"
import { process as processLog } from "../../src/cli/Processing.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { childPids, cpuSeconds, peakMegabytes } from "./processes.ts"

const [, , directory, profile] = process.argv
const status = new PipelineStatus()

/** Stages by the file that the profiler finds on top of the stack. */
const stages: ReadonlyArray<readonly [stage: string, pattern: RegExp]> = [
  ["encode", /NativeBlock/],
  ["rows", /FlushBlocks/],
  ["decode", /WireFormat|FastAvro|NativeText|Decoding|StoredBatch|Frame/],
  ["kafka", /log\/kafka|kafkajs/],
  ["step", /sessionizer|Identifiers|Murmur2|Money|ClickEvent|crypto\/hash/],
  ["client", /@clickhouse|node:_http|node:net|stream|ClickHouseWarehouse/],
  ["effect", /node_modules\/effect/],
  ["collector", /garbage collector/],
  ["idle", /\(idle\)|\(program\)/]
]

const measured = Effect.gen(function*() {
  const warehouse = yield* Warehouse
  const session = new Session()
  if (profile === "profile") {
    session.connect()
    yield* Effect.promise(async () => {
      await session.post("Profiler.enable")
      await session.post("Profiler.setSamplingInterval", { interval: 500 })
      await session.post("Profiler.start")
    })
  }
  const engine = childPids(process.pid)[0]!
  const cpuBefore = [cpuSeconds(process.pid), cpuSeconds(engine)]
  const started = performance.now()
  yield* processLog({ dataDirectory: directory!, until: "drained", status })
  const seconds = (performance.now() - started) / 1000
  const events = status.counts.received
  const cpu = [cpuSeconds(process.pid) - cpuBefore[0]!, cpuSeconds(engine) - cpuBefore[1]!]
  const perMillion = (value: number) => (value / events * 1e6).toFixed(2)
  console.log(`drained        ${events.toLocaleString("en")} records in ${seconds.toFixed(1)} s`)
  console.log(`rate           ${Math.round(events / seconds).toLocaleString("en")} events/s`)
  console.log(`CPU s/million  pipeline ${perMillion(cpu[0]!)} (all threads), engine ${perMillion(cpu[1]!)}`)
  console.log(`CPU in use     ${((cpu[0]! + cpu[1]!) / seconds).toFixed(2)} cores`)
  console.log(`peak memory    pipeline ${peakMegabytes(process.pid)} MB, engine ${peakMegabytes(engine)} MB`)
  console.log(`flushes        ${status.flushes}, the newest took ${status.flushMs.slice(-5).join(", ")} ms`)
  const [row] = yield* warehouse.query(
    "SELECT (SELECT count() FROM sessions) AS sessions, (SELECT count() FROM anomalies) AS findings"
  )
  console.log(
    `result         ${JSON.stringify(status.counts)}, ${row!["sessions"]} sessions, ${row!["findings"]} findings`
  )
  if (profile === "profile") {
    const { profile: taken } = yield* Effect.promise(() => session.post("Profiler.stop"))
    printProfile(taken, events)
  }
})

const printProfile = (
  taken: Profiler.Profile,
  events: number
): void => {
  const nodes = new Map(
    taken.nodes.map((
      node
    ) => [node.id, `${node.callFrame.functionName} ${node.callFrame.url}:${node.callFrame.lineNumber + 1}`])
  )
  const byStage = new Map<string, number>()
  const byFunction = new Map<string, number>()
  for (const [i, sample] of (taken.samples ?? []).entries()) {
    const frame = nodes.get(sample)!
    const stage = stages.find(([, pattern]) => pattern.test(frame))?.[0] ?? "other"
    byStage.set(stage, (byStage.get(stage) ?? 0) + taken.timeDeltas![i]!)
    byFunction.set(frame, (byFunction.get(frame) ?? 0) + taken.timeDeltas![i]!)
  }
  const sorted = (times: ReadonlyMap<string, number>) => [...times].sort(([, a], [, b]) => b - a)
  console.log("main thread    us per event, by the function on top of the stack")
  for (const [stage, micros] of sorted(byStage)) console.log(`  ${stage.padEnd(12)} ${(micros / events).toFixed(2)}`)
  for (const [frame, micros] of sorted(byFunction).slice(0, 30)) {
    console.log(`    ${(micros / events).toFixed(2)}  ${frame.replace(/file:.*\/(src|node_modules)\//, "$1/")}`)
  }
}

await Effect.runPromise(
  measured.pipe(
    Effect.provide(
      stateStoreLayer.pipe(
        Layer.provideMerge(warehouseLayer(directory!)),
        Layer.merge(existingLogLayer(directory!)),
        Layer.merge(registryLayer(directory!))
      )
    )
  ) as Effect.Effect<void, unknown>
)
