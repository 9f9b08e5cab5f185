/** The pipeline of `bench:kpi`, in a process of its own over its parent's warehouse. It says how long each flush took, ms. */
import { Effect } from "effect"
import { servingLayer } from "../../src/cli/commands/serve.ts"
import { process as processLog } from "../../src/cli/Processing.ts"
import { runMain } from "../../src/cli/RunMain.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"

/** One line of its output. */
export interface FlushLine {
  readonly flushMs: number
  readonly received: number
}

const [dataDirectory] = process.argv.slice(2) as [string]
const status = new PipelineStatus()
const lookEveryMs = 20
let told = 0

setInterval(() => {
  if (status.flushes === told) return
  const fresh = status.flushMs.slice(told - status.flushes)
  told = status.flushes
  for (const flushMs of fresh) {
    process.stdout.write(`${JSON.stringify({ flushMs, received: status.counts.received } satisfies FlushLine)}\n`)
  }
}, lookEveryMs)

runMain(processLog({ dataDirectory, until: "stopped", status }).pipe(Effect.provide(servingLayer(dataDirectory, {}))))
