/**
 * An embedded installation: what a data directory holds and how to open it. Several processes may use one at once: the first
 * that needs the warehouse runs it, the others find its address.
 */
import { Context, Effect, Layer, Option, Schedule, Schema } from "effect"
import type { Scope } from "effect"
import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { avroSchema } from "../domain/ClickEvent.ts"
import { EventLog } from "../log/EventLog.ts"
import * as FileSchemaRegistry from "../log/FileSchemaRegistry.ts"
import * as KafkaEventLog from "../log/kafka/KafkaEventLog.ts"
import type { HttpSchemaRegistryOptions } from "../log/registry/HttpSchemaRegistry.ts"
import * as HttpSchemaRegistry from "../log/registry/HttpSchemaRegistry.ts"
import * as RememberedSchemas from "../log/registry/RememberedSchemas.ts"
import { SchemaRegistry } from "../log/SchemaRegistry.ts"
import * as SqliteEventLog from "../log/sqlite/SqliteEventLog.ts"
import { eventSubject } from "../log/WireFormat.ts"
import type { DeadLetterSink } from "../pipeline/DeadLetters.ts"
import * as ClickHouseStateStore from "../warehouse/ClickHouseStateStore.ts"
import * as ClickHouseWarehouse from "../warehouse/ClickHouseWarehouse.ts"
import type { WarehouseRole } from "../warehouse/embedded/Credentials.ts"
import { EmbeddedWarehouse } from "../warehouse/embedded/EmbeddedWarehouse.ts"
import { WarehouseOwned } from "../warehouse/embedded/EmbeddedWarehouseErrors.ts"
import type { WarehouseStartError } from "../warehouse/embedded/EmbeddedWarehouseErrors.ts"
import type { WarehouseAddress } from "../warehouse/Warehouse.ts"
import { coreSettings, processVariables, wholeNumber } from "./Environment.ts"
import { externalWarehouse } from "./ExternalWarehouse.ts"
import { httpRegistry, kafkaLog, logKind } from "./LogChoice.ts"

/** Something about the data directory is not as the command needs it; the message says what to do. */
export class InstallationError extends Schema.TaggedError<InstallationError>()("InstallationError", {
  message: Schema.String
}) {}

export const paths = (dataDirectory: string) => {
  const root = resolve(dataDirectory)
  return {
    root,
    log: join(root, "log"),
    registry: join(root, "registry"),
    warehouse: join(root, "warehouse"),
    imports: join(root, "imports.json"),
    live: join(root, "live"),
    pipelineLock: join(root, "pipeline.lock"),
    pipelineOwner: join(root, "pipeline.json"),
    members: join(root, "members"),
    /** Of the private cluster that a demo starts for itself. */
    brokers: join(root, "brokers"),
    temporary: join(root, "temporary")
  }
}

/** The warehouse of this data directory, run by us or by another process; or a server elsewhere. */
export class RunningWarehouse extends Context.Service<RunningWarehouse, {
  readonly url: string
  readonly tcpPort: number | undefined
  /** True: it ends with us. */
  readonly owned: boolean
  /** Who runs it; undefined: it is a server that the environment names. */
  readonly ownerPid: number | undefined
  address(role: WarehouseRole): WarehouseAddress
  /** Fails when our own cannot be kept running; never when it is somebody else's. */
  readonly failed: Effect.Effect<never, WarehouseStartError>
}>()("guardian/cli/RunningWarehouse") {}

export interface WarehousePorts {
  readonly httpPort?: number | undefined
  readonly tcpPort?: number | undefined
}

/** The server that the environment names; else attaches to the running warehouse of the data directory, or starts it. */
export const warehouseLayer = (dataDirectory: string, ports: WarehousePorts = {}) =>
  Layer.effect(RunningWarehouse, openWarehouse(paths(dataDirectory).warehouse, ports))

/** How often another process's warehouse is looked for before it is given up, one every 250 ms. */
const attachAttemptsMax = 40

