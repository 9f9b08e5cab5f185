import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { EpochMillis } from "../../../src/domain/Identifiers.ts"
import { defaultCoreSettings } from "../../../src/domain/Settings.ts"
import type { ResetTarget } from "../../../src/operations/log/Reset.ts"
import { resetLog } from "../../../src/operations/log/Reset.ts"
import { StateStore } from "../../../src/warehouse/StateStore.ts"
import { messyLog } from "../../support/MessyLog.ts"
import type { Place } from "../../support/PipelineRun.ts"
import { layerOf, runPipeline } from "../../support/PipelineRun.ts"
import { freshWarehouse, TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { temporaryDirectory } from "../../warehouse/embedded/temporaryDirectory.ts"

/** A log of two partitions of which 200 records are processed and 400 more are not; with their times of append. */
const behind = Effect.gen(function*() {
  const dataDirectory = yield* temporaryDirectory
  const log = yield* messyLog({ dataDirectory, partitions: 2, seed: 3, eventsPerSecond: 1 })
  const place = { ...log, settings: defaultCoreSettings, warehouse: yield* freshWarehouse }
  yield* log.append(200)
  yield* runPipeline(place)
  const processed = (yield* log.log.ranges).map(({ end }) => end)
  const second = yield* log.append(200)
  const middle = (yield* log.log.ranges).map(({ end }) => end)
  yield* log.append(200)
  return { ...place, processed, second, middle }
})

const reset = (place: Place, to: ResetTarget, settings = place.settings) =>
  Effect.provide(resetLog({ to, settings, runId: "reset" }), layerOf(place))

const checkpoints = (place: Place) =>
  Effect.map(
    Effect.provide(StateStore.use((store) => store.checkpoints), layerOf(place)),
    (found) => [...found].sort((a, b) => a.partition - b.partition)
  )

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("a reset of the log", (it) => {
  it.effect("to earliest goes on behind what was trimmed, and counts nothing of it", () =>
    Effect.gen(function*() {
      const place = yield* behind
      yield* place.log.trim((place.second + 1) as EpochMillis)
      const starts = (yield* place.log.ranges).map(({ start }) => start)
      assert.isTrue(starts.every((start, partition) => start > place.processed[partition]!))
      assert.strictEqual((yield* Effect.flip(runPipeline(place)))._tag, "PipelineRefused")
      const before = yield* checkpoints(place)
      assert.deepStrictEqual(
        yield* reset(place, "earliest"),
        before.map(({ partition, position }) => ({ partition, from: position.offset, to: starts[partition]! }))
      )
      assert.deepStrictEqual(
        (yield* checkpoints(place)).map(({ position: { counts, watermark } }) => ({ counts, watermark })),
        before.map(({ position: { counts, watermark } }) => ({ counts, watermark }))
      )
      const { counts } = yield* runPipeline(place)
      const held = (yield* place.log.ranges).reduce((sum, { end, start }) => sum + end - start, 0)
      const already = before.reduce((sum, { position }) => sum + position.counts.received, 0)
      // Without the heartbeat of each partition, which is received nowhere.
      assert.strictEqual(counts.received, already + held - 2)
      assert.deepStrictEqual(yield* reset(place, "earliest"), [])
    }))

  it.effect("to a time goes to the first record appended then, to latest to the end, and never back", () =>
    Effect.gen(function*() {
      const place = yield* behind
      yield* reset(place, (place.second + 1) as EpochMillis)
      const offsets = () => Effect.map(checkpoints(place), (found) => found.map(({ position }) => position.offset))
      assert.deepStrictEqual(yield* offsets(), place.middle)
      assert.deepStrictEqual(yield* reset(place, 0 as EpochMillis), [])
      yield* reset(place, "latest")
      const ends = (yield* place.log.ranges).map(({ end }) => end)
      assert.deepStrictEqual(yield* offsets(), ends)
      // It is still the same log for a pipeline: the record before the checkpoint has the bytes that were noted.
      yield* place.append(50)
      const status = yield* runPipeline(place)
      assert.strictEqual(status.flushedRecords, 50)
    }))

  it.effect("is refused with other settings", () =>
    Effect.gen(function*() {
      const place = yield* behind
      const error = yield* Effect.flip(reset(place, "latest", { ...place.settings, gapMs: 60_000 }))
      assert.strictEqual(error._tag, "ResetRefused")
    }))
})
