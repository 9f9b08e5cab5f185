import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { positiveMurmur2 } from "../../src/domain/Murmur2.ts"
import type { CoreSettings } from "../../src/domain/Settings.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { commonPlaces, differences, readContent } from "../../src/operations/chaos/Content.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"
import type { StateStore } from "../../src/warehouse/StateStore.ts"
import { messyLog } from "../support/MessyLog.ts"
import { oracleViolations } from "../support/OracleCheck.ts"
import type { Place, RunOptions } from "../support/PipelineRun.ts"
import { runPipeline } from "../support/PipelineRun.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"
import { eventually } from "../warehouse/embedded/eventually.ts"
import { temporaryDirectory } from "../warehouse/embedded/temporaryDirectory.ts"

const minute = 60_000

/** Thresholds so low that a slow shop has findings, raised and withdrawn. */
const lowThresholds = { highFrequencyClicks: 1, botLikeClicks: 2, botLikeDiversity: 0.8 }

interface Kind {
  readonly name: string
  readonly settings: CoreSettings
  readonly traffic: { readonly eventsPerSecond: number; readonly visitors: number; readonly gapMs: number }
}

const kinds: ReadonlyArray<Kind> = [
  {
    name: "gap 30 min, lateness 10 min",
    settings: { ...defaultCoreSettings, ...lowThresholds, highFrequencyWindowMs: minute, botLikeWindowMs: 2 * minute },
    traffic: { eventsPerSecond: 0.2, visitors: 20, gapMs: 30 * minute }
  },
  {
    name: "gap 3 min, lateness 10 min: merges in chains",
    settings: {
      ...defaultCoreSettings,
      ...lowThresholds,
      gapMs: 3 * minute,
      highFrequencyWindowMs: minute,
      botLikeWindowMs: 12 * minute,
      botLikeSlideMs: 4 * minute
    },
    traffic: { eventsPerSecond: 0.5, visitors: 20, gapMs: 3 * minute }
  }
]

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("the pipeline", (it) => {
  it.effect("names visitors by the same hash as ClickHouse", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const names = [..."abcdefghij", "bot-1", "7172b9e15f60de44", "Zoë", "日本語", "🙂", "x".repeat(128)]
      const rows = yield* warehouse.query("SELECT kafkaMurmurHash(arrayJoin({names:Array(String)})) AS hash", { names })
      assert.deepStrictEqual(rows.map(({ hash }) => hash), names.map(positiveMurmur2))
      assert.isTrue(names.some((name) => positiveMurmur2(name) !== positiveMurmur2(`${name}!`)))
    }))

  it.effect("steps the next records while a flush is being written", () =>
    Effect.gen(function*() {
      const { append, ...source } = yield* sourceOf(kinds[0]!)
      yield* append(600)
      const status = new PipelineStatus()
      // Every flush waits until more was stepped than it holds, as long as there is more.
      const waiting = (store: StateStore["Service"]): StateStore["Service"] => ({
        ...store,
        write: (block) => {
          const stepped = status.counts.received
          const isAhead = Effect.sync(() => status.counts.received > stepped || status.counts.received === 600)
          return block.table === "events_raw" ?
            Effect.andThen(eventually("stepped", isAhead), store.write(block)) :
            store.write(block)
        }
      })
      const place = { ...source, warehouse: yield* freshWarehouse }
      yield* runPipeline(place, { status, readRecordsMax: 20, flushRecordsMax: 60, around: waiting })
      yield* sameAs(place, yield* once(source))
    }))

  for (const kind of kinds) {
    it.effect(`stores the same whatever the batches are (${kind.name})`, () =>
      Effect.gen(function*() {
        const { append, ...source } = yield* sourceOf(kind)
        yield* append(150)
        yield* same(source, [{ batch: 1 }, { batch: 50_000 }])
        yield* append(650)
        yield* same(source, [{ batch: 7 }, { batch: 50_000 }])
        yield* append(2_000)
        const { content } = yield* same(source, [{ batch: 1_000 }, { batch: 50_000 }])
        for (const [name, { rows }] of Object.entries(content.tables)) assert.isAbove(rows, 0, `nothing in ${name}`)
      }))

    it.effect(`stores the same when it keeps one visitor in memory (${kind.name})`, () =>
      Effect.gen(function*() {
        const { append, ...source } = yield* sourceOf(kind)
        yield* append(1_000)
        const { statuses: [few] } = yield* same(source, [{ batch: 10, visitorsInMemoryMax: 1 }, { batch: 50_000 }])
        assert.isAbove(few!.visitorsLoaded, 100)
      }))

    it.effect(`goes on where it stopped, again and again (${kind.name})`, () =>
      Effect.gen(function*() {
        const { append, ...source } = yield* sourceOf(kind)
        const place = { ...source, warehouse: yield* freshWarehouse }
        let runs = 0
        for (let appended = 0; appended < 1_500; appended += 500) {
          yield* append(500)
          // Stopped in order after its first flush, until nothing is left.
          for (let left = 1; left > 0; runs++) {
            const stop = yield* Deferred.make<void>()
            const status = yield* runPipeline(place, { batch: 60, stop, around: afterCheckpoint(stop) })
            left = appended + 500 - status.counts.received
          }
        }
        assert.isAbove(runs, 5)
        yield* sameAs(place, yield* once(source))
      }))

    it.effect(`is harmless when it runs twice at once (${kind.name})`, () =>
      Effect.gen(function*() {
        const { append, ...source } = yield* sourceOf(kind)
        const place = { ...source, warehouse: yield* freshWarehouse }
        yield* append(2_000)
        yield* Effect.all([runPipeline(place, { batch: 30 }), runPipeline(place, { batch: 170 })], { concurrency: 2 })
        yield* sameAs(place, yield* once(source))
      }))

    it.effect(`is harmless when it wakes up after another has gone on (${kind.name})`, () =>
      Effect.gen(function*() {
        const { append, ...source } = yield* sourceOf(kind)
        const place = { ...source, warehouse: yield* freshWarehouse }
        yield* append(1_500)
        const wake = yield* Deferred.make<void>()
        const zombie = yield* Effect.forkScoped(runPipeline(place, { batch: 40, around: frozenAt(60, wake) }))
        yield* runPipeline(place, { batch: 90 })
        yield* append(500)
        yield* runPipeline(place, { batch: 90 })
        yield* Deferred.succeed(wake, undefined)
        yield* Fiber.join(zombie)
        yield* runPipeline(place)
        yield* sameAs(place, yield* once(source))
      }))
  }
})

