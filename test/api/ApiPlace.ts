/** The API over HTTP in front of a real warehouse with known content. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer } from "effect"
import { FetchHttpClient, HttpRouter } from "effect/http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { apiRoutes, apiServices, routerConfig } from "../../src/api/ApiRoutes.ts"
import { ApiSources } from "../../src/api/ApiSources.ts"
import type { CollectorFigures, PipelineFigures } from "../../src/api/ApiSources.ts"
import { makeClient } from "../../src/api/Client.ts"
import type { Key } from "../../src/api/Keys.ts"
import type { PartitionRange } from "../../src/log/EventLog.ts"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import type { Warehouse } from "../../src/warehouse/Warehouse.ts"

export interface ApiPlaceOptions {
  readonly host?: string
  readonly readKeys?: ReadonlyArray<Key>
  readonly adminKeys?: ReadonlyArray<Key>
  readonly pages?: string
  /** Instead of the embedded one's reader. */
  readonly reader?: Warehouse["Service"]
  readonly ranges?: ReadonlyArray<PartitionRange>
  readonly pipeline?: () => PipelineFigures
  readonly collector?: () => CollectorFigures
  readonly logNames?: { readonly topic: string; readonly group: string }
}

/** Serves until the scope ends. The reader is the embedded warehouse's read-only user. */
export const apiPlace = Effect.fnUntraced(function*(warehouse: Warehouse["Service"], options: ApiPlaceOptions = {}) {
  const embedded = yield* EmbeddedWarehouse
  const reader = options.reader ?? (yield* make({ ...embedded.address("reader"), database: warehouse.database }))
  const server = createServer()
  const sources = ApiSources.of({
    logNames: options.logNames,
    reader,
    writer: warehouse,
    logRanges: Effect.succeed(options.ranges),
    reading: undefined,
    pipeline: options.pipeline,
    collector: options.collector
  })
  yield* Layer.build(
    HttpRouter.serve(
      apiRoutes({
        host: options.host ?? "127.0.0.1",
        readKeys: options.readKeys ?? [],
        adminKeys: options.adminKeys ?? [],
        pages: options.pages ?? "/nowhere"
      }),
      { routerConfig, disableLogger: true, disableListenLog: true }
    ).pipe(
      Layer.provide(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port: 0 })),
      Layer.provide(apiServices),
      Layer.provide(Layer.succeed(ApiSources, sources))
    )
  )
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = yield* makeClient({ url }).pipe(Effect.provide(FetchHttpClient.layer))
  return { url, client, reader }
})

/** A request as it is, with its body as text. */
export const request = (url: string, init?: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(url, init)
    return { status: response.status, headers: response.headers, text: await response.text() }
  })
