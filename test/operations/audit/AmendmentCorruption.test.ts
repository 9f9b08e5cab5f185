/** Each kind of damage to what amendments wrote is planted alone into a small real database, and the audit must name it. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { EpochMillis } from "../../../src/domain/Identifiers.ts"
import { endMarkers } from "../../../src/log/ControlRecords.ts"
import { EventLog } from "../../../src/log/EventLog.ts"
import { SchemaRegistry } from "../../../src/log/SchemaRegistry.ts"
import { amendments } from "../../../src/operations/audit/checks/Amendments.ts"
import { amendDay, revertAmendment } from "../../../src/operations/late/Amendments.ts"
import { lateEvents } from "../../../src/operations/late/LateEvents.ts"
import { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import type { Place } from "../../support/PipelineRun.ts"
import { runPipeline } from "../../support/PipelineRun.ts"
import { freshWarehouse, TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { auditOf, differencesOf, place } from "./AuditedPlace.ts"

type Row = Readonly<Record<string, string>>

interface Damage {
  readonly what: string
  /** The row to damage: a SELECT, of which the first row is taken. */
  readonly target: string
  readonly plant: (row: Row) => ReadonlyArray<string>
  /** How many differences the check of amendments finds. */
  readonly found: number | "some"
  /** What the rows that differ must show. */
  readonly shows: (row: Row) => string
}

const mutations = "SETTINGS mutations_sync = 1, allow_nondeterministic_mutations = 1"
const update = (table: string, what: string, where: string): string =>
  `ALTER TABLE ${table} UPDATE ${what} WHERE ${where} ${mutations}`
const remove = (table: string, where: string): string => `ALTER TABLE ${table} DELETE WHERE ${where} ${mutations}`
const copy = (table: string, replace: string, where: string): string =>
  `INSERT INTO ${table} SELECT * REPLACE (${replace}) FROM (SELECT * FROM ${table} FINAL WHERE ${where} LIMIT 1)`
/** The same where a column of the key changes: the row goes, and comes back otherwise. */
const recast = (table: string, replace: string, where: string): ReadonlyArray<string> => [
  `INSERT INTO ${table} SELECT * REPLACE (${replace}, version + 1000000000000000 AS version) FROM (
     SELECT * FROM ${table} FINAL WHERE ${where} ORDER BY version DESC LIMIT 1)`
]
const at = (row: Row): string => `partition = ${row["partition"]} AND offset = ${row["offset"]}`
const session = (row: Row): string => `session_id = '${row["session_id"]}'`
const nowhere = "f".repeat(32)

/** A purchase that counts now and was never touched by a second change, nor takes part in a reversal. */
const foldedEvent = `SELECT partition, toString(offset) AS offset FROM standing_amended_events
  WHERE event_type = 'purchase' AND currency IN ('', 'USD') AND price > 0
    AND (partition, offset) IN (SELECT partition, offset FROM amended_events GROUP BY partition, offset HAVING count() = 1)
  ORDER BY partition, offset`
const foldedSession = `SELECT session_id FROM standing_amended_sessions
  WHERE session_id IN (SELECT session_id FROM amended_sessions GROUP BY session_id HAVING count() = 1) ORDER BY session_id`

/** Amended sessions, late events and changes. */
const damages: ReadonlyArray<Damage> = [
  ...[
    "price + 1 AS price",
    "'nobody' AS visitor_id",
    "event_ts + INTERVAL 1 MILLISECOND AS event_ts",
    "'another' AS event_id"
  ].map((change): Damage => ({
    what: `a folded event with ${change}`,
    target: foldedEvent,
    plant: (row) => recast("amended_events", change, at(row)),
    found: "some",
    shows: () => "it is not what came too late"
  })),
  {
    what: "a folded event with another page than its record",
    target: foldedEvent,
    plant: (row) => [update("amended_events", "url = 'https://elsewhere'", at(row))],
    found: "some",
    shows: () => "its record does not say so"
  },
  {
    what: "a folded event that never came",
    target: foldedEvent,
    plant: (row) => [copy("amended_events", "toUInt64(999999) AS offset", at(row))],
    found: "some",
    shows: () => "no such record came too late"
  },
  {
    what: "a folded event that is gone",
    target: foldedEvent,
    plant: (row) => [remove("amended_events", at(row))],
    found: "some",
    shows: () => "it tells of another number of events"
  },
  {
    what: "a folded event in another session",
    target: foldedEvent,
    plant: (row) => [update("amended_events", `session_id = '${nowhere}'`, at(row))],
    found: 1,
    shows: () => "some of its late events are said to be in another"
  },
  {
    what: "a repeat that was folded in",
    target: foldedEvent,
    plant: (row) => [copy("late_events", "toUInt64(0) AS offset", at(row))],
    found: 1,
    shows: () => "it only repeats a record before it"
  },
  {
    what: "an event taken out though its amendment holds",
    target: foldedEvent,
    plant: (row) => [update("amended_events", "standing = false", at(row))],
    found: "some",
    shows: () => "it was taken out, but its amendment holds"
  },
  ...[
    "revenue = revenue + 0.01",
    "revenue_by_currency = map('XAU', toDecimal128(1, 4))",
    "clicks = clicks + 1",
    "unique_items = unique_items + 1",
    "ended_at = ended_at + INTERVAL 1 MILLISECOND",
    "entry_url = 'https://elsewhere'",
    "late_events = late_events + 1",
    "replaces = ['another']"
  ].map((change): Damage => ({
    what: `an amended session with ${change}`,
    target: foldedSession,
    plant: (row) => [update("amended_sessions", change, session(row))],
    found: 1,
    shows: (row) => String(row["session_id"])
  })),
  {
    what: "an amended session that is gone",
    target: foldedSession,
    plant: (row) => [remove("amended_sessions", session(row))],
    found: 1,
    shows: () => "there is no such amended session"
  },
  {
    what: "an amended session that nothing makes",
    target: foldedSession,
    plant: (row) => [copy("amended_sessions", `'${nowhere}' AS session_id`, session(row))],
    found: 1,
    shows: () => "no late events make it"
  },
  ...[
    ["events + 1 AS events", "it tells of another number of events"],
    ["revenue + 1 AS revenue", "it tells of other money"],
    ["'' AS author", "nobody made it"]
  ].map(([change, why]): Damage => ({
    what: `an amendment with ${change}`,
    target: "SELECT amendment_id FROM amendments FINAL GROUP BY amendment_id HAVING count() = 1 ORDER BY amendment_id",
    plant: (row) => [
      `ALTER TABLE amendments UPDATE ${change!.split(" AS ")[1]} = ${change!.split(" AS ")[0]} WHERE amendment_id = '${
        row["amendment_id"]
      }' ${mutations}`
    ],
    found: 1,
    shows: () => why!
  })),
  ...["amend", "revert"].map((action): Damage => ({
    what: `a change (${action}) whose row is gone, as if it had died before it counted`,
    target: `SELECT change_id FROM amendments FINAL WHERE action = '${action}' ORDER BY version DESC`,
    plant: (row) => [remove("amendments", `change_id = '${row["change_id"]}'`)],
    found: "some",
    shows: () => "it counted once, and its row in the history is gone"
  })),
  {
    what: "an amendment whose row is gone from the history",
    target: "SELECT amendment_id FROM amendments FINAL WHERE action = 'revert'",
    plant: (row) => [remove("amendments", `amendment_id = '${row["amendment_id"]}' AND action = 'amend'`)],
    found: "some",
    shows: () => "it takes back what never was"
  }
]

