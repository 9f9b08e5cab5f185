import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { rankings } from "../../../src/operations/audit/checks/Rankings.ts"
import { refreshKpis, startKpis } from "../../../src/warehouse/KpiBacklog.ts"
import { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { auditOf, differencesOf, drained } from "./AuditedPlace.ts"

const checks = [rankings]

/** The first element with one of its fields changed. */
const first = (array: string, fields: string): string =>
  `arrayMap((x, i) -> if(i = 1, ${fields}, x), ${array}, arrayEnumerate(${array})) AS ${array}`

const damages = [
  {
    view: "popular_items",
    table: "popular_raw",
    replace: first("items", "(x.1, x.2, x.3 + 1, x.4, x.5, x.6)"),
    differences: 1
  },
  { view: "popular_items", table: "popular_raw", replace: "arrayPopBack(items) AS items", differences: 1 },
  {
    view: "popular_categories",
    table: "popular_raw",
    replace: first("categories", "(x.1, x.2, x.3, x.4, x.5, x.6 + toDecimal128('0.0001', 4))"),
    differences: 1
  },
  { view: "hourly_traffic", table: "daily_metrics_raw", replace: "arrayPopFront(hours) AS hours", differences: 1 }
] as const

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("an audit of the rankings", (it) => {
  it.effect("agrees with the views, names the row that is wrong, and says so while they are behind", () =>
    Effect.gen(function*() {
      const made = yield* drained(11, 2_000)
      const { warehouse } = made
      const behind = yield* auditOf(made, { checks })
      assert.include(behind.checks[0]!.unchecked ?? "", "have yet to take in")
      yield* Effect.provideService(Effect.andThen(startKpis, refreshKpis), Warehouse, warehouse)
      const report = yield* auditOf(made, { checks })
      assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
      assert.isAbove(report.checks[0]!.examined, 100)
      const [row] = yield* warehouse.query(
        "SELECT countIf(segment = 'flagged') AS flagged, uniqExact(category) AS categories FROM popular_items"
      )
      assert.isAbove(Number(row!["flagged"]), 0)
      assert.isAbove(Number(row!["categories"]), 1)

      for (const { differences, replace, table, view } of damages) {
        const { database } = warehouse
        const rows = `SELECT * FROM ${table} FINAL WHERE segment = 'clean' ORDER BY metric_date LIMIT 1`
        yield* warehouse.command(`CREATE TABLE ${database}.kept ENGINE = Memory AS ${rows}`)
        const put = (more: string) =>
          warehouse.command(`INSERT INTO ${database}.${table} SELECT * REPLACE(${more}) FROM ${database}.kept`)
        // Under a revision that holds; the views see no reason to compute it again.
        yield* put(`revision + 1 AS revision, ${replace}`)
        const [check] = (yield* auditOf(made, { checks })).checks
        assert.strictEqual(check!.differences, differences, `${view}: ${replace}`)
        assert.deepInclude(check!.sample[0], { view, segment: "clean" })
        yield* put("revision + 2 AS revision")
        yield* warehouse.command(`DROP TABLE ${database}.kept`)
        assert.deepStrictEqual(differencesOf(yield* auditOf(made, { checks })), {})
      }
    }))
})
