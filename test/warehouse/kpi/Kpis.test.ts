import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { kpiBacklog, startKpis, stopKpis } from "../../../src/warehouse/KpiBacklog.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { click, kpiPlace } from "./KpiPlace.ts"

const minute = 60_000
const hour = 60 * minute
const nobody = { verdicts: [], isCrawler: () => false } as const

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("daily KPIs", (it) => {
  it.effect("move a session to the day on which it starts now, and correct the day that it leaves", () =>
    Effect.gen(function*() {
      const midnight = Date.UTC(2026, 0, 2)
      const place = yield* kpiPlace({ timeZone: "UTC" })
      yield* place.append([click("ada", midnight + minute), click("bob", midnight + 2 * minute)])
      yield* place.drain()
      const before = yield* place.settled
      assert.deepStrictEqual(before, yield* place.truth({ timeZone: "UTC", ...nobody }))
      assert.strictEqual(before.metrics["2026-01-02 all"]!["sessions"], 2)
      yield* place.append([click("ada", midnight - minute)])
      yield* place.drain()
      const after = yield* place.settled
      assert.deepStrictEqual(after, yield* place.truth({ timeZone: "UTC", ...nobody }))
      assert.strictEqual(after.metrics["2026-01-01 all"]!["sessions"], 1)
      assert.strictEqual(after.metrics["2026-01-02 all"]!["sessions"], 1)
      assert.strictEqual(after.metrics["2026-01-02 all"]!["bounce_rate"], 1)
      // The oldest day that stores sessions is the one that it was opened on: it still counts on the day before.
      yield* place.append([click("ada", midnight + 20 * minute)])
      yield* place.drain()
      const grown = yield* place.settled
      assert.deepStrictEqual(grown, yield* place.truth({ timeZone: "UTC", ...nobody }))
      assert.notDeepEqual(grown.metrics["2026-01-01 all"], after.metrics["2026-01-01 all"])
    }))

  it.effect("never add unlike currencies, and divide by nothing without harm", () =>
    Effect.gen(function*() {
      const start = Date.UTC(2026, 0, 2, 10)
      const place = yield* kpiPlace({ timeZone: "UTC", settings: { reportingCurrency: "EUR" } })
      const purchase = (id: number, currency: string, price: number, quantity = 1) =>
        click("ada", start + id * minute, { eventType: "purchase", itemId: "lamp", currency, price, quantity })
      yield* place.append([
        purchase(1, "EUR", 12_3456, 3),
        purchase(2, "", 1),
        purchase(3, "USD", 9_0000),
        purchase(4, "USD", 1_0000),
        purchase(5, "JPY", 800_0000),
        // Decimal(18, 4) would overflow.
        purchase(6, "EUR", 900_719_925_474_0991, 4_000_000_000)
      ])
      yield* place.drain()
      const found = yield* place.settled
      assert.deepStrictEqual(found, yield* place.truth({ timeZone: "UTC", ...nobody }))
      assert.deepStrictEqual(found.metrics["2026-01-02 all"]!["revenue_by_currency"], {
        JPY: 8_000_000n,
        USD: 100_000n
      })
      assert.strictEqual(found.metrics["2026-01-02 flagged"]!["avg_order_value"], 0n)
      assert.deepStrictEqual(found.funnel["2026-01-02 all"], [["VIEW", 0], ["MULTI_VIEW", 0], ["PURCHASE", 1]])
    }))

  it.effect("have days of 23 and 25 hours, and follow a change of the time zone", () =>
    Effect.gen(function*() {
      const place = yield* kpiPlace({ timeZone: "Europe/Berlin" })
      // A visit every half hour of the days on which the clocks change, and of their neighbours.
      for (const day of [Date.UTC(2026, 2, 29), Date.UTC(2026, 9, 25)]) {
        yield* place.append(
          Array.from({ length: 144 }, (_, i) => click(`v${i}`, day - 24 * hour + i * 30 * minute + 11 * minute))
        )
      }
      yield* place.drain()
      const berlin = yield* place.settled
      assert.deepStrictEqual(berlin, yield* place.truth({ timeZone: "Europe/Berlin", ...nobody }))
      assert.strictEqual(berlin.hours["2026-03-29 all"]!.length, 23)
      assert.strictEqual(berlin.hours["2026-10-25 all"]!.length, 25)
      assert.strictEqual(berlin.metrics["2026-03-29 all"]!["total_clicks"], 46)
      assert.strictEqual(berlin.metrics["2026-10-25 all"]!["total_clicks"], 50)
      for (const timeZone of ["Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Kiritimati"]) {
        yield* place.report(timeZone)
        assert.deepStrictEqual(yield* place.settled, yield* place.truth({ timeZone, ...nobody }), timeZone)
      }
    }), 120_000)

  it.effect("count what came too late beside the day it belongs to, and nowhere else", () =>
    Effect.gen(function*() {
      const start = Date.UTC(2026, 0, 3, 0, 5)
      const place = yield* kpiPlace({ timeZone: "UTC", partitions: 1 })
      yield* place.append([
        click("ada", start),
        click("ada", start - 20 * minute, { eventType: "purchase", price: 5_0000, quantity: 2 }),
        click("bob", start - 21 * minute)
      ])
      yield* place.drain()
      const found = yield* place.settled
      assert.deepStrictEqual(found, yield* place.truth({ timeZone: "UTC", ...nobody }))
      assert.strictEqual(found.metrics["2026-01-02 all"]!["late_events"], 2)
      assert.strictEqual(found.metrics["2026-01-02 all"]!["late_revenue"], 10_0000n)
      assert.strictEqual(found.metrics["2026-01-02 all"]!["total_clicks"], 0)
    }))

  it.effect("say when a day is settled and when it is final, by the watermarks of all partitions", () =>
    Effect.gen(function*() {
      const midnight = Date.UTC(2026, 0, 2)
      const place = yield* kpiPlace({ timeZone: "UTC" })
      const status = Effect.gen(function*() {
        yield* place.settled
        const rows = yield* place.warehouse.query(
          "SELECT toString(metric_date) AS day, status, open_sessions AS open FROM daily_metrics WHERE segment = 'all' ORDER BY day"
        )
        return rows.map((row) => [row["day"], row["status"], Number(row["open"])])
      })
      // "ada" and "eve" live in different partitions.
      const at = function*(time: number) {
        yield* place.append([click("ada", time), click("eve", time)])
        yield* place.drain()
      }
      yield* at(midnight - 5 * minute)
      assert.deepStrictEqual(yield* status, [["2026-01-01", "provisional", 2]])
      yield* place.append([click("ada", midnight + 20 * minute)])
      yield* place.drain()
      assert.deepStrictEqual((yield* status)[0], ["2026-01-01", "provisional", 2])
      yield* place.append([click("eve", midnight + 10 * minute)])
      yield* place.drain()
      assert.deepStrictEqual((yield* status)[0], ["2026-01-01", "settled", 2])
      yield* place.append([
        click("zoe", midnight + 2 * hour),
        click("bob", midnight + 2 * hour),
        click("eve", midnight + 2 * hour)
      ])
      yield* place.drain()
      assert.deepStrictEqual((yield* status)[0], ["2026-01-01", "final", 0])
      assert.strictEqual((yield* status)[1]![1], "provisional")
    }))

  it.effect("merge a day as soon as a quarter of it was computed, though it cannot be claimed until the next refresh", () =>
    Effect.gen(function*() {
      const place = yield* kpiPlace({ timeZone: "UTC" })
      yield* place.append([click("ada", start, { itemId: "a" })])
      yield* place.drain()
      const before = yield* place.settled
      yield* stopKpis.pipe(place.inWarehouse)
      for (const [table, figure] of [["event_quarters", "clicks"], ["session_quarters", "session_clicks"]]) {
        yield* place.warehouse.command(
          `INSERT INTO ${place.warehouse.database}.${table}
           SELECT * REPLACE (${figure} + 1 AS ${figure}, computed + 1 AS computed) FROM ${table} FINAL WHERE segment = 'clean'`
        )
        const waiting = Object.keys(yield* kpiBacklog.pipe(place.inWarehouse))
        assert.include(waiting, "days", table)
        if (table === "event_quarters") assert.include(waiting, "rankings")
        assert.isTrue(waiting.every((stage) => stage === "days" || stage === "rankings"), waiting.join())
      }
      yield* startKpis.pipe(place.inWarehouse)
      const after = (yield* place.settled).metrics["2026-01-02 all"]!
      assert.deepInclude(after, { total_clicks: 2, avg_clicks_per_session: 2 })
      assert.strictEqual(before.metrics["2026-01-02 all"]!["total_clicks"], 1)
    }))

  it.effect("take in what a database has from before there were KPIs", () =>
    Effect.gen(function*() {
      const place = yield* kpiPlace({ timeZone: "Europe/Berlin" })
      yield* place.append([click("ada", start - 24 * hour), click("ada", start), click("eve", start + minute)])
      yield* place.drain()
      yield* place.warehouse.command("TRUNCATE TABLE touched_days")
      yield* place.warehouse.command(
        "INSERT INTO touched_days (day, partition, cause, version) VALUES ('2026-01-01', 0, 'pipeline', 1), ('2026-01-02', 1, 'pipeline', 2)"
      )
      assert.deepStrictEqual(yield* place.settled, yield* place.truth({ timeZone: "Europe/Berlin", ...nobody }))
    }), 120_000)
})

const start = Date.UTC(2026, 0, 2, 8)
