/** How commands run the pipeline over a data directory: with its lock held, its schema up to date, and an orderly end. */
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import type { Partition } from "../domain/Identifiers.ts"
import type { EventLog } from "../log/EventLog.ts"
import type { PartitionGroup } from "../log/PartitionGroup.ts"
import type { SchemaRegistry } from "../log/SchemaRegistry.ts"
import { run } from "../pipeline/Pipeline.ts"
import type { PipelineOptions } from "../pipeline/Pipeline.ts"
import type { PipelineStatus } from "../pipeline/PipelineStatus.ts"
import { waitingOut } from "../pipeline/WaitingOut.ts"
import { pausedKpis, startKpis } from "../warehouse/KpiBacklog.ts"
import { pausedMerges, startMerges } from "../warehouse/Merges.ts"
import { applyReporting } from "../warehouse/Reporting.ts"
import type { StateStore } from "../warehouse/StateStore.ts"
import { Warehouse } from "../warehouse/Warehouse.ts"
import { migrated } from "./commands/migrate.ts"
import { coreSettings, processVariables, reportingSettings, wholeNumber } from "./Environment.ts"
import { deadLetterSink, ownPipeline, RunningWarehouse } from "./Installation.ts"
import { inTerms } from "./Terms.ts"

/** The longest that background work stands still for a start, and how often it is looked whether it is over. */
const startWithin = "1 minute"
const lookEvery = "200 millis"

/** Recovery needs the machine for itself: the KPI views and merges stand still until the past is read back. */
const quietStart = Effect.fnUntraced(function*(status: PipelineStatus) {
  yield* waitingOut(status)(pausedMerges)
  yield* goOnWhen("the KPI views", () => status.isRecollected, startKpis)
  yield* goOnWhen("merges", () => status.isRecollected, startMerges)
})

/** Starts background work again when it is time, or after a minute. */
const goOnWhen = <E extends { readonly message: string }, R>(
  what: string,
  isTime: () => boolean,
  start: Effect.Effect<void, E, R>
) =>
  Effect.sleep(lookEvery).pipe(
    Effect.repeat({ until: isTime }),
    Effect.timeoutOption(startWithin),
    Effect.andThen(start),
    Effect.catch((error) => Effect.logWarning(`${what} were not started: ${error.message}`)),
    Effect.forkScoped
  )

export interface ProcessingOptions {
  readonly dataDirectory: string
  readonly until: PipelineOptions["until"]
  readonly status: PipelineStatus
  readonly flushRecordsMax?: number | undefined
  readonly readRecordsMax?: number | undefined
  readonly recordsInMemoryMax?: number | undefined
  /** Says which partitions are ours; absent: all are, and no other process may process this data directory. */
  readonly group?: PartitionGroup | undefined
}

/**
 * Processes until drained, or for ever. When it is interrupted the pipeline flushes what it has read before this ends. Ends with
 * an error as well when the warehouse cannot be kept running.
 */
export const process = Effect.fnUntraced(function*(options: ProcessingOptions) {
  if (options.group === undefined) yield* ownPipeline(options.dataDirectory)
  const settings = yield* coreSettings
  const reporting = yield* reportingSettings
  const warehouse = yield* RunningWarehouse
  // Each attempt is short, and as a whole it ends with our warehouse.
  const waitOut = <A, E extends { readonly message: string }, R>(step: Effect.Effect<A, E, R>) =>
    Effect.raceFirst(waitingOut(options.status)(step), warehouse.failed)
  yield* waitOut(migrated)
  yield* waitOut(applyReporting(reporting, settings))
  yield* waitOut(pausedKpis)
  if (options.until === "stopped") yield* Effect.raceFirst(quietStart(options.status), warehouse.failed)
  const visitorsInMemoryMax = yield* wholeNumber(processVariables.visitorsInMemoryMax)
  const deadLetters = yield* deadLetterSink
  const recorder = { insert: (yield* Warehouse).insert, host: hostname(), processId: globalThis.process.pid }
  const stop = yield* Deferred.make<void>()
  // In a scope of its own, so that an interruption of the caller does not reach it before it was asked to stop.
  const scope = yield* Scope.make()
  const once = (stop: Deferred.Deferred<void>, runId: string, partitions?: ReadonlyArray<Partition>) =>
    run({
      settings,
      runId,
      status: options.status,
      until: options.until,
      stop,
      partitions,
      onFlushed: options.group?.advise,
      recorder,
      deadLetters,
      readRecordsMax: options.readRecordsMax,
      flushRecordsMax: options.flushRecordsMax,
      recordsInMemoryMax: options.recordsInMemoryMax,
      visitorsInMemoryMax
    })
  const fiber = yield* (options.group === undefined ?
    once(stop, randomUUID()) :
    inTerms({ status: options.status, group: options.group, stop, once })).pipe(
      Effect.raceFirst(warehouse.failed),
      Effect.forkIn(scope)
    )
  yield* Fiber.join(fiber).pipe(
    Effect.onInterrupt(() => Effect.andThen(Deferred.succeed(stop, undefined), Fiber.await(fiber))),
    Effect.ensuring(Scope.close(scope, Exit.void))
  )
}, Effect.scoped) satisfies (
  options: ProcessingOptions
) => Effect.Effect<void, unknown, EventLog | StateStore | SchemaRegistry | RunningWarehouse | Warehouse>
