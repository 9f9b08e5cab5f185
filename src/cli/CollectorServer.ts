/** The collector of a data directory: its settings from flags and environment, its listener, its place beside the other roles. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Config, Effect, Layer, Option } from "effect"
import { Flag } from "effect/cli"
import { HttpMiddleware, HttpServer } from "effect/http"
import { createServer } from "node:http"
import { serve } from "../collector/Collector.ts"
import type { CollectorCounters } from "../collector/CollectorCounters.ts"
import { connectionLimits, defaultLimits } from "../collector/CollectorSettings.ts"
import type { CollectorSettings } from "../collector/CollectorSettings.ts"
import { announcePort } from "./CollectorPort.ts"
import { collectorVariables, processVariables, SettingsError, wholeNumber } from "./Environment.ts"
import type { Variable } from "./Environment.ts"
import { portFlag, print } from "./Flags.ts"
import { eventSchemaId, InstallationError } from "./Installation.ts"
import { markLive } from "./LiveLog.ts"
import { collectorSecret, watchedKeys } from "./WriteKeysFile.ts"

export interface CollectorPlace {
  readonly host: string | undefined
  readonly port: number | undefined
}

export const collectorHost = Flag.String("collector-host").pipe(
  Flag.withDescription("Address that the collector listens on (else GUARDIAN_COLLECTOR_HOST, or 127.0.0.1)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

export const collectorPort = portFlag("collector-port").pipe(
  Flag.withDescription("Its port (else GUARDIAN_COLLECTOR_PORT, or 8081; 0: any free one)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

/** Where a collector's counters are found once it listens. */
export class CollectorBoard {
  counters: CollectorCounters | undefined
}

/** Collects until interrupted. The log counts as live from the first event on. */
export const collect = Effect.fnUntraced(function*(
  dataDirectory: string,
  place: CollectorPlace,
  board: CollectorBoard = new CollectorBoard()
) {
  const { host, keys, settings } = yield* guarded(dataDirectory, place)
  const asked = place.port ?? (yield* wholeNumber(processVariables.collectorPort))
  const schemaId = yield* eventSchemaId
  const eventsPerSecond = (yield* wholeNumber(processVariables.collectorKeyRate)) ??
    Number(processVariables.collectorKeyRate.fallback)
  const server = yield* listener(host, asked)
  board.counters = yield* Effect.provideService(
    serve({
      settings,
      schemaId,
      keys,
      eventsPerSecond: Math.max(1, eventsPerSecond),
      onFirstEvent: Effect.catch(markLive(dataDirectory), (error) => Effect.logWarning(error.message))
    }),
    HttpServer.HttpServer,
    server
  ).pipe(Effect.provideService(HttpMiddleware.TracerDisabledWhen, neverTraced))
  if (server.address._tag !== "UnixPathAddress") yield* announcePort(dataDirectory, server.address.port)
  yield* print(`Collector at ${HttpServer.formatAddress(server.address)}: POST /collect, and the paths of known SDKs`)
  return yield* Effect.never
}, Effect.scoped)

/** Where it would listen, and for whom; refused where strangers could send without a key. */
const guarded = Effect.fnUntraced(function*(dataDirectory: string, { host: named }: CollectorPlace) {
  const host = named ?? (yield* text(collectorVariables.host))
  const keys = yield* watchedKeys(dataDirectory)
  const settings = yield* settingsOf(dataDirectory, host)
  if (settings.keysRequired && !keys().some(({ revoked_at }) => revoked_at === undefined)) {
    return yield* new InstallationError({
      message: isLoopback(host) ?
        `Write keys are asked for (${collectorVariables.keys.name}, or ${processVariables.collectorProxies.name}) and there is none: ` +
        "make one with guardian keys add NAME." :
        `The collector would listen on ${host}, where strangers can send: make a write key first, with guardian keys add NAME, ` +
        `or name one in ${collectorVariables.writeKeys.name}.`
    })
  }
  return { host, keys, settings }
})

/** The same refusal, before anything is started. */
export const refuseUnguarded = (
  dataDirectory: string,
  place: CollectorPlace
) => Effect.scoped(Effect.asVoid(guarded(dataDirectory, place)))

/** A request may be a single event, and its address may hold a write key. */
const neverTraced = () => true

const settingsOf = Effect.fnUntraced(function*(dataDirectory: string, host: string) {
  const mode = yield* text(collectorVariables.keys)
  if (!["auto", "required", "off"].includes(mode)) {
    return yield* new SettingsError({ message: `${collectorVariables.keys.name} must be auto, required or off` })
  }
  if (mode === "off" && !isLoopback(host)) {
    return yield* new SettingsError({
      message: `${collectorVariables.keys.name} cannot be off on ${host}: strangers can send there`
    })
  }
  const proxies = (yield* wholeNumber(processVariables.collectorProxies)) ?? 0
  const origins = (yield* text(collectorVariables.origins)).split(",").map((origin) => origin.trim())
  return {
    // Behind a proxy on this machine loopback is where strangers come from.
    keysRequired: mode === "required" || (mode === "auto" && (proxies > 0 || !isLoopback(host))),
    keysRead: mode !== "off",
    origins: origins.filter((origin) => origin !== ""),
    proxies,
    visitorSecret: yield* collectorSecret(dataDirectory),
    limits: defaultLimits
  } satisfies CollectorSettings
})

const isLoopback = (host: string): boolean => /^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host)

/** Never another port than the one that senders know. */
const listener = Effect.fnUntraced(function*(host: string, asked: number | undefined) {
  const port = asked ?? Number(processVariables.collectorPort.fallback)
  const context = yield* Layer.build(NodeHttpServer.layerServer(server, {
    host,
    port,
    backlog: connectionLimits.backlog,
    gracefulShutdownTimeout: "3 seconds"
  })).pipe(
    Effect.mapError(({ cause }) =>
      new InstallationError({
        message: `The collector cannot listen on ${host}:${port}: ${
          cause instanceof Error ? cause.message : String(cause)
        }. Name another port with --collector-port or ${processVariables.collectorPort.name}; 0 is any free one.`
      })
    )
  )
  return yield* Effect.provide(HttpServer.HttpServer, context)
})

const server = () => {
  const made = createServer({
    headersTimeout: connectionLimits.headersMs,
    requestTimeout: connectionLimits.requestMs,
    keepAliveTimeout: connectionLimits.keepAliveMs,
    connectionsCheckingInterval: connectionLimits.checkMs,
    maxHeaderSize: connectionLimits.headerBytesMax
  })
  made.maxConnections = connectionLimits.connectionsMax
  return made
}

/** A text from the environment, or what holds when it is not set. */
const text = (variable: Variable): Effect.Effect<string, SettingsError> =>
  Config.String(variable.name).pipe(
    Config.withDefault(""),
    Effect.mapError((error) => new SettingsError({ message: error.message })),
    Effect.map((value) => value === "" ? variable.fallback : value)
  )
