import { Effect, Layer, Schedule } from "effect"
import { Command, Flag } from "effect/cli"
import { randomUUID } from "node:crypto"
import { EventLog } from "../../log/EventLog.ts"
import { audit } from "../../operations/audit/Audit.ts"
import { nightly } from "../../operations/audit/Nightly.ts"
import { PipelineStatus } from "../../pipeline/PipelineStatus.ts"
import { collect, collectorHost, collectorPort } from "../CollectorServer.ts"
import { auditHour } from "../Environment.ts"
import { dataDir, httpPort, partitions, print, tcpPort } from "../Flags.ts"
import {
  eventSchemaId,
  logLayer,
  registryLayer,
  RunningWarehouse,
  stateStoreLayer,
  warehouseLayer
} from "../Installation.ts"
import type { WarehousePorts } from "../Installation.ts"
import { beat } from "../LiveLog.ts"
import { process as processLog } from "../Processing.ts"

const role = Flag.Literals("role", ["all", "collector"]).pipe(
  Flag.withDescription("all: warehouse, pipeline and collector; collector: that alone, into the same log"),
  Flag.withDefault("all")
)

/** Runs warehouse, pipeline and collector until it is stopped. */
export const serve = Command.make(
  "serve",
  { dataDir, httpPort, tcpPort, partitions, collectorHost, collectorPort, role },
  Effect.fn(function*({ collectorHost, collectorPort, dataDir, httpPort, partitions, role, tcpPort }) {
    const collecting = collect(dataDir, { host: collectorHost, port: collectorPort })
    if (role === "collector") {
      return yield* Effect.provide(
        collecting,
        Layer.merge(logLayer(dataDir, partitions), registryLayer(dataDir))
      )
    }
    const status = new PipelineStatus()
    yield* Effect.gen(function*() {
      yield* eventSchemaId
      const warehouse = yield* RunningWarehouse
      yield* print(`ClickHouse at ${warehouse.url}; processing ${dataDir}; stop with Ctrl-C`)
      yield* Effect.raceAllFirst([
        processLog({ dataDirectory: dataDir, until: "stopped", status }),
        collecting,
        beat(dataDir),
        nightlyAudit,
        Effect.repeat(reportStatus(status), Schedule.spaced("10 seconds"))
      ])
    }).pipe(
      Effect.provide(servingLayer(dataDir, { httpPort, tcpPort }, partitions)),
      Effect.onInterrupt(() => printStopped(status))
    )
  })
).pipe(Command.withDescription("Run warehouse, pipeline and collector until stopped"))

const nightlyAudit = Effect.flatMap(
  auditHour,
  (hour) =>
    hour === undefined ?
      Effect.never :
      nightly(hour, Effect.suspend(() => audit({ auditId: randomUUID(), scope: "all" })))
)

/** The last word of a command that runs until it is stopped. */
export const printStopped = (status: PipelineStatus) =>
  print(`stopped; ${status.flushedRecords.toLocaleString("en")} records processed, all of them in the warehouse`)

/** Everything that a serving process needs of its data directory; the log is created when it is missing. */
export const servingLayer = (dataDirectory: string, ports: WarehousePorts, partitions?: number) =>
  stateStoreLayer.pipe(
    Layer.provideMerge(warehouseLayer(dataDirectory, ports)),
    Layer.merge(logLayer(dataDirectory, partitions)),
    Layer.merge(registryLayer(dataDirectory))
  )

const reportStatus = (status: PipelineStatus) =>
  Effect.gen(function*() {
    const log = yield* EventLog
    const end = (yield* log.ranges).reduce((sum, range) => sum + range.end, 0)
    const { counts } = status
    yield* print(
      `${status.state}${status.waitingFor === "" ? "" : ` for ${status.waitingFor}`}: ${status.passed} of ` +
        `${end} records of the log; ${counts.received} received, ${counts.accepted} accepted, ${counts.duplicate} duplicate, ${counts.late} late, ` +
        `${counts.rejected} rejected, ${counts.deadLettered} dead-lettered`
    )
  })
