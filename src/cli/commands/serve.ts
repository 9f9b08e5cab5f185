import { Effect, Layer, Option, Schedule } from "effect"
import { Command, Flag } from "effect/cli"
import { randomUUID } from "node:crypto"
import { figuresText } from "../../api/ServerMetrics.ts"
import { EventLog } from "../../log/EventLog.ts"
import * as GroupMembership from "../../log/kafka/GroupMembership.ts"
import type { PartitionGroup } from "../../log/PartitionGroup.ts"
import { audit } from "../../operations/audit/Audit.ts"
import { nightly } from "../../operations/audit/Nightly.ts"
import { PipelineStatus } from "../../pipeline/PipelineStatus.ts"
import { listen } from "../ApiServer.ts"
import type { ApiServerOptions } from "../ApiServer.ts"
import { collect, CollectorBoard, collectorHost, collectorPort, refuseUnguarded } from "../CollectorServer.ts"
import { auditHour } from "../Environment.ts"
import { apiPort, dataDir, httpPort, partitions, print, tcpPort } from "../Flags.ts"
import { refuseForeignGroup } from "../ForeignGroup.ts"
import { answerHealth } from "../HealthPort.ts"
import {
  eventSchemaId,
  existingLogLayer,
  logLayer,
  paths,
  registryLayer,
  RunningWarehouse,
  stateStoreLayer,
  warehouseLayer
} from "../Installation.ts"
import type { WarehousePorts } from "../Installation.ts"
import { beat } from "../LiveLog.ts"
import { kafkaGroup, logKind } from "../LogChoice.ts"
import { refuseOwned } from "../PipelineOwner.ts"
import { process as processLog } from "../Processing.ts"
import { statusLine } from "../StatusLine.ts"

const role = Flag.Literals("role", ["all", "pipeline", "collector", "api"]).pipe(
  Flag.withDescription("What this process does"),
  Flag.withDefault("all" as const)
)

/** Runs warehouse, pipeline, collector and API until it is stopped, or the one that its role names. */
export const serve = Command.make(
  "serve",
  { dataDir, httpPort, tcpPort, apiPort, partitions, collectorHost, collectorPort, role },
  Effect.fn(function*({ apiPort, collectorHost, collectorPort, dataDir, httpPort, partitions, role, tcpPort }) {
    const board = new CollectorBoard()
    const collecting = collect(dataDir, { host: collectorHost, port: collectorPort }, board)
    if (role === "api") return yield* serveApi(dataDir, { httpPort, tcpPort }, apiPort)
    if (role === "collector") {
      return yield* Effect.provide(
        Effect.scoped(Effect.andThen(collectorHealth(board), collecting)),
        Layer.merge(logLayer(dataDir, partitions), registryLayer(dataDir))
      )
    }
    yield* refuseOwned(dataDir)
    if (role === "all") yield* refuseUnguarded(dataDir, { host: collectorHost, port: collectorPort })
    const status = new PipelineStatus()
    yield* Effect.gen(function*() {
      if (role === "pipeline") {
        yield* answerHealth(
          Effect.sync(() => missingOf(status)),
          () => figuresText({ pipeline: status, collector: undefined })
        )
      }
      yield* eventSchemaId
      const warehouse = yield* RunningWarehouse
      if (role === "all") yield* listening({ port: apiPort, pipeline: () => status, collector: () => board.counters })
      yield* print(`ClickHouse at ${warehouse.url}; processing ${dataDir}; stop with Ctrl-C`)
      const group = yield* partitionGroup(dataDir)
      yield* Effect.raceAllFirst([
        processLog({ dataDirectory: dataDir, until: "stopped", status, group }),
        role === "all" ? collecting : Effect.never,
        beat(dataDir),
        nightlyAudit(group),
        Effect.repeat(Effect.flatMap(statusLine(status), print), Schedule.spaced("10 seconds"))
      ])
    }).pipe(
      Effect.scoped,
      Effect.provide(servingLayer(dataDir, { httpPort, tcpPort }, partitions)),
      Effect.onInterrupt(() => printStopped(status))
    )
  })
).pipe(Command.withDescription("Run warehouse, pipeline, collector and API until stopped"))

/** The collector takes events when the log does. */
const collectorHealth = Effect.fnUntraced(function*(board: CollectorBoard) {
  const log = yield* EventLog
  yield* answerHealth(
    Effect.match(log.ranges, { onSuccess: () => "", onFailure: ({ message }) => `the log: ${message}` }),
    () => figuresText({ pipeline: undefined, collector: board.counters })
  )
})

/** What a pipeline lacks to be at work, in words. */
const missingOf = ({ state, waitingFor }: PipelineStatus): string =>
  state === "running" || state === "idle" ? "" : `${state}${waitingFor === "" ? "" : ` for ${waitingFor}`}`

/** The API alone: it reads what another process writes, and waits for the warehouse when that is away. */
const serveApi = (dataDirectory: string, ports: WarehousePorts, apiPort: number | undefined) =>
  Effect.gen(function*() {
    yield* listening({ port: apiPort, pipeline: undefined, collector: undefined })
    const warehouse = yield* RunningWarehouse
    yield* warehouse.failed
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        warehouseLayer(dataDirectory, ports),
        existingLogLayer(dataDirectory),
        registryLayer(dataDirectory)
      )
    )
  )

/** Starts the API's listener and says where it is. */
export const listening = Effect.fnUntraced(function*(options: ApiServerOptions) {
  const url = yield* listen(options)
  yield* print(`API and dashboard at ${url} (questions: ${url}/docs)`)
})

const nightlyAudit = (group: PartitionGroup | undefined) =>
  Effect.flatMap(
    auditHour,
    (hour) =>
      hour === undefined ?
        Effect.never :
        nightly(
          hour,
          Effect.suspend(() => audit({ auditId: randomUUID(), scope: "all" })),
          group === undefined ? undefined : ownsFirstPartition(group)
        )
  )

/** Of the processes that share the partitions, the one that has the first. */
const ownsFirstPartition = (group: PartitionGroup): Effect.Effect<boolean> =>
  group.after(0).pipe(
    Effect.timeoutOption("1 second"),
    Effect.map(Option.exists((assignment) => assignment.partitions.some((partition) => partition === 0)))
  )

/** On Kafka any number of processes share the partitions; SQLite's log has one. */
export const partitionGroup = Effect.fnUntraced(function*(dataDirectory: string) {
  if ((yield* logKind) !== "kafka") return undefined
  const options = { ...yield* kafkaGroup, notes: paths(dataDirectory).members }
  yield* refuseForeignGroup(options)
  return yield* GroupMembership.make(options)
})

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