const openWarehouse = Effect.fnUntraced(function*(directory: string, ports: WarehousePorts) {
  const external = yield* externalWarehouse
  if (external !== undefined) {
    const { address, url } = external
    return RunningWarehouse.of({
      url,
      tcpPort: undefined,
      owned: false,
      ownerPid: undefined,
      address,
      failed: Effect.never
    })
  }
  const attached = yield* attach(directory)
  if (Option.isSome(attached)) return attached.value
  const httpPort = ports.httpPort ?? (yield* wholeNumber(processVariables.httpPort))
  const tcpPort = ports.tcpPort ?? (yield* wholeNumber(processVariables.tcpPort))
  const memoryBytesMax = yield* wholeNumber(processVariables.memoryBytesMax)
  const analyst = {
    executionSecondsMax: yield* wholeNumber(processVariables.analystSecondsMax),
    memoryBytesTogetherMax: yield* wholeNumber(processVariables.analystMemoryBytesMax),
    concurrentQueriesMax: yield* wholeNumber(processVariables.analystQueriesMax)
  }
  const options = { directory, httpPort, tcpPort, memoryBytesMax, analyst }
  const started = Layer.build(EmbeddedWarehouse.layer(options)).pipe(
    Effect.map((context) => {
      const own = Context.get(context, EmbeddedWarehouse)
      return RunningWarehouse.of({
        url: own.url,
        tcpPort: own.tcpPort,
        owned: true,
        ownerPid: process.pid,
        address: own.address,
        failed: own.failed
      })
    })
  )
  // Another process may have won the race for the directory: then its warehouse is ours too.
  return yield* Effect.catchIf(
    started,
    (error): error is WarehouseOwned => error instanceof WarehouseOwned,
    (owned) =>
      // It may be starting its engine just now.
      attach(directory).pipe(
        Effect.flatMap(Option.match({ onNone: () => Effect.fail(owned), onSome: (found) => Effect.succeed(found) })),
        Effect.retry({ schedule: Schedule.spaced("250 millis"), times: attachAttemptsMax })
      )
  )
})

const attach = (directory: string) =>
  Effect.map(
    EmbeddedWarehouse.attach(directory),
    Option.map((found) =>
      RunningWarehouse.of({
        url: found.url,
        tcpPort: found.tcpPort,
        owned: false,
        ownerPid: found.ownerPid,
        address: (role) => found.address(role),
        failed: Effect.never
      })
    )
  )

/** The client of the warehouse as one of its users. */
export const clientLayer = (role: WarehouseRole) =>
  Layer.unwrap(Effect.map(RunningWarehouse, (running) => ClickHouseWarehouse.layer(running.address(role))))

/** What the pipeline needs of the warehouse, for the settings of the environment. */
export const stateStoreLayer = Layer.unwrap(Effect.map(coreSettings, ClickHouseStateStore.layer)).pipe(
  Layer.provideMerge(clientLayer("writer"))
)

/** The log that `--log` or the environment says; made when it does not exist. */
export const logLayer = (dataDirectory: string, partitions?: number) =>
  Layer.unwrap(Effect.gen(function*() {
    if ((yield* logKind) === "kafka") return KafkaEventLog.layer(yield* kafkaLog(partitions))
    return SqliteEventLog.layer({ directory: paths(dataDirectory).log, partitions })
  }))

/** A log that must exist already: commands that only look do not create one. */
export const existingLogLayer = (dataDirectory: string) =>
  Layer.unwrap(Effect.gen(function*() {
    if ((yield* logKind) === "kafka") return KafkaEventLog.layer(yield* kafkaLog(null))
    if (SqliteEventLog.exists(paths(dataDirectory).log)) return logLayer(dataDirectory)
    return yield* new InstallationError({
      message: `There is no log in ${paths(dataDirectory).root}. Make one with guardian import or guardian demo, ` +
        "or name another --data-dir."
    })
  }))

