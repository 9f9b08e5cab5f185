/** An audit of a database whose oldest days were dropped: it says what it cannot check, reports nothing false, and misses nothing else. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { avroSchema } from "../../../src/domain/ClickEvent.ts"
import type { EpochMillis } from "../../../src/domain/Identifiers.ts"
import { endMarkers } from "../../../src/log/ControlRecords.ts"
import { SchemaRegistry } from "../../../src/log/SchemaRegistry.ts"
import { encodeEvent, eventSubject } from "../../../src/log/WireFormat.ts"
import { checks } from "../../../src/operations/audit/Checks.ts"
import { amendDay } from "../../../src/operations/late/Amendments.ts"
import { lateEvents } from "../../../src/operations/late/LateEvents.ts"
import { setVerdict } from "../../../src/operations/verdicts/Verdicts.ts"
import { refreshKpis, startKpis } from "../../../src/warehouse/KpiBacklog.ts"
import { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import type { Place } from "../../support/PipelineRun.ts"
import { runPipeline } from "../../support/PipelineRun.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { click } from "../../warehouse/kpi/KpiPlace.ts"
import { auditOf, differencesOf, place } from "./AuditedPlace.ts"

const hourMs = 3_600_000
/** So long that slow traffic has findings. */
const windows = { highFrequencyWindowMs: 3 * hourMs, botLikeWindowMs: 4 * hourMs, botLikeSlideMs: hourMs }

/** Slow traffic from 2026-01-01 23:40 on, over five days, with late events folded in. */
const madeOverDays = Effect.gen(function*() {
  const made = yield* place(21, 2_500, { eventsPerSecond: 0.007, settings: windows })
  yield* made.log.append(endMarkers(made.log.partitions, Date.UTC(2026, 0, 20) as EpochMillis))
  yield* runPipeline(made, { batch: 200 })
  yield* Effect.gen(function*() {
    const days = new Set((yield* lateEvents({ limit: 10_000 })).map(({ day }) => day))
    yield* Effect.forEach([...days].sort(), (day) => amendDay(day, { reason: "for the audit", author: "grace" }))
    yield* startKpis
    yield* refreshKpis
  }).pipe(
    Effect.provide(
      Layer.merge(Layer.succeed(Warehouse, made.warehouse), Layer.succeed(SchemaRegistry, made.registry))
    )
  )
  return made
})

const drop = (made: Place, table: string, day: string) =>
  made.warehouse.command(`ALTER TABLE ${made.warehouse.database}.${table} DROP PARTITION '${day}'`)

