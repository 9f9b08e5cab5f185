/**
 * npm run bench:recovery -- [--records 9000000] [--rate 15000] [--kills 3]
 *
 * How long a killed pipeline is away: a log with history (10 min of it at the defaults: as many retained ids) is drained and
 * followed live at `rate` events/s, the pipeline's process is killed with SIGKILL (its engine dies with it) and started again at
 * once, several times. Printed: ms from the kill to each stage of the new start, up to the first new row that SQL sees. The engine
 * and the traffic run on the same machine.
 */
import { Effect, Option, Redacted } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { paths } from "../../src/cli/Installation.ts"
import { EmbeddedWarehouse } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { machine } from "./machine.ts"
import { childPids, residentMegabytes } from "./processes.ts"
import type { Stage } from "./recoveryServe.ts"

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "9000000" },
    rate: { type: "string", default: "15000" },
    kills: { type: "string", default: "3" }
  }
})
const rate = Number(values.rate)
const directory = mkdtempSync(join(tmpdir(), "guardian-bench-recovery-"))
const children = new Set<ChildProcess>()
const compileCache = fileURLToPath(new URL("../../node_modules/.cache/guardian", import.meta.url))
const waitMsMax = 1_200_000
/** How long a restarted pipeline may take to be live again. */
const catchUpMsMax = 60_000
const steadyMs = 5_000
const lookEveryMs = 20

const start = (file: string, ...args: ReadonlyArray<string>): ChildProcess => {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    // As `guardian` does at its start.
    env: { ...process.env, NODE_NO_WARNINGS: "1", NODE_COMPILE_CACHE: compileCache }
  })
  children.add(child)
  child.once("close", () => children.delete(child))
  return child
}

const lines = (child: ChildProcess, take: (line: string) => void): void => {
  createInterface({ input: child.stdout! }).on("line", take)
}

/** Looks until there is something, or for so long. */
const within = async <A>(ms: number, look: () => A | undefined | Promise<A | undefined>): Promise<A | undefined> => {
  const deadline = Date.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined || Date.now() > deadline) return found
    await sleep(lookEveryMs)
  }
}

let serving: Serving
let see: Awaited<ReturnType<typeof watcher>>

const until = async <A>(what: string, look: () => A | undefined | Promise<A | undefined>): Promise<A> => {
  const found = await within(waitMsMax, look)
  if (found === undefined) {
    throw new Error(`not within ${waitMsMax} ms: ${what}; last: ${JSON.stringify(serving.stages.get("progress"))}`)
  }
  return found
}

interface Serving {
  readonly child: ChildProcess
  readonly stages: Map<Stage["stage"], Stage>
}

const serve = (): Serving => {
  const child = start("./recoveryServe.ts", directory)
  const stages = new Map<Stage["stage"], Stage>()
  lines(child, (line) => {
    if (!line.startsWith("{")) return
    const stage = JSON.parse(line) as Stage
    stages.set(stage.stage, stage)
  })
  return { child, stages }
}

/** The newest offsets and append times that SQL sees, of what came in lately; undefined while nobody answers. */
const watcher = async () => {
  const found = Option.getOrThrow(await Effect.runPromise(EmbeddedWarehouse.attach(paths(directory).warehouse)))
  const { database, password, url, username } = found.address("reader")
  return async (since: number): Promise<readonly [offsets: number, appendedAt: number] | undefined> => {
    // Few rows, in parts that are not merged yet: looking must not slow down what it looks at.
    const sql = `SELECT toString(sum(offset)), toUnixTimestamp64Milli(max(appended)) FROM
      (SELECT max(offset) AS offset, max(appended_at) AS appended FROM ${database}.events_raw
       WHERE event_ts >= fromUnixTimestamp64Milli(toInt64(${since})) GROUP BY partition) FORMAT TSV`
    try {
      const response = await fetch(url, {
        method: "POST",
        body: sql,
        headers: { "X-ClickHouse-User": username, "X-ClickHouse-Key": Redacted.value(password) },
        signal: AbortSignal.timeout(1_000)
      })
      const text = await response.text()
      if (!response.ok) return undefined
      const [offsets, appendedAt] = text.trim().split("\t").map(Number) as [number, number]
      return [offsets, appendedAt]
    } catch {
      return undefined
    }
  }
}

