import { Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import { PipelineStatus } from "../../pipeline/PipelineStatus.ts"
import { waitedOut } from "../../pipeline/WaitingOut.ts"
import { refreshKpis } from "../../warehouse/KpiBacklog.ts"
import { dataDir, json, print, printJson } from "../Flags.ts"
import { RunningWarehouse, stateStoreLayer, warehouseLayer } from "../Installation.ts"
import { logReadingLayer } from "../LogReading.ts"
import { process as processLog } from "../Processing.ts"
import { drainProgress, kpiProgress, withProgress } from "../Progress.ts"
import { finishing } from "../RunMain.ts"

const batchSize = Flag.Int("batch-size").pipe(
  Flag.filter((size) => size >= 1, () => "1 or more"),
  Flag.withDescription("Records read and flushed at a time; results do not depend on it"),
  Flag.withDefault(0)
)

/** Processes what the log holds, and ends. */
export const drain = Command.make(
  "drain",
  { dataDir, json, batchSize },
  Effect.fn(function*({ batchSize, dataDir, json }) {
    const status = new PipelineStatus()
    yield* finishing(drained(dataDir, status, batchSize || undefined))
    const { counts } = status
    if (json) return yield* printJson({ flushed: status.flushedRecords, ...counts })
    yield* print(
      `${status.flushedRecords.toLocaleString("en")} records processed now; of ${
        counts.received.toLocaleString("en")
      } in the log ` +
        `${counts.accepted} accepted, ${counts.duplicate} duplicate, ${counts.late} late, ${counts.rejected} rejected, ` +
        `${counts.deadLettered} dead-lettered`
    )
  })
).pipe(Command.withDescription("Process what the log holds, and exit"))

/** KPIs are left to the next server's schedule when they have not taken in everything by then. */
const kpisWithin = "10 minutes"

const kpisRefreshed = Effect.flatMap(
  RunningWarehouse,
  ({ failed }) => Effect.raceFirst(waitedOut(refreshKpis), failed)
)

/** Drains the log of a data directory, and waits until the KPIs say what it says. */
export const drained = (dataDirectory: string, status: PipelineStatus, batchSize?: number) =>
  withProgress(
    processLog({
      dataDirectory,
      until: "drained",
      status,
      readRecordsMax: batchSize,
      flushRecordsMax: batchSize,
      recordsInMemoryMax: batchSize
    }),
    drainProgress(status)
  ).pipe(
    Effect.andThen(withProgress(Effect.timeoutOption(kpisRefreshed, kpisWithin), kpiProgress)),
    Effect.provide(
      stateStoreLayer.pipe(
        Layer.provideMerge(warehouseLayer(dataDirectory)),
        // First of all: without a log nothing else is made.
        Layer.provideMerge(logReadingLayer(dataDirectory))
      )
    )
  )
