/**
 * Logs of messy traffic that depend on nothing but their options: the append clock is the traffic's own. So two logs of the same
 * options hold the same records at the same offsets, and differ only in their id.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { paths } from "../../src/cli/Installation.ts"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { EpochMillis, Offset, Partition } from "../../src/domain/Identifiers.ts"
import { heartbeats } from "../../src/log/ControlRecords.ts"
import type { EventLog, LogError } from "../../src/log/EventLog.ts"
import * as FileSchemaRegistry from "../../src/log/FileSchemaRegistry.ts"
import { SchemaRegistry } from "../../src/log/SchemaRegistry.ts"
import type { RegistryError, SchemaRefused } from "../../src/log/SchemaRegistry.ts"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"
import { encodeEvent, eventSubject } from "../../src/log/WireFormat.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"

export interface MessyLogOptions {
  /** Of an installation: the log and the registry are made in it. */
  readonly dataDirectory: string
  readonly partitions: number
  readonly seed: number
  /** Of event time. Bridges come a gap apart, so a small log must be slow. */
  readonly eventsPerSecond: number
  readonly visitors?: number
  /** The session gap that the traffic plays with; default the core's. */
  readonly gapMs?: number
}

export interface MessyLog {
  readonly log: EventLog["Service"]
  readonly registry: SchemaRegistry["Service"]
  /** Appends the next records of the traffic and a heartbeat to each partition; returns the append time of the newest. */
  append(count: number): Effect.Effect<EpochMillis, LogError>
}

/** Some midnight lies within the first hour of traffic, so that sessions cross a day. */
const startMs = Date.UTC(2026, 0, 1, 23, 40)
const appendRecordsMax = 5_000

/** Opens the log, until the scope ends. */
export const messyLog = Effect.fnUntraced(
  function*(
    options: MessyLogOptions
  ): Effect.fn.Return<MessyLog, LogError | RegistryError | SchemaRefused, Scope.Scope> {
    const { dataDirectory, partitions, ...traffic } = options
    const shop = new ShopTraffic({ ...traffic, startMs, mode: "messy" })
    const now = () => Math.floor(shop.nextAt) as EpochMillis
    const registry = yield* openRegistry(dataDirectory)
    const log = yield* SqliteEventLog.make({ directory: paths(dataDirectory).log, partitions, now })
    const schemaId = yield* registry.register(eventSubject, avroSchema)
    const append = Effect.fnUntraced(function*(count: number) {
      for (let left = count; left > 0; left -= appendRecordsMax) {
        yield* log.append(shop.nextRecords(Math.min(left, appendRecordsMax), (event) => encodeEvent(schemaId, event)))
      }
      // They move nothing here: the watermark is ahead of them. But they must count as nothing.
      yield* log.append(heartbeats(partitions))
      return now()
    })
    return { log, registry, append }
  }
)

/** The registry of an installation. */
export const openRegistry = Effect.fnUntraced(function*(dataDirectory: string) {
  return yield* Effect.provide(
    SchemaRegistry,
    FileSchemaRegistry.layer({ directory: paths(dataDirectory).registry })
  )
})

/** Partitions and offsets by the log's own word. */
export const logEnds = (
  log: EventLog["Service"]
): Effect.Effect<ReadonlyArray<readonly [Partition, Offset]>, LogError> =>
  Effect.map(log.ranges, (ranges) => ranges.map(({ end }, partition) => [partition as Partition, end] as const))
