/** What the views of the KPIs read, by EXPLAIN: the days and months that are due, however long the history is. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parseStatementFile } from "../../../src/cli/StatementFile.ts"
import type { EpochMillis } from "../../../src/domain/Identifiers.ts"
import { migrationsDirectory } from "../../../src/warehouse/Migrations.ts"
import type { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { click, kpiPlace } from "./KpiPlace.ts"

const dayMs = 86_400_000
const days = 40
const start = Date.UTC(2025, 11, 1, 10)

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("the views of KPIs", (it) => {
  it.effect("read the partitions that are due and no others", () =>
    Effect.gen(function*() {
      const place = yield* kpiPlace({ timeZone: "America/New_York", partitions: 1 })
      yield* place.append(Array.from({ length: days }, (_, day) => click("ada", start + day * dayMs, { itemId: "a" })))
      yield* place.drain()
      yield* place.settled
      const { command } = place.warehouse
      for (
        const view of ["compute_session_quarters", "compute_event_quarters", "refresh_daily_metrics", "refresh_popular"]
      ) {
        yield* command(`SYSTEM STOP VIEW ${place.warehouse.database}.${view}`)
      }
      // One quarter is touched and planned, but not computed.
      const quarter = "toDateTime('2025-12-20 10:00:00', 'UTC')"
      yield* command(
        `INSERT INTO touched_days (day, partition, cause, kind, quarter, version)
         SELECT '2025-12-20', 0, 'verdict', arrayJoin(['events', 'sessions']), ${quarter}, 1`
      )
      for (const view of ["plan_session_quarters", "plan_event_quarters"]) {
        yield* command(`SYSTEM REFRESH VIEW ${place.warehouse.database}.${view}`)
        yield* command(`SYSTEM WAIT VIEW ${place.warehouse.database}.${view}`)
      }
      assert.deepStrictEqual(
        yield* partsRead(place.warehouse, yield* selectOf(place.warehouse, "compute_session_quarters"), "sessions_raw"),
        // Of two days the index leaves one; nothing is read for older lists of crawlers, as there are none.
        [[1, days], [0, 0]]
      )
      assert.deepStrictEqual(
        yield* partsRead(place.warehouse, yield* selectOf(place.warehouse, "compute_event_quarters"), "events_raw"),
        // The look-up of what late events repeat reads nothing where there are none.
        [[1, days], [0, days]]
      )
      // And one quarter is computed, but not merged into its day.
      yield* command(
        `INSERT INTO event_quarters (quarter, segment, plan, events, currency) SELECT ${quarter}, arrayJoin(['clean', 'flagged']), 1000, 1, 'USD'`
      )
      for (const view of ["refresh_daily_metrics", "refresh_popular"]) {
        const read = yield* partsRead(place.warehouse, yield* selectOf(place.warehouse, view), "event_quarters", 1)
        assert.isAbove(read.length, 0)
        for (const [parts, all] of read) assert.isBelow(parts!, all!, `${view} reads all of event_quarters`)
      }
    }), 120_000)

  it.effect(
    "and the analysts' query of late events read the hours around them, to find repeats",
    () =>
      Effect.gen(function*() {
        const place = yield* kpiPlace({ timeZone: "UTC", partitions: 1 })
        const late = click("ada", start + 18 * dayMs + 600_000, { eventType: "purchase", price: 1_0000 })
        yield* place.append([
          ...Array.from({ length: days }, (_, day) => click("ada", start + day * dayMs)),
          // It repeats what was accepted; then one that came too late repeats itself.
          click("ada", start + 18 * dayMs),
          late,
          late,
          // The same id, and two hours from it: another event.
          { ...late, eventTs: late.eventTs + 7_200_000 as EpochMillis }
        ])
        yield* place.drain()
        const file = readFileSync(join(migrationsDirectory, "queries", "10_late_events.sql"), "utf8")
        const { parameters, statement } = parseStatementFile(file)
        const sql = parameters.reduce(
          (text, { fallback, name, type }) => text.replaceAll(`{${name}:${type}}`, `'${fallback}'::${type}`),
          statement
        )
        const read = yield* partsRead(place.warehouse, sql, "events_raw")
        assert.isAbove(read.length, 0)
        for (const [parts, all] of read) assert.deepStrictEqual([parts, all], [1, days])
        assert.deepStrictEqual(
          (yield* place.warehouse.query(sql)).map((
            row
          ) => [row["day"], row["late_events"], row["repeats"], row["late_revenue"]]),
          [["2025-12-19", "4", "2", "2"]]
        )
      }),
    120_000
  )

  it.effect("are pruned by metric_date", () =>
    Effect.gen(function*() {
      const place = yield* kpiPlace({ timeZone: "UTC", partitions: 1 })
      yield* place.append(
        Array.from({ length: days }, (_, day) => click("ada", start + day * dayMs, { itemId: "a", category: "b" }))
      )
      yield* place.drain()
      yield* place.settled
      for (const [view, table] of Object.entries(flatViews)) {
        const filtered = yield* partsRead(
          place.warehouse,
          `SELECT * FROM ${view} WHERE metric_date = '2025-12-20'`,
          table
        )
        const whole = yield* partsRead(place.warehouse, `SELECT * FROM ${view}`, table)
        assert.isBelow(filtered[0]![0]!, whole[0]![0]!, view)
      }
    }), 120_000)
})

const flatViews = {
  daily_metrics: "daily_metrics_raw",
  session_funnel: "daily_metrics_raw",
  hourly_traffic: "daily_metrics_raw",
  popular_items: "popular_raw",
  popular_categories: "popular_raw"
}

const selectOf = Effect.fnUntraced(function*(warehouse: Warehouse["Service"], view: string) {
  const [row] = yield* warehouse.query(
    "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = {view:String}",
    { view }
  )
  return String(row!["as_select"])
})

/** Parts left after partition pruning, and parts that there are, for each reading of the table by more than `least` columns. */
const partsRead = Effect.fnUntraced(function*(warehouse: Warehouse["Service"], sql: string, table: string, least = 0) {
  const lines = yield* warehouse.query(`EXPLAIN indexes = 1 ${sql}`)
  const text = lines.map((line) => String(line["explain"])).join("\n")
  const readings = text.split("ReadFromMergeTree").slice(1).filter((reading) =>
    reading.startsWith(` (${warehouse.database}.${table})`)
  )
  return readings.map((reading) => {
    const steps = [...reading.matchAll(/Parts: (\d+)\/(\d+)/g)]
    assert.isAtLeast(steps.length, least, reading)
    return [Number(steps.at(-1)?.[1] ?? 0), Number(steps[0]?.[2] ?? 0)]
  })
})
