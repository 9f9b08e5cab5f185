import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Stream } from "effect"
import type { ChaosPlace } from "../../../src/cli/chaos/ChaosStage.ts"
import { compareWithReplay, whyNotReplayed } from "../../../src/cli/chaos/Replay.ts"
import { offset } from "../../../src/domain/Identifiers.ts"
import { coreVersion } from "../../../src/domain/Settings.ts"
import { EventLog } from "../../../src/log/EventLog.ts"
import { SchemaRegistry } from "../../../src/log/SchemaRegistry.ts"
import type { Position } from "../../../src/operations/chaos/Proof.ts"
import { Warehouse, WarehouseError } from "../../../src/warehouse/Warehouse.ts"

const logOf = (ranges: ReadonlyArray<readonly [start: number, end: number]>) =>
  Layer.succeed(EventLog, {
    logId: "log",
    partitions: ranges.length,
    append: () => Effect.die("nothing is appended"),
    read: () => Stream.die("nothing is read"),
    ranges: Effect.succeed(ranges.map(([start, end]) => ({ start: offset(start), end: offset(end) }))),
    trim: () => Effect.die("nothing is trimmed")
  })

/** Has checkpoints of a version, and so many control records in its first partition. */
const warehouseOf = (version: number, controls: number, refusal?: WarehouseError) =>
  Layer.succeed(Warehouse, {
    database: "guardian",
    insert: () => Effect.die("nothing is written"),
    query: (sql) =>
      Effect.succeed(
        sql.includes("control_records") ?
          [{ partition: 0, records: String(controls) }] :
          [{ partition: 0, offset: "7", counters: {}, decision_hash: "0", settings: "{}", core_version: version }]
      ),
    queryRows: () => Effect.die("not asked"),
    queryBytes: () => Effect.die("not asked"),
    command: () => refusal === undefined ? Effect.void : Effect.fail(refusal)
  })

const at = (next: number, accepted: number): Position => ({
  offset: next,
  outcomes: { accepted, duplicate: 0, late: 0, rejected: 0, dead_lettered: 0 }
})

const why = (
  ranges: ReadonlyArray<readonly [start: number, end: number]>,
  from: ReadonlyArray<Position>,
  version = coreVersion
) => whyNotReplayed(from).pipe(Effect.provide(Layer.merge(logOf(ranges), warehouseOf(version, 2))))

describe("an undisturbed run", () => {
  it.effect("can be made of a log that is whole and counted from its start on", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* why([[0, 10], [0, 5]], [at(7, 5), at(5, 5)]))
      assert.isUndefined(yield* why([[0, 0], [0, 0]], [at(2, 0), at(0, 0)]))
    }))

  it.effect("is left out, with the reason, when it could not give what the database has", () =>
    Effect.gen(function*() {
      assert.include(yield* why([[0, 10], [3, 5]], [at(7, 5), at(5, 2)]), "first records of partition 1")
      assert.include(yield* why([[0, 10], [0, 5]], [at(7, 5), at(5, 3)]), "guardian log reset")
      assert.include(yield* why([[0, 10], [0, 10_000_000]], [at(7, 5), at(5, 5)]), "10,000,010 records")
      assert.include(yield* why([[0, 10], [0, 5]], [at(7, 5), at(5, 5)], coreVersion + 1), "another version")
    }))

  const place = {
    isOurs: false,
    addressOf: (database: string) => ({
      url: "http://127.0.0.1:1",
      database,
      username: "guardian_writer",
      password: Redacted.make("")
    })
  } as ChaosPlace
  const compared = (refusal: WarehouseError) =>
    compareWithReplay(place, [at(7, 7)]).pipe(
      Effect.provide(Layer.mergeAll(
        logOf([[0, 7]]),
        warehouseOf(coreVersion, 0, refusal),
        Layer.succeed(SchemaRegistry, {} as SchemaRegistry["Service"])
      ))
    )

  it.effect("is left out when the user may make no database, and an error when the server is away", () =>
    Effect.gen(function*() {
      const denied = new WarehouseError({ message: "Not enough privileges", code: 497, retryable: false })
      assert.deepStrictEqual(yield* compared(denied), { differences: [], notCompared: "Not enough privileges" })
      const away = new WarehouseError({ message: "refused", code: 0, retryable: true })
      assert.strictEqual(yield* Effect.flip(compared(away)), away)
    }))
})
