import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { differences, readContent } from "../../src/operations/chaos/Content.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { migrate } from "../../src/warehouse/Migrations.ts"
import type { StateStore } from "../../src/warehouse/StateStore.ts"
import { WarehouseError } from "../../src/warehouse/Warehouse.ts"
import { gate } from "../support/Gate.ts"
import { messyLog } from "../support/MessyLog.ts"
import type { Place } from "../support/PipelineRun.ts"
import { runPipeline } from "../support/PipelineRun.ts"
import { freshAddress, freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"
import { eventually } from "../warehouse/embedded/eventually.ts"
import { temporaryDirectory } from "../warehouse/embedded/temporaryDirectory.ts"

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })(
  "the pipeline, without its warehouse,",
  (it) => {
    it.effect("waits at the start, says why, and goes on by itself", () =>
      Effect.gen(function*() {
        const { direct, place, way } = yield* behindGate
        const status = new PipelineStatus()
        const running = yield* Effect.forkScoped(runPipeline(place, { status }))
        yield* eventually("waiting", Effect.sync(() => status.state === "waiting"))
        assert.match(status.waitingFor, new RegExp(`the warehouse at ${new URL(way.url).host}: .*ECONNREFUSED`))
        assert.strictEqual(status.counts.received, 0)
        yield* way.open
        yield* Fiber.join(running)
        yield* asUndisturbed({ ...place, warehouse: direct })
        assert.strictEqual(status.state, "stopped")
      }))

    it.effect("waits in the midst of a flush, reads no further, and goes on by itself", () =>
      Effect.gen(function*() {
        const { direct, place, way } = yield* behindGate
        const status = new PipelineStatus()
        yield* way.open
        const atWrites =
          (...numbers: ReadonlyArray<number>) => (store: StateStore["Service"]): StateStore["Service"] => {
            let writes = 0
            return {
              ...store,
              write: (block) =>
                Effect.suspend(() =>
                  numbers.includes(++writes) ? Effect.andThen(way.close, store.write(block)) : store.write(block)
                )
            }
          }
        const running = yield* Effect.forkScoped(runPipeline(place, { status, batch: 60, around: atWrites(12, 30) }))
        for (let outage = 1; outage <= 2; outage++) {
          yield* eventually("waiting", Effect.sync(() => status.state === "waiting"))
          assert.match(status.waitingFor, /the warehouse at 127\.0\.0\.1:\d+: /)
          assert.isAbove(status.flushes, 0)
          // What is not flushed yet: the flush that waits and the next one, two batches of a partition each at most.
          assert.isAtMost(status.counts.received - status.flushedRecords, 4 * 60 * 2)
          yield* way.open
          yield* eventually("going on", Effect.sync(() => status.state !== "waiting"))
        }
        yield* Fiber.join(running)
        yield* asUndisturbed({ ...place, warehouse: direct })
      }))

    it.effect("writes again what was written, when the answer was lost", () =>
      Effect.gen(function*() {
        const source = yield* sourceOf
        const place = { ...source, warehouse: yield* freshWarehouse }
        const lost = new WarehouseError({ message: "the answer was lost", code: 0, retryable: true })
        const losing = (store: StateStore["Service"]): StateStore["Service"] => {
          let writes = 0
          return {
            ...store,
            write: (block) =>
              Effect.suspend(() => ++writes % 3 === 0 ? Effect.andThen(store.write(block), lost) : store.write(block))
          }
        }
        yield* runPipeline(place, { batch: 90, around: losing })
        yield* asUndisturbed(place)
      }))

    it.effect("stops when waiting cannot help, and goes on where it was when that is mended", () =>
      Effect.gen(function*() {
        const source = yield* sourceOf
        const place = { ...source, warehouse: yield* freshWarehouse }
        const { command, database } = place.warehouse
        const status = new PipelineStatus()
        const dropping = (store: StateStore["Service"]): StateStore["Service"] => ({
          ...store,
          write: (block) =>
            Effect.tap(store.write(block), () =>
              block.table === "checkpoints" ?
                Effect.ignore(command(`RENAME TABLE ${database}.touched_days TO ${database}.gone`)) :
                Effect.void)
        })
        const error = yield* Effect.flip(runPipeline(place, { batch: 60, status, around: dropping }))
        assert.strictEqual(error._tag, "WarehouseError")
        assert.match(error.message, /the warehouse at .+UNKNOWN_TABLE|touched_days.+does not exist/)
        assert.isAbove(status.flushes, 0)
        const [row] = yield* place.warehouse.query(
          "SELECT sum(received) AS received FROM (SELECT max(counters['received']) AS received FROM checkpoints GROUP BY partition)"
        )
        assert.strictEqual(Number(row!["received"]), status.flushedRecords)
        yield* command(`RENAME TABLE ${database}.gone TO ${database}.touched_days`)
        yield* runPipeline(place)
        yield* asUndisturbed(place)
      }))
  }
)

/** A log of 600 records. */
const sourceOf = Effect.gen(function*() {
  const dataDirectory = yield* temporaryDirectory
  const traffic = { partitions: 2, seed: 9, eventsPerSecond: 0.2, visitors: 20 }
  const { append, log, registry } = yield* messyLog({ dataDirectory, ...traffic })
  yield* append(600)
  return { log, registry, settings: defaultCoreSettings }
})

/** A place whose warehouse stands behind a closed gate, and the direct way to it. */
const behindGate = Effect.gen(function*() {
  const source = yield* sourceOf
  const address = yield* freshAddress
  yield* migrate(address)
  const way = yield* gate(address.url)
  const place: Place = { ...source, warehouse: yield* make({ ...address, url: way.url }) }
  return { place, way, direct: yield* make(address) }
})

/** The database says what that of an undisturbed run says. */
const asUndisturbed = Effect.fnUntraced(function*(place: Place) {
  const warehouse = yield* freshWarehouse
  yield* runPipeline({ ...place, warehouse })
  assert.deepStrictEqual(differences(yield* readContent(warehouse), yield* readContent(place.warehouse)), [])
})
