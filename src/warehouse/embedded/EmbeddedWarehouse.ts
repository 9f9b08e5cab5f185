/**
 * The embedded warehouse: the real ClickHouse server of `libchdb.so` in a supervised child process, on loopback. To everyone else
 * it is an address, like a server that somebody runs.
 *
 * A directory holds: `engine/` (ClickHouse's data), `engine.xml` (its configuration, written at each start), `credentials.json`,
 * `ports.json`, `owner.lock` and `owner.json` (who runs it now).
 */
import { Context, Effect, Layer, Option, Redacted, Schedule } from "effect"
import type { Scope } from "effect"
import { randomUUID } from "node:crypto"
import { mkdir } from "node:fs/promises"
import { totalmem } from "node:os"
import { join, resolve } from "node:path"
import type { WarehouseAddress } from "../Warehouse.ts"
import { addressOf, credentialsPath, databaseName, loadCredentials, readCredentials } from "./Credentials.ts"
import type { Credentials, WarehouseRole } from "./Credentials.ts"
import { WarehouseStartError } from "./EmbeddedWarehouseErrors.ts"
import type { WarehouseOwned } from "./EmbeddedWarehouseErrors.ts"
import { httpUrl } from "./Engine.ts"
import type { EngineOptions } from "./Engine.ts"
import { exchange } from "./Exchange.ts"
import { findOwner, orphanAnswers, own, removeState, unusableDirectory, writeState } from "./Owner.ts"
import { freePort, rememberedPorts, rememberPorts } from "./Ports.ts"
import { writePrivateFile } from "./PrivateFile.ts"
import { serverConfig } from "./ServerConfig.ts"
import { startError, supervise } from "./Supervisor.ts"
import type { Supervisor, SupervisorState } from "./Supervisor.ts"
import type { AnalystLimits } from "./Users.ts"

export interface EmbeddedWarehouseOptions {
  /** Made if missing, readable by its owner only. One process at a time. */
  readonly directory: string
  /** Left out: the port of the last run, or any free one. */
  readonly httpPort?: number | undefined
  /** ClickHouse's native protocol. Left out: off. 0: the port of the last run, or any free one. */
  readonly tcpPort?: number | undefined
  /** All queries and merges together. Left out: 40 % of the memory, between 1 and 4 GB. */
  readonly memoryBytesMax?: number | undefined
  /** Left out, each: see `analystLimits`. */
  readonly analyst?: AnalystOptions | undefined
  /** How long one start of the engine may take. Left out: 30 s. */
  readonly readyTimeoutMs?: number | undefined
}

export type AnalystOptions = { readonly [Limit in keyof AnalystLimits]?: AnalystLimits[Limit] | undefined }

/** The running warehouse of another process, found through its directory. */
export interface AttachedWarehouse {
  readonly url: string
  readonly tcpPort: number | undefined
  readonly ownerPid: number
  address(role: WarehouseRole): WarehouseAddress
}

export class EmbeddedWarehouse extends Context.Service<EmbeddedWarehouse, {
  /** Stays the same over restarts of the engine; while one lasts, connections are refused: retry. */
  readonly url: string
  readonly tcpPort: number | undefined
  address(role: WarehouseRole): WarehouseAddress
  /** Whether the engine sees no files but its own. Where false, every user of the warehouse can read this account's files. */
  readonly confined: boolean
  /** Of the engine's process now. */
  readonly pid: Effect.Effect<number>
  /** How often the engine had to be started again. */
  readonly restarts: Effect.Effect<number>
  readonly state: Effect.Effect<SupervisorState>
  /** Waits; fails when the engine could not be started again several times in a row. Then only a new start helps. */
  readonly failed: Effect.Effect<never, WarehouseStartError>
  /** SIGKILL to the engine, for fault tests. Returns when it is dead; the supervisor starts another. */
  readonly kill: Effect.Effect<void>
}>()("guardian/warehouse/embedded/EmbeddedWarehouse") {
  /** Starts the warehouse and stops it with the scope. Live clock only: it waits for a real process. */
  static readonly layer = (
    options: EmbeddedWarehouseOptions
  ): Layer.Layer<EmbeddedWarehouse, WarehouseStartError | WarehouseOwned> =>
    Layer.effect(EmbeddedWarehouse, make(options))

  /** The warehouse that another process (or another layer of this one) runs in this directory, if it lives and answers. */
  static readonly attach = (directory: string): Effect.Effect<Option.Option<AttachedWarehouse>> => attach(directory)
}

