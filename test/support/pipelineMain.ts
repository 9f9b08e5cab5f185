/**
 * A process that runs warehouse and pipeline over a data directory, as `guardian drain` and `guardian serve` do, and says where
 * it is in lines of JSON (`PipelineProcess.ts` reads them). Arguments: data directory, "drained" or "stopped", records of a flush
 * (0: the default). After a drain it reads the content of the database.
 */
import { Effect } from "effect"
import { migrated } from "../../src/cli/commands/migrate.ts"
import { servingLayer } from "../../src/cli/commands/serve.ts"
import { RunningWarehouse } from "../../src/cli/Installation.ts"
import { process as processLog } from "../../src/cli/Processing.ts"
import { runMain } from "../../src/cli/RunMain.ts"
import { contents, kpiContents, readContent } from "../../src/operations/chaos/Content.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"
import { refreshKpis } from "../../src/warehouse/KpiBacklog.ts"
import { StateStore } from "../../src/warehouse/StateStore.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import type { Line, Progress } from "./PipelineProcess.ts"

const [dataDirectory, until, flushRecords] = process.argv.slice(2) as [string, "drained" | "stopped", string]
/** Flushes of this many records and no more, though the warehouse be slower than the log. */
const flushRecordsMax = Number(flushRecords) || undefined
const readRecordsMax = flushRecordsMax === undefined ? undefined : Math.ceil(flushRecordsMax / 6)
const status = new PipelineStatus()

// A pipe's writes are synchronous: what was said before a SIGKILL arrives.
const say = (line: Line): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const progress = (): Progress => ({
  kind: "progress",
  state: status.state,
  waitingFor: status.waitingFor,
  received: status.counts.received,
  flushed: status.flushedRecords,
  flushes: status.flushes,
  visitorsLoaded: status.visitorsLoaded
})

/** Says every change of the status, and the checkpoints whenever the warehouse is back. */
const watch = Effect.gen(function*() {
  let before = ""
  let waited = false
  for (;;) {
    const now = progress()
    const text = JSON.stringify(now)
    if (text !== before) say(now)
    before = text
    if (now.state === "waiting") waited = true
    else if (waited) {
      waited = false
      yield* Effect.ignore(sayCheckpoints)
    }
    yield* Effect.sleep(watchEveryMs)
  }
})

const watchEveryMs = 3

const sayCheckpoints = Effect.gen(function*() {
  const checkpoints = yield* (yield* StateStore).checkpoints
  say({
    kind: "checkpoints",
    checkpoints: checkpoints.map(({ partition, position: { counts, offset } }) => ({ partition, offset, counts }))
  })
})

say({ kind: "started" })
runMain(
  Effect.gen(function*() {
    const { url } = yield* RunningWarehouse
    say({ kind: "warehouse", url })
    yield* migrated
    yield* sayCheckpoints
    // Detached: it also says what happens while the process stops.
    yield* Effect.forkDetach(watch)
    yield* processLog({
      dataDirectory,
      until,
      status,
      readRecordsMax,
      flushRecordsMax,
      recordsInMemoryMax: flushRecordsMax
    }).pipe(Effect.ensuring(Effect.sync(() => say(progress()))))
    yield* sayCheckpoints
    yield* refreshKpis
    say({ kind: "content", content: yield* readContent(yield* Warehouse, { ...contents, ...kpiContents }) })
  }).pipe(Effect.provide(servingLayer(dataDirectory, {})))
)
