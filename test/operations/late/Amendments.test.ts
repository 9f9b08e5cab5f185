import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SchemaRegistry } from "../../../src/log/SchemaRegistry.ts"
import { amendments as amendmentsCheck } from "../../../src/operations/audit/checks/Amendments.ts"
import { kpis } from "../../../src/operations/audit/checks/Kpis.ts"
import { amendDay, amendments, revertAmendment } from "../../../src/operations/late/Amendments.ts"
import { lateEvents } from "../../../src/operations/late/LateEvents.ts"
import { previewAmendment } from "../../../src/operations/late/Preview.ts"
import { setVerdict } from "../../../src/operations/verdicts/Verdicts.ts"
import { Warehouse, WarehouseError } from "../../../src/warehouse/Warehouse.ts"
import { changesBetween, changesPreviewed, figuresBySegment } from "../../support/PreviewedChanges.ts"
import { sameSessions } from "../../support/SessionViews.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import type { KpiPlace } from "../../warehouse/kpi/KpiPlace.ts"
import { click, kpiPlace } from "../../warehouse/kpi/KpiPlace.ts"
import { auditOf, differencesOf } from "../audit/AuditedPlace.ts"
import { day, hour, inPlace, isCrawler, minute, story } from "./LateStory.ts"

const who = { reason: "the till was offline", author: "grace" }