const make = Effect.fnUntraced(function*(
  options: EmbeddedWarehouseOptions
): Effect.fn.Return<EmbeddedWarehouse["Service"], WarehouseStartError | WarehouseOwned, Scope.Scope> {
  const directory = resolve(options.directory)
  const engineDirectory = join(directory, "engine")
  yield* Effect.tryPromise({
    try: () => mkdir(engineDirectory, { recursive: true, mode: 0o700 }),
    catch: (cause) => unusableDirectory(directory, cause)
  })
  yield* own(directory)
  yield* waitForOrphan(directory)

  const identity = `guardian-${randomUUID()}`
  const owner = { pid: process.pid, identity, credentials: credentialsPath(directory) }
  yield* Effect.acquireRelease(writeState(directory, owner), () => removeState(directory))
  const credentials = yield* loadCredentials(directory)
  const configPath = join(directory, "engine.xml")
  yield* writeConfig(directory, configPath, identity, credentials, options)

  const { httpPort, supervisor, tcpPort } = yield* startOnPorts(directory, options, {
    directory: engineDirectory,
    configPath,
    identity,
    readyTimeoutMs: options.readyTimeoutMs ?? 30_000
  })
  const url = httpUrl(httpPort)
  const address = addressOf(url, credentials)
  const first = Effect.andThen(createDatabase(address("writer")), checkConfined(address("analyst"), directory))
  // Killed meanwhile, it is started again by its supervisor.
  const confined = yield* Effect.raceFirst(
    Effect.retry(first, {
      schedule: Schedule.spaced("200 millis"),
      times: firstAttemptsMax,
      while: ({ cause }) => cause !== undefined
    }),
    supervisor.failed
  )
  yield* rememberPorts(directory, { http: httpPort, ...(tcpPort === undefined ? {} : { tcp: tcpPort }) })
  yield* writeState(directory, { ...owner, url, ...(tcpPort === undefined ? {} : { tcpPort }) })

  return EmbeddedWarehouse.of({
    url,
    tcpPort,
    address,
    confined,
    pid: Effect.map(supervisor.engine, (engine) => engine.pid),
    restarts: supervisor.restarts,
    state: supervisor.state,
    failed: supervisor.failed,
    kill: Effect.flatMap(supervisor.engine, (engine) => engine.kill)
  })
})

const attach = Effect.fnUntraced(function*(
  directory: string
): Effect.fn.Return<Option.Option<AttachedWarehouse>> {
  const owner = yield* findOwner(resolve(directory))
  if (Option.isNone(owner)) return Option.none()
  const { credentials: path, pid, tcpPort, url } = owner.value
  const credentials = yield* Effect.option(readCredentials(path))
  return Option.map(credentials, (credentials) => ({
    url,
    tcpPort,
    ownerPid: pid,
    address: addressOf(url, credentials)
  }))
})

/** How often the first statements are tried, one every 200 ms. */
const firstAttemptsMax = 50

const orphanWaitMs = 10_000
const orphanPollMs = 50

/** The engine of an owner that was killed still answers for about a second, on the port that we want. */
const waitForOrphan = Effect.fnUntraced(function*(directory: string) {
  const deadline = Date.now() + orphanWaitMs
  while (Date.now() < deadline && (yield* orphanAnswers(directory))) yield* Effect.sleep(orphanPollMs)
})

const writeConfig = (
  directory: string,
  path: string,
  identity: string,
  credentials: Credentials,
  options: EmbeddedWarehouseOptions
): Effect.Effect<void, WarehouseStartError> => {
  const memoryBytesMax = options.memoryBytesMax ?? defaultMemoryBytesMax()
  return Effect.tryPromise({
    try: () =>
      writePrivateFile(
        path,
        serverConfig({
          path,
          identity,
          credentials,
          memoryBytesMax,
          analyst: analystLimits(memoryBytesMax, options.analyst)
        })
      ),
    catch: (cause) => unusableDirectory(directory, cause)
  })
}

const gigabyte = 1_000_000_000

