import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { kpis } from "../../../src/operations/audit/checks/Kpis.ts"
import { refreshKpis, startKpis } from "../../../src/warehouse/KpiBacklog.ts"
import { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { auditOf, differencesOf, drained } from "./AuditedPlace.ts"

const refreshed = (warehouse: Warehouse["Service"]) =>
  Effect.provideService(Effect.andThen(startKpis, refreshKpis), Warehouse, warehouse)
const checks = [kpis]

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("an audit of the KPIs", (it) => {
  it.effect("agrees with the views on every figure of every day and segment, bots and late events among them", () =>
    Effect.gen(function*() {
      const made = yield* drained(11, 2_000)
      yield* refreshed(made.warehouse)
      const report = yield* auditOf(made, { checks })
      assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
      assert.isAbove(report.checks[0]!.examined, 3 * 16)
      const [row] = yield* made.warehouse.query(
        "SELECT countIf(segment = 'flagged' AND sessions > 0) AS flagged, sum(late_events) AS late FROM daily_metrics"
      )
      assert.isAbove(Number(row!["flagged"]), 0)
      assert.isAbove(Number(row!["late"]), 0)
    }))

  it.effect("names the figure that is wrong, by day and segment", () =>
    Effect.gen(function*() {
      const made = yield* drained(12, 1_000)
      yield* refreshed(made.warehouse)
      for (
        const [figure, wrong] of [
          ["total_clicks", "total_clicks + 1"],
          ["total_revenue", "total_revenue + toDecimal128('0.0001', 4)"],
          ["unique_visitors", "unique_visitors - 1"],
          ["bounces", "bounces + 1"],
          ["late_revenue", "late_revenue + 1"]
        ] as const
      ) {
        // One row, under a revision that holds; the views see no reason to compute it again.
        const replace = (value: string) =>
          `INSERT INTO ${made.warehouse.database}.daily_metrics_raw
           SELECT * REPLACE(revision + 1 AS revision, ${value} AS ${figure}) FROM daily_metrics_raw FINAL
           WHERE segment = 'clean' ORDER BY metric_date LIMIT 1`
        yield* made.warehouse.command(replace(wrong))
        const [check] = (yield* auditOf(made, { checks })).checks
        assert.strictEqual(check!.differences, 1, figure)
        assert.deepInclude(check!.sample[0], { segment: "clean", figure })
        const back = wrong.includes("+") ? wrong.replace("+", "-") : wrong.replace("-", "+")
        yield* made.warehouse.command(replace(back))
        assert.deepStrictEqual(differencesOf(yield* auditOf(made, { checks })), {})
      }
    }))

  it.effect("finds events that the views were never told of", () =>
    Effect.gen(function*() {
      const made = yield* drained(13, 500)
      yield* refreshed(made.warehouse)
      yield* made.warehouse.command(
        `INSERT INTO ${made.warehouse.database}.events_raw
         SELECT * REPLACE(concat(event_id, '-again') AS event_id) FROM events_raw WHERE event_type = 'view' LIMIT 1`
      )
      const [check] = (yield* auditOf(made, { checks })).checks
      assert.isAbove(check!.differences, 0)
      assert.include(check!.sample.map(({ figure }) => figure), "total_clicks")
    }))
})
