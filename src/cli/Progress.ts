/**
 * What long work says of itself while it is under way, on standard error: on a terminal a line that is written over, elsewhere a new
 * line every few seconds. Work that is done sooner says nothing in a pipe.
 */
import { Effect } from "effect"
import { EventLog } from "../log/EventLog.ts"
import type { PipelineStatus } from "../pipeline/PipelineStatus.ts"
import { kpiBacklog } from "../warehouse/KpiBacklog.ts"

const terminalEvery = "250 millis"
const pipeEvery = "4 seconds"
const barWidth = 30

/** Runs `work` and says meanwhile how far it is. `say` gives undefined when there is nothing to say yet; it may fail. */
export const withProgress = <A, E, R, E2, R2>(
  work: Effect.Effect<A, E, R>,
  say: Effect.Effect<string | undefined, E2, R2>
): Effect.Effect<A, E, R | R2> => {
  const onTerminal = process.stderr.isTTY
  let last: string | undefined
  const told = Effect.sleep(onTerminal ? terminalEvery : pipeEvery).pipe(
    Effect.andThen(say),
    // Not to know how far it is does not stop the work.
    Effect.catchCause(() => Effect.succeed(undefined)),
    Effect.tap((line) =>
      Effect.sync(() => {
        // In a pipe what has not changed is no news.
        if (line === undefined || (!onTerminal && line === last)) return
        last = line
        progressLine(line)
      })
    ),
    Effect.forever
  )
  return Effect.raceFirst(work, told).pipe(Effect.ensuring(Effect.sync(endProgress)))
}

/** How much of the log is processed. */
export const drainProgress = (status: PipelineStatus) =>
  Effect.gen(function*() {
    const end = (yield* (yield* EventLog).ranges).reduce((sum, range) => sum + range.end, 0)
    const waits = status.waitingFor === "" ? "" : `, waiting for ${status.waitingFor}`
    if (status.passed === 0) return `${status.state}${waits}`
    const of = `${status.stored.toLocaleString("en")} of ${end.toLocaleString("en")}`
    return `${progressBar(status.stored / end)}${of} records processed${waits}`
  })

/** How many days' KPIs are left. */
export const kpiProgress = Effect.gen(function*() {
  const waiting = yield* kpiBacklog
  const stages = Object.entries(waiting).filter(([stage]) => stage !== "passes" && stage !== "checkpoints")
  return stages.length === 0 ?
    undefined :
    `KPIs: ${stages.map(([stage, count]) => `${count.toLocaleString("en")} ${stage}`).join(", ")} left`
})

/** "[####......] 40 % " */
export const progressBar = (share: number): string => {
  const full = Math.min(1, Math.max(0, share))
  return `[${"#".repeat(Math.round(full * barWidth)).padEnd(barWidth, ".")}] ${Math.round(full * 100)} % `
}

/** Says it at once. */
export const progressLine = (text: string): void => {
  process.stderr.write(process.stderr.isTTY ? `\r${text}\u001b[K` : `guardian: ${text}\n`)
}

/** Takes the line away from a terminal. */
export const endProgress = (): void => {
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K")
}
