/** The API's listener: its settings, its two clients of the warehouse, and Node's HTTP server. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Config, Context, Effect, Layer, Option } from "effect"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { apiRoutes, apiServices, routerConfig } from "../api/ApiRoutes.ts"
import { ApiSources } from "../api/ApiSources.ts"
import type { CollectorFigures, PipelineFigures } from "../api/ApiSources.ts"
import { checkAccess, parseKeys } from "../api/Keys.ts"
import { EventLog } from "../log/EventLog.ts"
import { SchemaRegistry } from "../log/SchemaRegistry.ts"
import * as ClickHouseWarehouse from "../warehouse/ClickHouseWarehouse.ts"
import { accessVariables, processVariables, SettingsError, wholeNumber } from "./Environment.ts"
import type { Variable } from "./Environment.ts"
import { InstallationError, RunningWarehouse } from "./Installation.ts"
import { kafkaNames, logKind } from "./LogChoice.ts"

export interface ApiServerOptions {
  readonly port: number | undefined
  readonly pipeline: (() => PipelineFigures) | undefined
  readonly collector: (() => CollectorFigures | undefined) | undefined
}

/** Limits of a connection, ms: a client that is slow to ask is not waited for. */
const headersTimeoutMs = 10_000
const requestTimeoutMs = 30_000
const connectionsMax = 1_000

/** Where a build puts the dashboard. */
const pages = join(import.meta.dirname, "..", "dashboard", "dist")

/** Listens until the scope ends, and says where. Refused: a public address without keys, a port that is taken. */
export const listen = Effect.fnUntraced(function*(options: ApiServerOptions) {
  const settings = yield* apiSettings(options.port)
  const made = server()
  yield* Layer.build(
    HttpRouter.serve(apiRoutes({ ...settings, pages }), { routerConfig, disableLogger: true, disableListenLog: true })
      .pipe(
        Layer.provide(
          NodeHttpServer.layer(() => made, {
            host: settings.host,
            port: settings.port,
            gracefulShutdownTimeout: "1 second"
          })
        ),
        Layer.provide(apiServices),
        Layer.provide(sourcesLayer(options))
      )
  ).pipe(
    Effect.catchTag("ServeError", ({ cause }) =>
      Effect.fail(
        new InstallationError({
          message: `API and dashboard cannot listen on ${settings.host}:${settings.port}: ${
            cause instanceof Error ? cause.message : String(cause)
          }. Name another port with --api-port or ${processVariables.apiPort.name}.`
        })
      ))
  )
  // Port 0 is any free one: say which it is.
  const { port } = made.address() as AddressInfo
  return `http://${settings.host.includes(":") ? `[${settings.host}]` : settings.host}:${port}`
})

const server = () => {
  const made = createServer({ headersTimeout: headersTimeoutMs, requestTimeout: requestTimeoutMs })
  made.maxConnections = connectionsMax
  return made
}

const textOf = (variable: Variable) =>
  Config.String(variable.name).pipe(
    Config.withDefault(""),
    Effect.mapError((error) => new SettingsError({ message: error.message }))
  )

const apiSettings = Effect.fnUntraced(function*(flag: number | undefined) {
  const { apiAdminKeys, apiHost, apiReadKeys } = accessVariables
  const { apiPort } = processVariables
  const host = (yield* textOf(apiHost)) || apiHost.fallback
  const port = flag ?? (yield* wholeNumber(apiPort)) ?? Number(apiPort.fallback)
  const readKeys = yield* parseKeys(apiReadKeys.name, yield* textOf(apiReadKeys))
  const adminKeys = yield* parseKeys(apiAdminKeys.name, yield* textOf(apiAdminKeys))
  const settings = { host, port, readKeys, adminKeys }
  yield* checkAccess(settings)
  return settings
})

const sourcesLayer = ({ collector, pipeline }: ApiServerOptions) =>
  Layer.effect(
    ApiSources,
    Effect.gen(function*() {
      const running = yield* RunningWarehouse
      const log = yield* Effect.serviceOption(EventLog)
      const registry = yield* Effect.serviceOption(SchemaRegistry)
      return ApiSources.of({
        reader: yield* ClickHouseWarehouse.make(running.address("reader")),
        writer: yield* ClickHouseWarehouse.make(running.address("writer")),
        logRanges: Option.isSome(log) ? log.value.ranges : Effect.succeed(undefined),
        logNames: (yield* logKind) === "kafka" ? yield* kafkaNames : undefined,
        reading: Option.isSome(log) && Option.isSome(registry) ?
          Context.make(EventLog, log.value).pipe(Context.add(SchemaRegistry, registry.value)) :
          undefined,
        pipeline,
        collector
      })
    })
  )