class Whole extends Context.Service<Whole, Place>()("test/Amended") {}

const who = { reason: "the shop's till was offline", author: "grace" }

/** All days amended; of the first one the amendment reverted, and made again. */
const amended = Effect.gen(function*() {
  const made = yield* place(11, 3_000)
  yield* made.log.append(endMarkers(made.log.partitions, Date.UTC(2026, 0, 20) as EpochMillis))
  yield* runPipeline(made, { batch: 100 })
  const late = yield* lateEvents({ limit: 10_000 })
    .pipe(Effect.provideService(Warehouse, made.warehouse))
  const services = Layer.mergeAll(
    Layer.succeed(Warehouse, made.warehouse),
    Layer.succeed(SchemaRegistry, made.registry),
    Layer.succeed(EventLog, made.log)
  )
  const days = [...new Set(late.map(({ day }) => day))].sort()
  assert.isAbove(days.length, 1)
  yield* Effect.gen(function*() {
    const reports = yield* Effect.forEach(days, (day) => amendDay(day, who))
    assert.isAbove(reports.reduce((sum, { events }) => sum + events, 0), 20)
    yield* revertAmendment(reports.find(({ events }) => events > 0)!.amendmentId, who)
    yield* amendDay(days[0]!, who)
  }).pipe(Effect.provide(services))
  return made
})

const whole = Layer.effect(Whole, amended).pipe(Layer.provideMerge(TemporaryWarehouse))

layer(whole, { excludeTestServices: true, timeout: 180_000 })("an audit of amendments finds", (it) => {
  for (const { found, plant, shows, target, what } of damages) {
    it.effect(what, () =>
      Effect.gen(function*() {
        const { log, registry, warehouse: original } = yield* Whole
        const warehouse = yield* copyOf(original)
        const [row] = (yield* warehouse.query(`SELECT * FROM (${target}) LIMIT 1`)) as ReadonlyArray<Row>
        assert.isDefined(row, "there is nothing to damage")
        for (const statement of plant(row!)) yield* warehouse.command(statement)
        const report = yield* auditOf({ log, registry, warehouse }, { checks: [amendments] })
        const text = JSON.stringify(report.checks.flatMap(({ sample }) => sample))
        const differences = differencesOf(report)["amendments"] ?? 0
        if (found === "some") assert.isAbove(differences, 0, text)
        else assert.strictEqual(differences, found, text)
        assert.include(text, shows(row!))
      }))
  }

  it.effect("nothing in a copy that was not damaged, nor in what a change left that died before it counted", () =>
    Effect.gen(function*() {
      const { log, registry, warehouse: original } = yield* Whole
      const warehouse = yield* copyOf(original)
      for (const table of ["amended_events", "amended_sessions"]) {
        yield* warehouse.command(
          `INSERT INTO ${table} SELECT * REPLACE ('died' AS change_id, 'x' AS visitor_id, version + 1000000000 AS version) FROM ${table}`
        )
      }
      const report = yield* auditOf({ log, registry, warehouse })
      assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
      assert.isAbove(report.checks.find(({ name }) => name === "amendments")!.examined, 40)
    }))
})

const tables = [
  "events_raw",
  "late_events",
  "rejected_records",
  "dead_letters",
  "control_records",
  "sessions_raw",
  "session_aliases",
  "findings_raw",
  "touched_days",
  "decision_hashes",
  "checkpoints",
  "amendments",
  "amended_events",
  "amended_sessions",
  "counted_changes"
]

const copyOf = Effect.fnUntraced(function*(original: Warehouse["Service"]) {
  const warehouse = yield* freshWarehouse
  for (const table of tables) {
    yield* warehouse.command(
      `INSERT INTO ${table} SELECT * FROM ${original.database}.${table} SETTINGS max_partitions_per_insert_block = 0`
    )
  }
  return warehouse
})