const needing = checks.filter(({ needsEvents }) => needsEvents).map(({ name }) => name)

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })(
  "an audit after old days were dropped",
  (it) => {
    it.effect(
      "says which days it cannot check, stores that, and reports nothing false",
      () =>
        Effect.gen(function*() {
          const made = yield* madeOverDays
          const whole = yield* auditOf(made, { checks })
          assert.deepStrictEqual(differencesOf(whole), {}, JSON.stringify(whole, null, 1))
          assert.isTrue(whole.checks.every(({ unchecked }) => unchecked === undefined), JSON.stringify(whole, null, 1))
          const steps = [
            ["events_raw", "2026-01-01", "the day 2026-01-01: its"],
            ["sessions_raw", "2026-01-01", "the day 2026-01-01: its"],
            ["events_raw", "2026-01-02", "2 days from 2026-01-01 to 2026-01-02: their"],
            ["sessions_raw", "2026-01-02", "2 days from 2026-01-01 to 2026-01-02: their"],
            ["events_raw", "2026-01-03", "3 days from 2026-01-01 to 2026-01-03: their"]
          ] as const
          for (const [step, [table, day, gone]] of steps.entries()) {
            yield* drop(made, table, day)
            const report = yield* auditOf(made, { checks, auditId: `step ${step}` })
            assert.deepStrictEqual(differencesOf(report), {}, `${step}: ${JSON.stringify(report, null, 1)}`)
            const stored = yield* made.warehouse.query(
              "SELECT check_name, unchecked FROM audits FINAL WHERE audit_id = {id:String} AND unchecked != '' ORDER BY check_name",
              { id: `step ${step}` }
            )
            assert.deepStrictEqual(
              stored,
              needing.toSorted().map((check_name) => ({
                check_name,
                unchecked: `${gone} events are no longer kept`
              }))
            )
            for (const { examined, name } of report.checks) {
              if (needing.includes(name)) assert.isAbove(examined, 0, `${step}: ${name}`)
            }
          }
          const dayStart = Date.UTC(2026, 0, 2)
          const dropped = yield* auditOf(made, { checks, scope: { dayStart } })
          assert.deepStrictEqual(differencesOf(dropped), {}, JSON.stringify(dropped, null, 1))
          assert.strictEqual(dropped.checks.find(({ name }) => name === "sessions")!.examined, 0)
        }),
      600_000
    )

    it.effect(
      "finds the figures of those days as they were, whatever touches them afterwards",
      () =>
        Effect.gen(function*() {
          const made = yield* madeOverDays
          const inWarehouse = Effect.provideService(Warehouse, made.warehouse)
          const figures = made.warehouse.query(
            `SELECT toString(metric_date) AS day, total_clicks, total_revenue, unique_visitors FROM daily_metrics
         WHERE metric_date <= '2026-01-02' AND segment = 'all' ORDER BY metric_date`
          )
          const before = yield* figures
          assert.strictEqual(before.length, 2)
          assert.isTrue(before.every((row) => Number(row["total_clicks"]) > 0), JSON.stringify(before))
          const [visitor] = yield* made.warehouse.query(
            "SELECT visitor_id FROM sessions WHERE toDate(started_at) = '2026-01-02' ORDER BY started_at LIMIT 1"
          )
          for (const day of ["2026-01-01", "2026-01-02"]) yield* drop(made, "events_raw", day)
          const target = { scope: "visitor", id: String(visitor!["visitor_id"]) } as const
          yield* setVerdict(target, "bot", { reason: "after retention", author: "grace" }).pipe(inWarehouse)
          const schemaId = yield* made.registry.register(eventSubject, avroSchema)
          const late = click("a-latecomer", Date.UTC(2026, 0, 2, 12), { itemId: "a" })
          yield* made.log.append([{ key: late.visitorId, value: encodeEvent(schemaId, late), headers: {} }])
          yield* runPipeline(made)
          const came = yield* made.warehouse.query(
            "SELECT visitor_id FROM late_events WHERE visitor_id = 'a-latecomer'"
          )
          assert.strictEqual(came.length, 1)
          yield* refreshKpis.pipe(inWarehouse)
          assert.deepStrictEqual(yield* figures, before)
          assert.deepStrictEqual(differencesOf(yield* auditOf(made, { checks })), {})
        }),
      600_000
    )

    it.effect(
      "still finds what is wrong in the days that are kept, and a day that is missing between them",
      () =>
        Effect.gen(function*() {
          const made = yield* madeOverDays
          yield* drop(made, "events_raw", "2026-01-01")
          yield* made.warehouse.command(
            `ALTER TABLE ${made.warehouse.database}.events_raw DELETE WHERE (partition, offset) IN (
             SELECT partition, offset FROM events_raw WHERE event_type = 'view' AND toDate(event_ts) = '2026-01-04' ORDER BY ALL LIMIT 1
           ) SETTINGS mutations_sync = 1, allow_nondeterministic_mutations = 1`
          )
          const found = differencesOf(yield* auditOf(made, { checks }))
          assert.hasAllKeys(found, ["sessions", "quarters", "kpis", "rankings"])
          yield* drop(made, "events_raw", "2026-01-03")
          const missing = yield* auditOf(made, { checks })
          assert.isAbove(differencesOf(missing)["sessions"]!, 10)
          assert.include(missing.checks.find(({ name }) => name === "sessions")!.unchecked, "the day 2026-01-01:")
        }),
      600_000
    )
  }
)
