import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { quarters } from "../../../src/operations/audit/checks/Quarters.ts"
import { refreshKpis, startKpis } from "../../../src/warehouse/KpiBacklog.ts"
import { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { auditOf, differencesOf, drained } from "./AuditedPlace.ts"

const checks = [quarters]

/** What a quarter of an hour may hold wrong while the day that was merged from it still shows what is right. */
const damages = [
  { table: "event_quarters", replace: "clicks + 1 AS clicks" },
  { table: "event_quarters", replace: "revenue + toDecimal128('0.0001', 4) AS revenue" },
  // As many visitors and items as there were, but others.
  {
    table: "event_quarters",
    replace: "arrayReduce('uniqExactState', range(toUInt64(1), 1 + finalizeAggregation(visitors))) AS visitors"
  },
  {
    table: "event_quarters",
    replace:
      "arrayReduce('uniqExactState', arrayMap(n -> concat('another ', toString(n)), range(finalizeAggregation(items_seen)))) AS items_seen"
  },
  {
    table: "event_quarters",
    replace: "arrayMap(i -> (i.1, i.2, i.3, i.4, i.5, i.6, arrayMap(v -> v + 1, i.7)), items) AS items"
  },
  { table: "event_quarters", replace: "late_events + 1 AS late_events" },
  { table: "session_quarters", replace: "bounces + 1 AS bounces" },
  { table: "session_quarters", replace: "[('another', quarter, 'rule')] AS flagged" }
] as const

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("an audit of the quarters", (it) => {
  it.effect("agrees with the views and finds what no day shows yet", () =>
    Effect.gen(function*() {
      const made = yield* drained(11, 2_000)
      const { warehouse } = made
      const { database } = warehouse
      yield* Effect.provideService(Effect.andThen(startKpis, refreshKpis), Warehouse, warehouse)
      const report = yield* auditOf(made, { checks })
      assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
      assert.isAbove(report.checks[0]!.examined, 30)
      for (const { replace, table } of damages) {
        yield* warehouse.command(
          `CREATE TABLE ${database}.kept ENGINE = Memory AS SELECT * FROM ${table} FINAL
           WHERE segment = 'clean' AND quarter > toDateTime(0, 'UTC') ORDER BY quarter LIMIT 1`
        )
        // Under the same plan and later: it takes the place, and the views see no reason to compute it again.
        yield* warehouse.command(`INSERT INTO ${database}.${table} SELECT * REPLACE(${replace}) FROM ${database}.kept`)
        const [check] = (yield* auditOf(made, { checks })).checks
        assert.strictEqual(check!.differences, 1, `${table}: ${replace}`)
        assert.deepInclude(check!.sample[0], { table, segment: "clean" })
        yield* warehouse.command(`INSERT INTO ${database}.${table} SELECT * FROM ${database}.kept`)
        yield* warehouse.command(`DROP TABLE ${database}.kept`)
      }
      assert.deepStrictEqual(differencesOf(yield* auditOf(made, { checks })), {})
    }))
})
