import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Scope } from "effect"
import { cp } from "node:fs/promises"
import { join } from "node:path"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { differences, readContent } from "../../src/operations/chaos/Content.ts"
import type { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { messyLog } from "../support/MessyLog.ts"
import type { Place } from "../support/PipelineRun.ts"
import { runPipeline } from "../support/PipelineRun.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"
import { temporaryDirectory } from "../warehouse/embedded/temporaryDirectory.ts"

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("a start of the pipeline", (it) => {
  it.effect("is refused on a log that was made anew", () =>
    Effect.gen(function*() {
      const { warehouse } = yield* drained
      const other = yield* logIn(yield* temporaryDirectory)
      yield* other.append(300)
      yield* refused(
        { ...other, warehouse },
        "log_recreated",
        /made from log .+, this is log .+: recreated, or the wrong one/
      )
    }))

  it.effect("is refused on a log that is shorter than what was processed, or holds other records", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryDirectory
      const [original, copy] = [join(folder, "original"), join(folder, "copy")]
      yield* Effect.scoped(Effect.flatMap(logIn(original), ({ append }) => append(200)))
      yield* Effect.promise(() => cp(original, copy, { recursive: true }))
      const longer = yield* logIn(original, 2)
      yield* longer.append(200)
      const warehouse = yield* freshWarehouse
      yield* runPipeline({ ...longer, warehouse })
      const other = yield* logIn(copy, 3)
      yield* refused({ ...other, warehouse }, "log_too_short", /processed up to offset \d+, but the log ends at \d+/)
      yield* other.append(400)
      yield* refused({ ...other, warehouse }, "record_changed", /record at offset \d+ of partition \d is not the one/)
    }))

  it.effect("goes on when the log was trimmed up to where it stopped, and is refused when it was trimmed further", () =>
    Effect.gen(function*() {
      const place = yield* drained
      const second = yield* place.append(200)
      const once = yield* freshWarehouse
      yield* runPipeline({ ...place, warehouse: once })
      yield* place.log.trim(second)
      assert.isTrue((yield* place.log.ranges).every(({ start }) => start > 0))
      yield* runPipeline(place)
      assert.deepStrictEqual(differences(yield* readContent(once), yield* readContent(place.warehouse)), [])
      const third = yield* place.append(200)
      const fourth = yield* place.append(200)
      assert.isAbove(fourth, third)
      yield* place.log.trim(fourth)
      yield* refused(
        place,
        "log_trimmed",
        /must go on at offset \d+, but the log begins at \d+: \d+ records were trimmed/
      )
    }))

  it.effect("is refused with other settings, another number of partitions, another version of the core", () =>
    Effect.gen(function*() {
      const place = yield* drained
      yield* place.append(100)
      const settings = { ...place.settings, gapMs: 60_000, botLikeClicks: 7 }
      yield* refused(
        { ...place, settings },
        "settings_changed",
        /other settings: gapMs was 1800000 and is 60000, botLikeClicks was 50 and is 7\./
      )
      yield* rewriteCheckpoints(place, "toUInt16(7) AS partitions")
      yield* refused(place, "partitions_changed", /made from 7 partitions, the log has 2/)
      yield* rewriteCheckpoints(place, "toUInt16(2) AS partitions, core_version + 1 AS core_version")
      yield* refused(place, "core_version_changed", /made by version 3 of the core, this is version 2/)
    }))

  it.effect("is refused when records are unaccounted for", () =>
    Effect.gen(function*() {
      const place = yield* drained
      yield* place.append(100)
      yield* rewriteCheckpoints(place, "mapUpdate(counters, map('late', counters['late'] + 1)) AS counters")
      yield* broken(
        place,
        /partition 0 at offset \d+: received is not the sum of the outcomes: \{"received":\d+,.+report it/
      )
    }))

  it.effect("is refused when two runs decided differently", () =>
    Effect.gen(function*() {
      const place = yield* drained
      yield* place.append(100)
      yield* place.warehouse.command(
        `INSERT INTO ${place.warehouse.database}.decision_hashes
         SELECT partition, offset, 'another-run', hash + 1, core_version
         FROM ${place.warehouse.database}.decision_hashes WHERE partition = 1 LIMIT 1`
      )
      yield* broken(
        place,
        /two runs decided differently before offset \d+ of partition 1: .*run another-run: \d+.+report it/
      )
    }))
})

/** A log with the default settings; the seed chooses its records. */
const logIn = Effect.fnUntraced(function*(dataDirectory: string, seed = 1) {
  const opened = yield* messyLog({ dataDirectory, partitions: 2, seed, eventsPerSecond: 0.2, visitors: 20 })
  return { ...opened, settings: defaultCoreSettings }
})

/** A log of 200 records and the database that was made from it. */
const drained = Effect.gen(function*() {
  const source = yield* logIn(yield* temporaryDirectory)
  yield* source.append(200)
  const place = { ...source, warehouse: yield* freshWarehouse }
  yield* runPipeline(place)
  return place
})

/** Writes every checkpoint again with other columns; the newer row of an offset counts. */
const rewriteCheckpoints = ({ warehouse: { command, database } }: Place, columns: string) =>
  command(
    `INSERT INTO ${database}.checkpoints (* EXCEPT written_at, written_at)
     SELECT * EXCEPT written_at REPLACE (${columns}), written_at + INTERVAL 1 SECOND
     FROM ${database}.checkpoints FINAL`
  )

const refused = (place: Place, reason: string, says: RegExp) =>
  Effect.gen(function*() {
    const error = yield* failing(place)
    if (error._tag !== "PipelineRefused") return assert.fail(`${error._tag}: ${error.message}`)
    assert.strictEqual(error.reason, reason)
    assert.match(error.message, says)
    assert.include(
      error.message,
      "Process the log again into another database (another --data-dir, or another database name)"
    )
  })

const broken = (place: Place, says: RegExp) =>
  Effect.gen(function*() {
    const error = yield* failing(place)
    assert.strictEqual(error._tag, "BrokenInvariant", error.message)
    assert.match(error.message, says)
  })

/** The error of a run, which must not have written anything. */
const failing = Effect.fnUntraced(function*(place: Place): Effect.fn.Return<Failure, unknown, Scope.Scope> {
  const before = yield* everything(place.warehouse)
  const error = yield* Effect.flip(runPipeline(place))
  assert.deepStrictEqual(yield* everything(place.warehouse), before)
  return error
})

type Failure = Effect.Error<ReturnType<typeof runPipeline>>

/** The content, and the runs that have written. */
const everything = Effect.fnUntraced(function*(warehouse: Warehouse["Service"]) {
  return {
    content: yield* readContent(warehouse),
    runs: yield* warehouse.query(
      "SELECT run_id, count() FROM (SELECT run_id FROM decision_hashes UNION ALL SELECT run_id FROM checkpoints FINAL) " +
        "GROUP BY run_id ORDER BY run_id"
    )
  }
})