/** The newest row that SQL sees is this old at most, ms. */
const liveMs = 1_500

const live = async (): Promise<number | undefined> => {
  const seen = await see(Date.now() - liveMs)
  return seen !== undefined && Date.now() - seen[1] < liveMs ? Date.now() : undefined
}

const memory = ({ child }: Serving): string => {
  const engine = childPids(child.pid!)[0]!
  return `pipeline ${residentMegabytes(child.pid!)} MB, engine ${residentMegabytes(engine)} MB`
}

const end = async (): Promise<void> => {
  for (const child of children) child.kill("SIGKILL")
  await within(10_000, () => children.size === 0 ? true : undefined)
  await sleep(2_000) // the engine sees its parent's end
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
}
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void end().then(() => process.exit(130)))
}

try {
  console.log(machine())
  const traffic = start("./recoveryTraffic.ts", directory, values.records, values.rate)
  let appended: string | undefined
  const filling = performance.now()
  lines(traffic, (line) => appended ??= line)
  await until("filled", () => appended)
  console.log(
    `log filled with ${Number(appended).toLocaleString("en")} records in ${
      ((performance.now() - filling) / 1000).toFixed(0)
    } s; now ${rate.toLocaleString("en")} events/s live`
  )
  serving = serve()
  await until("serving", () => serving.stages.get("flushed"))
  see = await watcher()
  await until("live", live)
  for (let kill = 1; kill <= Number(values.kills); kill++) {
    await sleep(steadyMs)
    const before = serving.stages.get("progress")!
    console.log(`\nsteady         ${memory(serving)}`)
    console.log(
      `               ${before.visitorsInMemory.toLocaleString("en")} visitors, ${
        before.idsInMemory.toLocaleString("en")
      } ids in memory`
    )
    const killedAt = Date.now()
    serving.child.kill("SIGKILL")
    serving = serve()
    const answering = await until("the warehouse answers", async () => {
      const seen = await see(killedAt - steadyMs)
      return serving.stages.has("warehouse") && seen !== undefined ? { seen, atMs: Date.now() } : undefined
    })
    const newRow = await until("a new row", async () => {
      const seen = await see(killedAt - steadyMs)
      return seen !== undefined && seen[0] > answering.seen[0] ? Date.now() : undefined
    })
    await until("flushed", () => serving.stages.get("flushed"))
    const first = serving.stages.get("flushed")!
    const caughtUp = await within(catchUpMsMax, live)
    const after = (stage: Stage["stage"]) => `${String(serving.stages.get(stage)!.atMs - killedAt).padStart(6)} ms`
    console.log(`kill ${kill}: ms after SIGKILL`)
    console.log(`  process runs       ${after("process")}`)
    console.log(`  warehouse ready    ${after("warehouse")}`)
    console.log(`  state recovered    ${after("recovered")}`)
    console.log(`  first batch done   ${after("stepped")}`)
    console.log(`  first flush acked  ${after("flushed")}`)
    console.log(`  first new row      ${String(newRow - killedAt).padStart(6)} ms`)
    console.log(
      `  visitors read back ${first.visitorsLoaded.toLocaleString("en")} until the first flush; ${memory(serving)}`
    )
    if (caughtUp === undefined) {
      const { received, visitorsLoaded } = serving.stages.get("progress")!
      console.log(
        `  not caught up after ${catchUpMsMax / 1000} s: ${received.toLocaleString("en")} records received, ${
          visitorsLoaded.toLocaleString("en")
        } visitors read back`
      )
      process.exitCode = 1
      break
    }
    console.log(`  caught up          ${String(caughtUp - killedAt).padStart(6)} ms (rows younger than ${liveMs} ms)`)
  }
} finally {
  await end()
}
