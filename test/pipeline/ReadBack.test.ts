import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { Partition, VisitorId } from "../../src/domain/Identifiers.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { fingerprintWords } from "../../src/sessionizer/Fingerprint.ts"
import type { VisitorHistory } from "../../src/sessionizer/VisitorHistory.ts"
import * as ClickHouseStateStore from "../../src/warehouse/ClickHouseStateStore.ts"
import { StateStore } from "../../src/warehouse/StateStore.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { messyLog } from "../support/MessyLog.ts"
import { runPipeline } from "../support/PipelineRun.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"
import { temporaryDirectory } from "../warehouse/embedded/temporaryDirectory.ts"

const busyEventsMin = 200

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("what a start reads back", (it) => {
  it.effect("is the same for a visitor asked for, busy or not, and for one that comes along with all others", () =>
    Effect.gen(function*() {
      const source = yield* messyLog({
        dataDirectory: yield* temporaryDirectory,
        partitions: 2,
        seed: 5,
        eventsPerSecond: 60,
        visitors: 3
      })
      yield* source.append(20_000)
      const place = { ...source, settings: defaultCoreSettings, warehouse: yield* freshWarehouse }
      yield* runPipeline(place)
      const rows = yield* place.warehouse.query(
        "SELECT visitor_id, any(partition) AS partition, count() AS events FROM events_raw FINAL GROUP BY visitor_id"
      )
      const counts = rows.map((row) => Number(row["events"]))
      assert.isAbove(Math.max(...counts), busyEventsMin, "somebody is busy")
      assert.isBelow(Math.min(...counts), busyEventsMin, "somebody is not")

      const store = yield* Effect.provide(
        StateStore,
        Layer.provide(
          ClickHouseStateStore.layer(place.settings, busyEventsMin),
          Layer.succeed(Warehouse, place.warehouse)
        )
      )
      const checkpoints = yield* store.checkpoints
      const whole = { reachableFrom: 0, recentFrom: 0, seenFrom: 0 }
      const partitions = checkpoints.map(({ partition, position }) => ({
        partition,
        durable: position.offset,
        ...whole
      }))

      const asked = new Map<VisitorId, VisitorHistory>()
      yield* store.histories({
        partitions: partitions.map((each) => ({
          ...each,
          withIds: true,
          visitors: new Map(
            rows.filter((row) => row["partition"] === each.partition)
              .map((row) => [row["visitor_id"] as VisitorId, undefined])
          )
        }))
      }, (_, history) => asked.set(history.visitorId, history))
      assert.strictEqual(asked.size, rows.length)

      const along = new Map<VisitorId, VisitorHistory>()
      const partitionOf = new Map<VisitorId, Partition>()
      yield* store.openHistories(
        { partitions, from: 0, visitors: 20_000, isEnough: () => false },
        (partition, each) => {
          assert.isFalse(along.has(each.visitorId), "shown once")
          along.set(each.visitorId, each)
          partitionOf.set(each.visitorId, partition)
        }
      )
      for (const row of rows) {
        const visitorId = row["visitor_id"] as VisitorId
        assert.deepStrictEqual(contentOf(asked.get(visitorId)!), contentOf(along.get(visitorId)!))
        assert.strictEqual(partitionOf.get(visitorId), row["partition"])
        assert.strictEqual(idsOf(asked.get(visitorId)!).size, Number(row["events"]))
      }
      yield* store.openHistories(
        { partitions, from: 0, visitors: 1, isEnough: () => true },
        () => assert.fail("enough")
      )

      const seen = new Set<string>()
      yield* store.seenIds(partitions, {
        expect: () => {},
        take: (_, prints, times, count) => {
          for (const id of idsIn(prints, times, count)) seen.add(id)
        }
      })
      assert.deepStrictEqual(new Set([...asked.values()].flatMap((history) => [...idsOf(history)])), seen)
    }))
})

/** Sessions and clicks in an order of their own. */
const contentOf = ({ clicks, sessions }: VisitorHistory) => {
  const sorted = clicks.inTimeOrder(0)
  return {
    sessions: sessions.map((session) => ({ ...session, items: session.items.toSorted() }))
      .toSorted((a, b) => a.openedOffset - b.openedOffset),
    clicks: Array.from({ length: sorted.size }, (_, i) => sorted.at(i))
  }
}

const idsOf = ({ seen }: VisitorHistory): ReadonlySet<string> =>
  new Set(seen.flatMap(({ prints, times }) => idsIn(prints, times, times.length)))

const idsIn = (prints: Int32Array, times: Float64Array, count: number): ReadonlyArray<string> =>
  Array.from(
    { length: count },
    (_, i) => `${prints.subarray(i * fingerprintWords, (i + 1) * fingerprintWords).join()} ${times[i]}`
  )
