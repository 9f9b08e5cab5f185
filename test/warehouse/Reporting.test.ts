import { assert, layer } from "@effect/vitest"
import crawlers from "crawler-user-agents"
import { Effect } from "effect"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { crawlerList } from "../../src/warehouse/CrawlerList.ts"
import { applyReporting } from "../../src/warehouse/Reporting.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"

layer(TemporaryWarehouse, { excludeTestServices: true })("reporting", (it) => {
  it.effect("is in UTC and dollars until it is told otherwise, and repeats nothing", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const apply = (timeZone: string) =>
        applyReporting({ timeZone }, defaultCoreSettings).pipe(Effect.provideService(Warehouse, warehouse))
      const shown = warehouse.query("SELECT * FROM reporting")
      assert.deepStrictEqual(yield* shown, [{ time_zone: "UTC", currency: "USD" }])
      for (const zone of ["Europe/Berlin", "Europe/Berlin", "UTC"]) {
        yield* apply(zone)
        assert.deepStrictEqual(yield* shown, [{ time_zone: zone, currency: "USD" }])
      }
      assert.deepStrictEqual(
        yield* warehouse.query(
          "SELECT name, max(version) AS version FROM reporting_settings GROUP BY name ORDER BY name"
        ),
        [{ name: "currency", version: "1" }, { name: "time_zone", version: "2" }]
      )
      const error = yield* Effect.flip(apply("Mars/Olympus"))
      assert.match(error.message, /does not know the time zone Mars\/Olympus/)
    }))

  it.effect("knows every crawler that the library knows, in ClickHouse as in JavaScript", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      yield* applyReporting({ timeZone: "UTC" }, defaultCoreSettings).pipe(Effect.provideService(Warehouse, warehouse))
      const agents = [...new Set(crawlers.flatMap(({ instances }) => instances))]
      assert.isAbove(agents.length, 1_000)
      yield* warehouse.command("CREATE TABLE agents (agent String) ENGINE = Memory")
      yield* warehouse.insert({
        table: "agents",
        rows: agents.length,
        columns: [{ name: "agent", type: "String", values: agents }]
      })
      assert.deepStrictEqual(
        yield* warehouse.query(
          `WITH (SELECT argMax(patterns, list) FROM crawler_lists) AS patterns
           SELECT agent FROM agents WHERE NOT multiMatchAny(agent, patterns)`
        ),
        []
      )
      const browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
      assert.isFalse(new RegExp(crawlerList.patterns.join("|")).test(browser))
    }))

  it.effect("lets a newer list of crawlers judge nothing that is past", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const apply = (source: string) =>
        applyReporting({ timeZone: "UTC" }, defaultCoreSettings, { source, patterns: [source] }).pipe(
          Effect.provideService(Warehouse, warehouse)
        )
      yield* apply("old")
      yield* apply("old")
      const watermark = Date.UTC(2026, 0, 2, 3)
      yield* warehouse.insert({
        table: "checkpoints",
        rows: 1,
        columns: [
          { name: "offset", type: "UInt64", values: [1] },
          { name: "watermark_ms", type: "Int64", values: [watermark] }
        ]
      })
      yield* apply("new")
      assert.deepStrictEqual(
        yield* warehouse.query(
          "SELECT list, toUnixTimestamp64Milli(since) AS since, source FROM crawler_lists FINAL ORDER BY list"
        ),
        [
          { list: 1, since: "0", source: "old" },
          { list: 2, since: String(watermark + 86_400_000), source: "new" }
        ]
      )
    }))
})
