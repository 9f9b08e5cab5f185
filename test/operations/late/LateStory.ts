/** A small log with late events that bridge sessions, move one to another day, repeat, and stand alone. */
import { Effect } from "effect"
import type { KpiPlace } from "../../warehouse/kpi/KpiPlace.ts"
import { click, kpiPlace } from "../../warehouse/kpi/KpiPlace.ts"

export const minute = 60_000
export const hour = 60 * minute
export const day = Date.UTC(2026, 0, 5)
export const isCrawler = () => false

/** Ada has a session at 23:40 of the 4th and one at 00:20; late events lie between them, before the first and alone. */
export const story = Effect.gen(function*() {
  const place = yield* kpiPlace({ timeZone: "UTC", partitions: 1 })
  yield* place.append([
    click("ada", day - 20 * minute, { itemId: "a", url: "/late-at-night" }),
    click("ada", day + 20 * minute, { itemId: "b", url: "/morning" }),
    click("ada", day + 25 * minute, { itemId: "b", url: "/exit" }),
    click("bob", day + 26 * minute, { itemId: "a" }),
    click("clock", day + 10 * hour),
    // Too late from here on.
    click("ada", day + 5 * minute, { eventType: "purchase", itemId: "a", price: 12_5000, quantity: 2, url: "/bridge" }),
    click("ada", day + 5 * minute, { eventType: "purchase", itemId: "a", price: 12_5000, quantity: 2, url: "/bridge" }),
    click("bob", day + 26 * minute, { itemId: "a" }),
    click("eve", day + 3 * hour, { itemId: "new", url: "/alone" }),
    click("eve", day + 3 * hour + minute, { eventType: "purchase", itemId: "new", price: 3_0000, currency: "EUR" })
  ])
  yield* place.drain()
  return place
})

export const inPlace = <A, E, R>(place: KpiPlace, effect: Effect.Effect<A, E, R>) =>
  effect.pipe(place.inWarehouse, place.withRegistry)
