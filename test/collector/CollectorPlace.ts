/** A collector in this process on a port of its own, before a real log or one that a test makes. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Stream } from "effect"
import type { Scope } from "effect"
import { HttpServer } from "effect/http"
import { createServer } from "node:http"
import { serve } from "../../src/collector/Collector.ts"
import type { CollectorCounters } from "../../src/collector/CollectorCounters.ts"
import { defaultLimits } from "../../src/collector/CollectorSettings.ts"
import type { CollectorLimits, CollectorSettings } from "../../src/collector/CollectorSettings.ts"
import type { WriteKey } from "../../src/collector/WriteKeys.ts"
import { partition } from "../../src/domain/Identifiers.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import type { LogBatch, LogError } from "../../src/log/EventLog.ts"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"
import { testFolder } from "../log/TestFolder.ts"

export interface CollectorPlace {
  readonly url: string
  readonly counters: CollectorCounters
  readonly send: (path: string, init?: RequestInit) => Effect.Effect<Response>
}

export interface PlaceOptions {
  readonly settings?: Partial<CollectorSettings>
  readonly limits?: Partial<CollectorLimits>
  readonly keys?: () => ReadonlyArray<WriteKey>
  readonly eventsPerSecond?: number
  readonly onFirstEvent?: Effect.Effect<void>
}

/** Gone with the scope. */
export const collectorPlace = (
  options: PlaceOptions = {}
): Effect.Effect<CollectorPlace, never, EventLog | Scope.Scope> =>
  Effect.gen(function*() {
    const services = yield* Layer.build(
      NodeHttpServer.layerServer(createServer, { host: "127.0.0.1", port: 0, gracefulShutdownTimeout: "1 second" })
    ).pipe(Effect.orDie)
    return yield* Effect.provide(
      Effect.gen(function*() {
        const counters = yield* serve({
          settings: {
            keysRequired: false,
            keysRead: true,
            origins: [],
            proxies: 0,
            visitorSecret: "secret",
            limits: { ...defaultLimits, ...options.limits },
            ...options.settings
          },
          schemaId: 1,
          keys: options.keys ?? (() => []),
          eventsPerSecond: options.eventsPerSecond ?? 1_000,
          onFirstEvent: options.onFirstEvent ?? Effect.void
        })
        const { address } = yield* HttpServer.HttpServer
        const url = HttpServer.formatAddress(address)
        return {
          url,
          counters,
          send: (path: string, init?: RequestInit) => Effect.promise(() => fetch(url + path, init))
        }
      }),
      services
    )
  })

/** A real log in a folder of its own. */
export const realLog: Layer.Layer<EventLog> = Layer.unwrap(
  Effect.map(testFolder, (directory) => SqliteEventLog.layer({ directory, partitions: 3 }))
).pipe(Layer.orDie)

/** A log whose appends do what a test says. */
export const logWith = (
  append: EventLog["Service"]["append"]
): Layer.Layer<EventLog> =>
  Layer.succeed(
    EventLog,
    EventLog.of({
      logId: "test",
      partitions: 3,
      append,
      read: () => {
        throw new Error("nobody reads here")
      },
      ranges: Effect.succeed([]),
      trim: () => Effect.succeed(0)
    })
  )

export interface StoredRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly value: Buffer
  readonly headers: Readonly<Record<string, string>> | undefined
}

/** All that the log holds now. */
export const storedRecords: Effect.Effect<ReadonlyArray<StoredRecord>, LogError, EventLog> = Effect.gen(function*() {
  const log = yield* EventLog
  const found: Array<StoredRecord> = []
  for (const [number, { end, start }] of (yield* log.ranges).entries()) {
    let left = end - start
    if (left === 0) continue
    yield* log.read(partition(number), start, { recordsMax: 1_000 }).pipe(
      Stream.takeUntil((batch: LogBatch) => (left -= batch.count) <= 0),
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          for (let i = 0; i < batch.count; i++) {
            found.push({
              partition: number,
              offset: batch.offset(i),
              key: batch.key(i).toString(),
              value: Buffer.from(batch.value(i)),
              headers: batch.headers(i)
            })
          }
        })
      ),
      Effect.catchTag("OffsetOutOfRange", (error) => Effect.die(error))
    )
  }
  return found
})