/** A log with the settings to process it by; the database is chosen later. */
const sourceOf = Effect.fnUntraced(function*({ settings, traffic }: Kind) {
  const dataDirectory = yield* temporaryDirectory
  const { append, log, registry } = yield* messyLog({ dataDirectory, partitions: 3, seed: 4, ...traffic })
  return { append, log, registry, settings }
})

type Source = Omit<Place, "warehouse">

/** Drains the log into a fresh database. */
const once = Effect.fnUntraced(function*(source: Source, options: RunOptions = {}) {
  const place = { ...source, warehouse: yield* freshWarehouse }
  return { place, status: yield* runPipeline(place, options) }
})

/** Drains the log into a fresh database with each of the options: all must say the same, and what the oracle says. */
const same = Effect.fnUntraced(function*(source: Source, options: ReadonlyArray<RunOptions>) {
  const drains = yield* Effect.forEach(options, (each) => once(source, each), { concurrency: "unbounded" })
  const reference = drains.at(-1)!
  for (const { place } of drains.slice(0, -1)) yield* sameAs(place, reference)
  return { statuses: drains.map(({ status }) => status), content: yield* readContent(reference.place.warehouse) }
})

/** Everything in the database of `place` is as in the reference's, and as the oracle says. */
const sameAs = Effect.fnUntraced(function*(place: Place, reference: { readonly place: Place }) {
  const [found, expected] = [yield* readContent(place.warehouse), yield* readContent(reference.place.warehouse)]
  assert.deepStrictEqual(differences(expected, found), [])
  // The ends of the partitions at least.
  assert.isAtLeast(commonPlaces(expected, found).length, 3)
  assert.deepStrictEqual((yield* oracleViolations(place)).slice(0, 5), [])
})

/** Its writes from number `block` on wait until it is woken up. */
const frozenAt =
  (block: number, wake: Deferred.Deferred<void>) => (store: StateStore["Service"]): StateStore["Service"] => {
    let writes = 0
    return {
      ...store,
      write: (each) =>
        Effect.suspend(() =>
          ++writes < block ? store.write(each) : Effect.andThen(Deferred.await(wake), store.write(each))
        )
    }
  }

/** Asks the pipeline to stop when its first checkpoint is written. */
const afterCheckpoint = (stop: Deferred.Deferred<void>) => (store: StateStore["Service"]): StateStore["Service"] => ({
  ...store,
  write: (block) =>
    Effect.tap(
      store.write(block),
      () => block.table === "checkpoints" ? Deferred.succeed(stop, undefined) : Effect.void
    )
})