/** Analysts get two fifths of the memory at most, all together: inserts, merges and views need the rest. One thread each. */
export const analystLimits = (memoryBytesMax: number, chosen: AnalystOptions = {}): AnalystLimits => {
  const together = chosen.memoryBytesTogetherMax ?? Math.round(memoryBytesMax * 0.4)
  return {
    executionSecondsMax: chosen.executionSecondsMax ?? 20,
    memoryBytesMax: Math.min(together, chosen.memoryBytesMax ?? gigabyte),
    memoryBytesTogetherMax: together,
    threadsMax: chosen.threadsMax ?? 1,
    resultRowsMax: chosen.resultRowsMax ?? 1_000_000,
    concurrentQueriesMax: chosen.concurrentQueriesMax ?? 4,
    temporaryBytesMax: chosen.temporaryBytesMax ?? 4 * gigabyte
  }
}

/** A container's limit counts, not the machine behind it. */
const defaultMemoryBytesMax = (): number => {
  const limit = process.constrainedMemory()
  const memory = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  return Math.round(Math.min(4 * gigabyte, Math.max(gigabyte, memory * 0.4)))
}

const portAttemptsMax = 5

/** A port that the caller named is used or refused; one that we found free may be lost to a faster program: find another. */
const startOnPorts = Effect.fnUntraced(function*(
  directory: string,
  options: EmbeddedWarehouseOptions,
  engine: Omit<EngineOptions, "httpPort" | "tcpPort">
): Effect.fn.Return<
  { readonly httpPort: number; readonly tcpPort: number | undefined; readonly supervisor: Supervisor },
  WarehouseStartError,
  Scope.Scope
> {
  const remembered = yield* rememberedPorts(directory)
  for (let attempt = 1;; attempt++) {
    const httpPort = options.httpPort || (yield* freePort(attempt === 1 ? remembered.http : undefined))
    const tcpPort = options.tcpPort === 0 ?
      yield* freePort(attempt === 1 ? remembered.tcp : undefined) :
      options.tcpPort
    const started = yield* Effect.result(supervise({ ...engine, httpPort, tcpPort }))
    if (started._tag === "Success") return { httpPort, tcpPort, supervisor: started.success }
    const failure = started.failure
    const ours = failure.port !== options.httpPort && failure.port !== options.tcpPort
    if (failure.reason !== "port-taken" || !ours || attempt === portAttemptsMax) return yield* startError(failure)
  }
})

/** So that every user can sign in to it before the first migration ran. */
const createDatabase = (writer: WarehouseAddress): Effect.Effect<void, WarehouseStartError> =>
  Effect.flatMap(
    execute(writer, `CREATE DATABASE IF NOT EXISTS ${databaseName} ENGINE = Atomic`),
    (refusal) =>
      refusal === undefined ? Effect.void : Effect.fail(
        new WarehouseStartError({
          reason: "engine",
          message: `the embedded warehouse could not make its database: ${refusal}`
        })
      )
  )

/** Asks for a file beside the engine's directory as a user could: see `confine.ts`. */
const checkConfined = Effect.fnUntraced(function*(
  analyst: WarehouseAddress,
  directory: string
): Effect.fn.Return<boolean, WarehouseStartError> {
  const refusal = yield* execute(analyst, "SELECT length(file({path:String}))", credentialsPath(directory))
  if (refusal !== undefined) return true
  yield* Effect.logWarning(
    "this system cannot confine the embedded warehouse (Linux 6.2 with Landlock can): its users can read the files of this " +
      "account by the SQL function file(). Give their passwords to nobody who may not."
  )
  return false
})

/** ClickHouse's refusal, or undefined when it obeyed. */
const execute = (
  user: WarehouseAddress,
  sql: string,
  path?: string
): Effect.Effect<string | undefined, WarehouseStartError> =>
  Effect.tryPromise({
    try: async (signal) => {
      const parameters = path === undefined ? "" : `/?param_path=${encodeURIComponent(path)}`
      const { status, text } = await exchange(`${user.url}${parameters}`, {
        body: sql,
        headers: { "X-ClickHouse-User": user.username, "X-ClickHouse-Key": Redacted.value(user.password) },
        signal
      })
      return status === 200 ? undefined : text.trim()
    },
    catch: (cause) =>
      new WarehouseStartError({
        reason: "engine",
        message: `the embedded warehouse stopped answering while starting: ${String(cause)}`,
        cause
      })
  })
