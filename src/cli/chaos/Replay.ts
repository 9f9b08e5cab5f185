/** The undisturbed run: another database from the same log, with nobody in its way, and whether it says the same. */
import { Deferred, Effect, Layer, References, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { CoreSettings, coreVersion } from "../../domain/Settings.ts"
import { EventLog } from "../../log/EventLog.ts"
import { endingAt } from "../../log/LogSection.ts"
import { contents, differences, readContent, written } from "../../operations/chaos/Content.ts"
import type { Position } from "../../operations/chaos/Proof.ts"
import { counted } from "../../operations/chaos/Proof.ts"
import type { Compared } from "../../operations/chaos/Report.ts"
import { run } from "../../pipeline/Pipeline.ts"
import { PipelineStatus } from "../../pipeline/PipelineStatus.ts"
import * as ClickHouseStateStore from "../../warehouse/ClickHouseStateStore.ts"
import * as ClickHouseWarehouse from "../../warehouse/ClickHouseWarehouse.ts"
import { migrate } from "../../warehouse/Migrations.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { checkpoints } from "../Checkpoints.ts"
import type { ChaosPlace } from "./ChaosStage.ts"

/** A longer log would take too long to process again. */
const replayRecordsMax = 10_000_000

/**
 * Why a run over the log, which starts where it starts now, could not give what the database has at these positions; undefined: it
 * could. Asked before the fault: what a fault does is no reason.
 */
export const whyNotReplayed = Effect.fnUntraced(function*(from: ReadonlyArray<Position>) {
  const ranges = yield* (yield* EventLog).ranges
  const records = ranges.reduce((sum, { end, start }) => sum + end - start, 0)
  if (records > replayRecordsMax) {
    return `the log holds ${records.toLocaleString("en")} records; at most ${
      replayRecordsMax.toLocaleString("en")
    } are processed again`
  }
  const trimmed = ranges.findIndex(({ start }) => start > 0)
  if (trimmed >= 0) return `the log no longer holds the first records of partition ${trimmed} (retention)`
  const version = (yield* checkpoints).find((each) => each.coreVersion !== coreVersion)?.coreVersion
  if (version !== undefined) {
    return `the pipelines are of another version than this command (results ${version} against ${coreVersion})`
  }
  const controls = yield* controlsBelow(from)
  const skipped = from.findIndex((position, partition) =>
    counted(position.outcomes) + controls[partition]! !== position.offset
  )
  return skipped < 0 ?
    undefined :
    `the database has not counted all records of partition ${skipped} from the log's start on (guardian log reset)`
})

const controlsBelow = Effect.fnUntraced(function*(from: ReadonlyArray<Position>) {
  const bounds = from.map(({ offset }, partition) => `(partition = ${partition} AND offset < ${offset})`).join(" OR ")
  const rows = yield* (yield* Warehouse).query(
    `SELECT partition, count() AS records FROM control_records FINAL WHERE ${bounds} GROUP BY partition`
  )
  const found = new Map(rows.map((row) => [Number(row["partition"]), Number(row["records"])]))
  return from.map((_, partition) => found.get(partition) ?? 0)
})

/**
 * Drains the log up to these positions into another database on the same server, compares all that the two say, and drops it. Where
 * the user may make no database it is said why nothing was compared.
 */
export const compareWithReplay = Effect.fnUntraced(
  function*(place: ChaosPlace, to: ReadonlyArray<Position>) {
    const warehouse = yield* Warehouse
    const database = `${warehouse.database}_undisturbed`
    const address = place.addressOf(database)
    const drop = warehouse.command(`DROP DATABASE IF EXISTS ${database} SYNC`)
    // One that a killed run left behind.
    yield* drop
    yield* Effect.addFinalizer(() => Effect.ignore(drop))
    yield* migrate(address)
    const undisturbed = yield* ClickHouseWarehouse.make(address)
    const settings = yield* settingsThere
    yield* run({
      settings,
      runId: randomUUID(),
      status: new PipelineStatus(),
      until: "drained",
      stop: yield* Deferred.make<void>()
    }).pipe(
      Effect.provide(
        ClickHouseStateStore.layer(settings).pipe(Layer.provide(Layer.succeed(Warehouse, undisturbed)))
      ),
      Effect.provideService(EventLog, endingAt(yield* EventLog, to.map(({ offset }) => offset))),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
    // What people have said of it since, by verdicts and amendments, is no function of the log.
    const selects = place.isOurs ? contents : written
    return {
      differences: differences(yield* readContent(warehouse, selects), yield* readContent(undisturbed, selects)),
      notCompared: undefined
    } as Compared
  },
  Effect.scoped,
  Effect.catchIf(
    (error) => error._tag === "WarehouseError" && refusedCodes.has(error.code),
    ({ message }) => Effect.succeed(notComparedFor(message))
  )
)

/** No undisturbed run, for a reason. */
export const notComparedFor = (reason: string): Compared => ({ differences: [], notCompared: reason })

/** READONLY and ACCESS_DENIED. */
const refusedCodes: ReadonlySet<number> = new Set([164, 497])

/** Those that the database was made with. */
const settingsThere = Effect.flatMap(
  checkpoints,
  ([first]) => Effect.orDie(Schema.decodeUnknownEffect(Schema.fromJsonString(CoreSettings))(first?.settings))
)