const shown = (place: KpiPlace, columns: string) =>
  place.warehouse.query(
    `SELECT toString(metric_date) AS day, ${columns} FROM daily_metrics WHERE segment = 'all' ORDER BY metric_date`
  )

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 120_000 })("late events", (it) => {
  it.effect(
    "are listed with place, delay, value and repeat, and counted by day with the repeats apart",
    () =>
      Effect.gen(function*() {
        const place = yield* story
        yield* place.settled
        const rows = yield* inPlace(place, lateEvents({ day: "2026-01-05", limit: 10 }))
        assert.deepStrictEqual(
          rows.map(({ behindSec, currency, isRepeat, offset, value, visitorId }) => [
            offset,
            visitorId,
            behindSec / 60,
            value,
            currency,
            isRepeat
          ]),
          [
            [9, "eve", 7 * 60 - 1, "3", "EUR", false],
            [8, "eve", 7 * 60, "0", "", false],
            [7, "bob", 10 * 60 - 26, "0", "", true],
            [6, "ada", 10 * 60 - 5, "25", "", true],
            [5, "ada", 10 * 60 - 5, "25", "", false]
          ]
        )
        assert.strictEqual((yield* inPlace(place, lateEvents({ limit: 2 }))).length, 2)
        assert.deepStrictEqual(yield* inPlace(place, lateEvents({ day: "2026-01-04", limit: 2 })), [])
        assert.match((yield* Effect.flip(inPlace(place, lateEvents({ day: "5 Jan", limit: 2 })))).message, /is no day/)
        assert.deepStrictEqual(yield* shown(place, "late_events, late_revenue, late_repeat, amended_events"), [
          { day: "2026-01-04", late_events: "0", late_revenue: "0", late_repeat: "0", amended_events: "0" },
          { day: "2026-01-05", late_events: "3", late_revenue: "25", late_repeat: "2", amended_events: "0" }
        ])
      }),
    120_000
  )

  it.effect(
    "folded in bridge sessions, move one to another day and reopen the days; taken out nothing is left of them",
    () =>
      Effect.gen(function*() {
        const place = yield* story
        yield* place.close
        const before = yield* place.settled
        const figuresBefore = yield* figuresBySegment(place.warehouse)
        const truth = (isAmended: boolean) =>
          place.truth({ timeZone: "UTC", verdicts: [], isCrawler, isAmended: () => isAmended })
        assert.deepStrictEqual(before, yield* truth(false))
        const sessions = yield* sameSessions(place.warehouse)
        const preview = yield* inPlace(place, previewAmendment("2026-01-05"))
        assert.deepStrictEqual([preview.status, preview.events, preview.waiting], ["final", 3, 0])
        assert.deepStrictEqual(yield* place.settled, before)
        assert.deepStrictEqual(yield* place.warehouse.query("SELECT 1 FROM amended_events"), [])

        const made = yield* inPlace(place, amendDay("2026-01-05", who))
        assert.deepInclude(made, { events: 3, revenue: "25.0000", waiting: 0, status: "final" })
        const after = yield* place.settled
        assert.deepStrictEqual(after, yield* truth(true))
        assert.deepStrictEqual(
          changesPreviewed(preview),
          changesBetween(figuresBefore, yield* figuresBySegment(place.warehouse))
        )
        yield* sameSessions(place.warehouse)
        const [ada] = yield* place.warehouse.query(
          "SELECT session_id, events, toString(started_at) AS started, entry_url, exit_url, unique_items, revenue, late_events " +
            "FROM sessions WHERE visitor_id = 'ada'"
        )
        assert.deepStrictEqual(ada, {
          session_id: sessions.find((row) => row["visitor_id"] === "ada")!["session_id"],
          events: 4,
          started: "2026-01-04 23:40:00.000",
          entry_url: "/late-at-night",
          exit_url: "/exit",
          unique_items: 2,
          revenue: "25",
          late_events: 1
        })
        const held = yield* place.warehouse.query(
          "SELECT uniqExact(session_id) AS ids, count() AS n FROM events WHERE visitor_id = 'ada'"
        )
        assert.deepStrictEqual(held, [{ ids: "1", n: "4" }])
        assert.sameMembers([...new Set(preview.changes.map((change) => change.day))], ["2026-01-04", "2026-01-05"])
        const reopened = yield* shown(
          place,
          "amendments, reopened_by, reopened_at > toDateTime64(0, 3) AS is_reopened, status"
        )
        for (const row of reopened) {
          assert.deepInclude(row, { amendments: "1", reopened_by: "grace", is_reopened: 1, status: "final" })
        }
        const listed = yield* inPlace(place, lateEvents({ day: "2026-01-05", limit: 10 }))
        assert.deepStrictEqual(listed.map(({ amendment }) => amendment !== ""), [true, true, false, false, true])
        assert.isTrue(listed.every(({ reopenedBy }) => reopenedBy === "grace"))
        // Again: nothing is left to fold in.
        assert.deepInclude(yield* inPlace(place, amendDay("2026-01-05", who)), { events: 0, version: 0 })
        assert.deepStrictEqual(differencesOf(yield* auditOf(place, { checks: [amendmentsCheck, kpis] })), {})

        yield* inPlace(place, revertAmendment(made.amendmentId, { reason: "counted by hand already", author: "linus" }))
        assert.deepStrictEqual(yield* place.settled, before)
        assert.deepStrictEqual(yield* sameSessions(place.warehouse), sessions)
        assert.deepStrictEqual((yield* shown(place, "reopened_by")).map((row) => row["reopened_by"]), [
          "linus",
          "linus"
        ])
        assert.deepStrictEqual(differencesOf(yield* auditOf(place, { checks: [amendmentsCheck, kpis] })), {})
        const history = yield* inPlace(place, amendments)
        assert.deepStrictEqual(
          history.map((
            { action, author, events, holds, offsets, reason }
          ) => [action, author, reason, events, holds, offsets]),
          [
            ["revert", "linus", "counted by hand already", 3, false, { 0: [5, 9] }],
            ["amend", "grace", "the till was offline", 3, false, { 0: [5, 9] }]
          ]
        )
        assert.match(
          (yield* Effect.flip(inPlace(place, revertAmendment("nothing", who)))).message,
          /no amendment nothing/
        )
      }),
    300_000
  )

  it.effect(
    "that make a session a bot's take all of its events from clean to flagged, and the preview says so",
    () =>
      Effect.gen(function*() {
        const crawlers = { source: "test", patterns: ["^crawler/"] }
        const place = yield* kpiPlace({ timeZone: "Europe/Berlin", partitions: 1, crawlers })
        const shopping = { eventType: "purchase", itemId: "a", price: 9_9900 }
        yield* place.append([
          // Over midnight in Berlin; a crawler's once its first event is known.
          click("ada", day - 70 * minute, { itemId: "a", currency: "EUR" }),
          click("ada", day - 50 * minute, shopping),
          // A person called one of two sessions a bot's, and a late event joins them.
          click("bob", day + 2 * hour, { itemId: "b" }),
          click("bob", day + 2 * hour + 40 * minute, { itemId: "a" }),
          click("cy", day + 3 * hour, { itemId: "b" }),
          click("clock", day + 10 * hour),
          click("ada", day - 90 * minute, { itemId: "z", userAgent: "crawler/1" }),
          click("bob", day + 2 * hour + 20 * minute, { ...shopping, currency: "EUR", itemId: "c" }),
          click("cy", day + 3 * hour + 5 * minute, { itemId: "c" }),
          click("eve", day + 4 * hour, { userAgent: "crawler/2", itemId: "d" })
        ])
        yield* place.drain()
        yield* place.close
        yield* place.settled
        const [later] = yield* place.warehouse.query(
          "SELECT session_id FROM sessions WHERE visitor_id = 'bob' ORDER BY started_at DESC"
        )
        yield* setVerdict({ scope: "session", id: String(later!["session_id"]) }, "bot", who).pipe(place.inWarehouse)
        yield* setVerdict({ scope: "visitor", id: "cy" }, "bot", who).pipe(place.inWarehouse)
        for (const amended of ["2026-01-04", "2026-01-05"]) {
          yield* place.settled
          const before = yield* figuresBySegment(place.warehouse)
          const preview = yield* inPlace(place, previewAmendment(amended))
          assert.isAbove(preview.events, 0)
          yield* inPlace(place, amendDay(amended, who))
          yield* place.settled
          const changes = changesBetween(before, yield* figuresBySegment(place.warehouse))
          assert.deepStrictEqual(changesPreviewed(preview), changes)
          assert.isTrue(Object.keys(changes).some((change) => change.includes("flagged total_clicks")))
        }
      }),
    300_000
  )

  it.effect(
    "wait while their session can still grow, and are folded in by a later amendment",
    () =>
      Effect.gen(function*() {
        const place = yield* kpiPlace({ timeZone: "UTC", partitions: 1 })
        const late = [click("ada", day + hour), click("ada", day + hour + 25 * minute)]
        yield* place.append([click("ada", day + hour + 40 * minute), click("clock", day + hour + 50 * minute), ...late])
        yield* place.drain()
        assert.deepInclude(yield* inPlace(place, amendDay("2026-01-05", who)), { events: 0, waiting: 2, version: 0 })
        yield* place.close
        assert.deepInclude(yield* inPlace(place, amendDay("2026-01-05", who)), { events: 2, waiting: 0 })
        yield* place.append([click("ada", day + 80 * minute, { eventType: "purchase", price: 1_0000 })])
        yield* place.drain()
        assert.deepInclude(yield* inPlace(place, amendDay("2026-01-05", who)), { events: 1, revenue: "1.0000" })
        const truth = place.truth({ timeZone: "UTC", verdicts: [], isCrawler, isAmended: () => true })
        assert.deepStrictEqual(yield* place.settled, yield* truth)
      }),
    180_000
  )

  it.effect(
    "are in all or not at all, wherever an amendment dies, and running it again ends it",
    () =>
      Effect.gen(function*() {
        const place = yield* story
        yield* place.close
        const before = yield* place.settled
        const truth = yield* place.truth({ timeZone: "UTC", verdicts: [], isCrawler, isAmended: () => true })
        // Witness of changes before, events, sessions, the row that makes them count, its witness: each is the one before which it dies.
        let writes = 0
        for (let dies = 1; dies <= 5; dies++) {
          writes = 0
          assert.isUndefined(yield* inDying(place, dies, () => ++writes, amendDay("2026-01-05", who)))
          assert.strictEqual(writes, dies)
          assert.deepStrictEqual(yield* place.settled, dies < 5 ? before : truth)
        }
        yield* inDying(place, Infinity, () => ++writes, amendDay("2026-01-05", who))
        assert.deepStrictEqual(yield* place.settled, truth)
        assert.deepStrictEqual(differencesOf(yield* auditOf(place, { checks: [amendmentsCheck, kpis] })), {})
      }),
    300_000
  )
})

/** Runs it over a warehouse that is gone at the n-th write; undefined when it did not get to its end. */
const inDying = <E>(
  { registry, warehouse }: KpiPlace,
  dies: number,
  count: () => number,
  work: Effect.Effect<unknown, E, Warehouse | SchemaRegistry>
) =>
  work.pipe(
    Effect.provide(
      Layer.merge(
        Layer.succeed(SchemaRegistry, registry),
        Layer.succeed(Warehouse, {
          ...warehouse,
          command: (sql, params) =>
            Effect.suspend(() =>
              count() >= dies ?
                Effect.fail(new WarehouseError({ message: "killed", code: 0, retryable: true })) :
                warehouse.command(sql, params)
            )
        })
      )
    ),
    Effect.catch(() => Effect.succeed(undefined))
  )
