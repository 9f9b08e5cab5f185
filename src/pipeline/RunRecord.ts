/**
 * The table `pipeline_runs`: every start of the pipeline, by which settings and which version, and how it ended. A note for people:
 * it decides nothing, and a warehouse that does not take it holds nothing up.
 */
import { Cause, Clock, Effect, Exit, Fiber, Schedule } from "effect"
import type { CoreSettings } from "../domain/Settings.ts"
import { coreVersion } from "../domain/Settings.ts"
import type { TableBlock } from "../warehouse/TableBlock.ts"
import type { WarehouseError } from "../warehouse/Warehouse.ts"

/** Where runs are recorded, and who runs here. */
export interface RunRecorder {
  readonly insert: (block: TableBlock) => Effect.Effect<void, WarehouseError>
  readonly host: string
  readonly processId: number
}

export interface Run {
  readonly runId: string
  readonly logId: string
  readonly settings: CoreSettings
}

/** How long an end waits for its row: a stop has 4.5 s for everything. */
const endWithin = "1 second"
const detailLengthMax = 1_000

/** Runs the work; its start is recorded beside it, its end before this ends. A killed run stays "running". */
export const recorded = <A, E extends { readonly message: string }, R>(
  recorder: RunRecorder | undefined,
  run: Run,
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (recorder === undefined) return work
  return Effect.gen(function*() {
    const startedAt = yield* Clock.currentTimeMillis
    const write = (state: string, changedAt: number, detail: string) =>
      recorder.insert(rowOf(recorder, run, { startedAt, changedAt, state, detail }))
    const begun = yield* Effect.forkChild(
      write("running", startedAt, "").pipe(Effect.retry(Schedule.spaced("1 second")), Effect.ignore)
    )
    return yield* Effect.onExit(work, (exit) =>
      Effect.gen(function*() {
        yield* Fiber.interrupt(begun)
        // Later than the start, so that of both rows this one stays.
        const now = Math.max(startedAt + 1, yield* Clock.currentTimeMillis)
        yield* write(
          Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? "stopped" : "failed",
          now,
          detailOf(exit)
        )
          .pipe(
            Effect.timeoutOrElse({ duration: endWithin, orElse: () => Effect.void }),
            Effect.catch((error) => Effect.logWarning(`the end of this run was not recorded: ${error.message}`))
          )
      }))
  })
}

const detailOf = (exit: Exit.Exit<unknown, { readonly message: string }>): string => {
  if (Exit.isSuccess(exit)) return ""
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  const error = Cause.squash(exit.cause)
  return (error instanceof Error ? error.message : String(error)).slice(0, detailLengthMax)
}

const rowOf = (
  { host, processId }: RunRecorder,
  { logId, runId, settings }: Run,
  row: { readonly startedAt: number; readonly changedAt: number; readonly state: string; readonly detail: string }
): TableBlock => ({
  table: "pipeline_runs",
  rows: 1,
  columns: [
    { name: "run_id", type: "String", values: [runId] },
    { name: "started_at", type: "DateTime64(3, 'UTC')", values: [row.startedAt] },
    { name: "changed_at", type: "DateTime64(3, 'UTC')", values: [row.changedAt] },
    { name: "state", type: "LowCardinality(String)", values: [row.state] },
    { name: "host", type: "String", values: [host] },
    { name: "process_id", type: "UInt32", values: [processId] },
    { name: "log_id", type: "String", values: [logId] },
    { name: "core_version", type: "UInt32", values: [coreVersion] },
    { name: "settings", type: "String", values: [JSON.stringify(settings)] },
    { name: "detail", type: "String", values: [row.detail] }
  ]
})
