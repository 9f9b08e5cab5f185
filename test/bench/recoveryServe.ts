/** The process that `bench:recovery` kills: warehouse and pipeline over a data directory. It says when it got where. */
import { Effect } from "effect"
import { servingLayer } from "../../src/cli/commands/serve.ts"
import { RunningWarehouse } from "../../src/cli/Installation.ts"
import { process as processLog } from "../../src/cli/Processing.ts"
import { runMain } from "../../src/cli/RunMain.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"

/** A stage, and what the pipeline counts then. The stage "progress" comes again and again. */
export interface Stage {
  readonly stage: "process" | "warehouse" | "recovered" | "stepped" | "flushed" | "progress"
  readonly atMs: number
  readonly received: number
  readonly flushes: number
  readonly visitorsLoaded: number
  readonly visitorsInMemory: number
  readonly idsInMemory: number
}

const [dataDirectory] = process.argv.slice(2) as [string]
const status = new PipelineStatus()
const told = new Set<Stage["stage"]>()
const progressEveryMs = 250
const lookEveryMs = 2

const tell = (stage: Stage["stage"]): void => {
  if (told.has(stage)) return
  if (stage !== "progress") told.add(stage)
  const { counts, flushes, idsInMemory, visitorsInMemory, visitorsLoaded } = status
  const line = {
    stage,
    atMs: Date.now(),
    received: counts.received,
    flushes,
    visitorsLoaded,
    visitorsInMemory,
    idsInMemory
  }
  process.stdout.write(`${JSON.stringify(line satisfies Stage)}\n`)
}

/** Records below the checkpoints. */
let recoveredAt: number | undefined

tell("process")
setInterval(() => {
  if (status.state === "running") {
    recoveredAt ??= status.counts.received
    tell("recovered")
  }
  if (status.counts.received > (recoveredAt ?? Infinity)) tell("stepped")
  if (status.flushes > 0) tell("flushed")
}, lookEveryMs)
setInterval(() => tell("progress"), progressEveryMs)

runMain(
  Effect.gen(function*() {
    yield* RunningWarehouse
    tell("warehouse")
    yield* processLog({ dataDirectory, until: "stopped", status })
  }).pipe(Effect.provide(servingLayer(dataDirectory, {})))
)
