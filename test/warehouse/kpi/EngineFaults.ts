/** What the tests of an engine that is killed or frozen share. */
import { assert } from "@effect/vitest"
import type { Effect as EffectOf } from "effect"
import { Effect, Schedule } from "effect"
import { refreshKpis } from "../../../src/warehouse/KpiBacklog.ts"
import type { WarehouseError } from "../../../src/warehouse/Warehouse.ts"
import { readKpis } from "../../support/KpiReading.ts"
import { eventually } from "../embedded/eventually.ts"
import { click } from "./KpiPlace.ts"
import type { kpiPlace } from "./KpiPlace.ts"

type Place = EffectOf.Success<ReturnType<typeof kpiPlace>>

const minute = 60_000
const start = Date.UTC(2026, 0, 2, 22)

/** Two visitors' hours around midnight, each round over all of them again, with events out of order. */
export const eventsOf = (round: number) =>
  Array.from(
    { length: 240 },
    (_, i) =>
      click(`visitor-${i % 2}-${i % 5}`, start + round * 45 * minute + i * 20_000 - (i % 7) * minute, {
        eventType: i % 6 === 0 ? "purchase" : "view",
        itemId: `item-${i % 9}`,
        price: i * 1_000
      })
  )

export const refreshUnderWay = (place: Place) =>
  eventually(
    "a refresh under way",
    Effect.map(
      place.warehouse.query("SELECT count() AS n FROM system.view_refreshes WHERE status = 'Running'"),
      ([row]) => Number(row!["n"]) > 0
    )
  )

export const isUp = (query: Effect.Effect<unknown, WarehouseError>) =>
  query.pipe(Effect.as(true), Effect.catchIf(({ retryable }) => retryable, () => Effect.succeed(false)))

/** When all is taken in, the KPIs are those of the log. */
export const agreesWithTruth = Effect.fnUntraced(function*(place: Place) {
  const truth = yield* place.truth({ timeZone: "UTC", verdicts: [], isCrawler: () => false })
  yield* refreshKpis.pipe(
    Effect.retry({
      while: ({ retryable }: WarehouseError) => retryable,
      schedule: Schedule.spaced("100 millis")
    }),
    Effect.timeout("60 seconds"),
    place.inWarehouse
  )
  assert.deepStrictEqual(yield* readKpis(place.warehouse), truth)
})
