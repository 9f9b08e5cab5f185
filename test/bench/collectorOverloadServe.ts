/**
 * A collector whose log takes at most so many records a second: `node collectorOverloadServe.ts DIRECTORY RECORDS_PER_SECOND`. Prints its
 * port, then runs until it is killed.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Semaphore } from "effect"
import { HttpServer } from "effect/http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { serve } from "../../src/collector/Collector.ts"
import { connectionLimits, defaultLimits } from "../../src/collector/CollectorSettings.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"

const [directory, rate] = process.argv.slice(2)

const program = Effect.gen(function*() {
  const log = yield* SqliteEventLog.make({ directory: directory! })
  const turn = yield* Semaphore.make(1)
  const append: EventLog["Service"]["append"] = (records) =>
    Effect.andThen(turn.withPermits(1)(Effect.sleep(records.length / Number(rate) * 1_000)), log.append(records))
  const node = createServer({ keepAliveTimeout: connectionLimits.keepAliveMs })
  const context = yield* Layer.build(NodeHttpServer.layerServer(() => node, { host: "127.0.0.1", port: 0 }))
  yield* serve({
    settings: {
      keysRequired: false,
      keysRead: false,
      origins: [],
      proxies: 0,
      visitorSecret: "bench",
      limits: defaultLimits
    },
    schemaId: 1,
    keys: () => [],
    eventsPerSecond: 1,
    onFirstEvent: Effect.void
  }).pipe(
    Effect.provideService(EventLog, { ...log, append }),
    Effect.provideService(HttpServer.HttpServer, yield* Effect.provide(HttpServer.HttpServer, context))
  )
  console.log((node.address() as AddressInfo).port)
  return yield* Effect.never
})

await Effect.runPromise(Effect.scoped(program))