/** The topic of dead letters beside the log's own; none beside SQLite's, where the table has them all. */
export const deadLetterSink = Effect.gen(function*() {
  if ((yield* logKind) !== "kafka") return undefined
  const { partitions } = yield* EventLog
  const options = yield* kafkaLog(partitions)
  const { append } = yield* KafkaEventLog.make({ ...options, topic: `${options.topic}.dlq` })
  return { source: options.topic, append } satisfies DeadLetterSink
})

/** The registry that the environment names, or the data directory's own. */
export const registryLayer = (dataDirectory: string) =>
  Layer.unwrap(
    Effect.map(httpRegistry, (options) =>
      options === undefined ?
        FileSchemaRegistry.layer({ directory: paths(dataDirectory).registry }) :
        rememberingRegistry(dataDirectory, options))
  )

const rememberingRegistry = (dataDirectory: string, options: HttpSchemaRegistryOptions) =>
  RememberedSchemas.layer({
    directory: RememberedSchemas.folderOf(paths(dataDirectory).registry, options.url),
    tell: Effect.logWarning
  }).pipe(Layer.provide(HttpSchemaRegistry.layer(options)))

/** The id of our own schema, registered when it is new. A registry that is away is waited for. */
export const eventSchemaId = Effect.gen(function*() {
  const registry = yield* SchemaRegistry
  const subject = (yield* logKind) === "kafka" ? `${(yield* kafkaLog(undefined)).topic}-value` : eventSubject
  return yield* registry.register(subject, avroSchema).pipe(
    Effect.tapError((error) =>
      error._tag === "RegistryError" && error.retryable ? Effect.logWarning(`waiting: ${error.message}`) : Effect.void
    ),
    Effect.retry({
      schedule: Schedule.spaced("2 seconds").pipe(Schedule.jittered),
      while: (error) => error._tag === "RegistryError" && error.retryable
    })
  )
})

/** Holds the right to process this data directory until the scope ends; refused while another process has it. */
export const ownPipeline = Effect.fnUntraced(
  function*(dataDirectory: string): Effect.fn.Return<void, InstallationError, Scope.Scope> {
    const { pipelineLock, pipelineOwner, root } = paths(dataDirectory)
    yield* attempt(() => mkdir(root, { recursive: true }))
    const lock = yield* Effect.acquireRelease(
      Effect.try({ try: () => tryLock(pipelineLock), catch: (cause) => unusable(root, cause) }),
      (held) => Effect.sync(() => held?.close())
    )
    if (lock === undefined) {
      const owner = yield* Effect.promise(() => readFile(pipelineOwner, "utf8").catch(() => ""))
      return yield* owned(dataDirectory, owner.trim())
    }
    yield* Effect.acquireRelease(
      attempt(() => writeFile(pipelineOwner, String(process.pid))),
      () => Effect.ignore(attempt(() => rm(pipelineOwner, { force: true })))
    )
  }
)

/** What whoever comes second is told; `pid` may be empty. */
export const owned = (dataDirectory: string, pid: string) =>
  new InstallationError({
    message:
      `Another process${pid === "" ? "" : ` (pid ${pid})`} is processing ${paths(dataDirectory).root}: what is ` +
      "appended to its log is processed there. Look with guardian lag, or name another --data-dir."
  })

/** The kernel takes the lock back when the process ends, however it ends. */
const tryLock = (path: string): DatabaseSync | undefined => {
  const lock = new DatabaseSync(path, { timeout: 0 })
  try {
    lock.exec("BEGIN EXCLUSIVE")
    return lock
  } catch (cause) {
    lock.close()
    if (cause instanceof Error && "errcode" in cause && cause.errcode === sqliteBusy) return undefined
    throw cause
  }
}

const sqliteBusy = 5

const attempt = <A>(work: () => Promise<A>): Effect.Effect<A, InstallationError> =>
  Effect.tryPromise({ try: work, catch: (cause) => unusable("the data directory", cause) })

const unusable = (what: string, cause: unknown) =>
  new InstallationError({ message: `cannot use ${what}: ${cause instanceof Error ? cause.message : String(cause)}` })
