/** Each kind of damage is planted into a small real database, alone, and the audit must name it, and nothing that is whole. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type { Offset } from "../../../src/domain/Identifiers.ts"
import { logContent } from "../../../src/operations/audit/checks/LogContent.ts"
import type { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import type { Place } from "../../support/PipelineRun.ts"
import { freshWarehouse, TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { auditOf, differencesOf, drained } from "./AuditedPlace.ts"
import { place as unprocessed } from "./AuditedPlace.ts"

type Row = Readonly<Record<string, string>>

interface Damage {
  readonly what: string
  /** The row to damage: a SELECT, of which the first row is taken. */
  readonly target: string
  /** Statements that do it. `mutate` is ALTER TABLE .. UPDATE or DELETE. */
  readonly plant: (row: Row) => ReadonlyArray<string>
  /** Check -> differences; "some" where it depends on the sessions' size. */
  readonly found: Readonly<Record<string, number | "some">>
  /** What the rows that differ must show. */
  readonly shows: (row: Row) => string
}

const mutations = "SETTINGS mutations_sync = 1, allow_nondeterministic_mutations = 1"
const update = (table: string, what: string, where: string): string =>
  `ALTER TABLE ${table} UPDATE ${what} WHERE ${where} ${mutations}`
const remove = (table: string, where: string): string => `ALTER TABLE ${table} DELETE WHERE ${where} ${mutations}`
const at = (row: Row): string => `partition = ${row["partition"]} AND offset = ${row["offset"]}`
const copy = (table: string, replace: string, where: string): string =>
  `INSERT INTO ${table} SELECT * REPLACE (${replace}) FROM (
    SELECT * FROM ${table} ${table === "decision_hashes" ? "" : "FINAL"} WHERE ${where} LIMIT 1)`

const newest = "SELECT partition, offset FROM checkpoints FINAL ORDER BY offset DESC, partition LIMIT 1"
const older = "SELECT partition, offset FROM checkpoints FINAL ORDER BY partition, offset LIMIT 1 OFFSET 1"
const rewritten = (row: Row, replace: string): ReadonlyArray<string> => [
  copy("checkpoints", `${replace}, written_at + INTERVAL 1 SECOND AS written_at`, at(row))
]
const placeOf = (row: Row): string => `"offset":"${row["offset"]}"`

/** A purchase or the like that neither opens its session nor ends it, and whose session has later records. */
const quietEvent = `
  SELECT e.event_id AS event_id, e.visitor_id AS visitor_id, e.partition AS partition, e.offset AS offset, e.session_id AS session_id
  FROM events_raw AS e FINAL INNER JOIN (SELECT * FROM sessions_raw FINAL WHERE merged_into = '') AS s ON s.session_id = e.session_id
  WHERE e.event_type NOT IN ('view', 'click') AND e.event_ts > s.started_at AND e.event_ts < s.ended_at AND e.offset + 1 < s.version
    AND (e.session_id, e.offset) NOT IN (SELECT session_id, min(offset) FROM events_raw GROUP BY session_id)
  ORDER BY e.partition, e.offset`
/** A duplicate leaves no row: an offset that nothing has, after the event and before the last record of its session. */
const repeated = `
  SELECT q.event_id AS event_id, q.visitor_id AS visitor_id, q.partition AS partition, q.offset AS offset, toString(free.offset) AS free
  FROM (${quietEvent}) AS q
  INNER JOIN (SELECT session_id, version FROM sessions_raw FINAL) AS s ON s.session_id = q.session_id
  INNER JOIN (
    SELECT partition, arrayJoin(range(toUInt64(0), max(offset))) AS offset FROM checkpoints GROUP BY partition
  ) AS free ON free.partition = q.partition
  WHERE free.offset > q.offset AND free.offset + 1 < s.version AND (free.partition, free.offset) NOT IN (
    SELECT partition, offset FROM events_raw UNION ALL SELECT partition, offset FROM late_events
    UNION ALL SELECT partition, offset FROM rejected_records UNION ALL SELECT partition, offset FROM dead_letters)
  ORDER BY free.offset - q.offset, q.partition, q.offset`
const living = "SELECT session_id, visitor_id FROM sessions_raw FINAL WHERE merged_into = '' AND events > 2 " +
  "AND session_id NOT IN (SELECT session_id FROM session_aliases) ORDER BY session_id"
const absorbed = "SELECT absorbed_id, session_id FROM session_aliases FINAL ORDER BY absorbed_id"
const standing = "SELECT finding_id FROM findings_raw FINAL WHERE withdrawn = 0 ORDER BY finding_id"
const session = (row: Row): string => `session_id = '${row["session_id"]}'`
const finding = (row: Row): string => `finding_id = '${row["finding_id"]}'`
const nowhere = "f".repeat(32)

const damages: ReadonlyArray<Damage> = [
  {
    what: "a checkpoint whose outcomes do not add up",
    target: newest,
    plant: (row) => rewritten(row, "mapUpdate(counters, map('duplicate', counters['duplicate'] + 1)) AS counters"),
    found: { conservation: 1 },
    shows: placeOf
  },
  {
    what: "an older checkpoint with more of one outcome than the next",
    target: older,
    plant: (row) =>
      rewritten(
        row,
        "mapUpdate(counters, map('accepted', toUInt64(0), 'rejected', counters['rejected'] + counters['accepted'])) AS counters"
      ),
    found: { conservation: "some" },
    shows: () => "a count is less than at the checkpoint before it"
  },
  {
    what: "a watermark that goes back",
    target: older,
    plant: (row) => rewritten(row, "watermark_ms + 864000000 AS watermark_ms"),
    found: { conservation: 1 },
    shows: () => "the watermark is before"
  },
  ...["late_events", "dead_letters", "rejected_records"].map((table): Damage => ({
    what: `a row that is missing in ${table}`,
    target: `SELECT partition, offset FROM ${table} FINAL`,
    plant: (row) => [remove(table, at(row))],
    found: { "stored records": 1 },
    shows: (row) =>
      `"partition":${row["partition"]},"outcome":"${
        table === "late_events" ? "late" : table === "dead_letters" ? "dead_lettered" : "rejected"
      }"`
  })),
  {
    what: "a dead letter that nothing counts",
    target: "SELECT partition, offset FROM dead_letters FINAL",
    plant: (row) => [copy("dead_letters", "toUInt64(0) AS offset", at(row))],
    found: { "stored records": 1, "log content": 1 },
    shows: () => "dead_letters"
  },
  {
    what: "a watermark that no event has",
    target: newest,
    plant: (row) => rewritten(row, "watermark_ms + 1 AS watermark_ms"),
    found: { "stored records": 1 },
    shows: () => "greatest_event_ts_ms"
  },
  {
    what: "a run that decided otherwise",
    target: newest,
    plant: (row) => [copy("decision_hashes", "hash + 1 AS hash, 'another-run' AS run_id", at(row))],
    found: { "decision hashes": 1 },
    shows: () => "another-run"
  },
  {
    what: "an event that was accepted twice",
    target: repeated,
    plant: (row) => [copy("events_raw", `toUInt64(${row["free"]}) AS offset`, at(row))],
    found: { identifiers: 1, "log content": 1 },
    shows: (row) => `"event_id":"${row["event_id"]}"`
  },
  {
    what: "a record that became two events",
    target: quietEvent,
    plant: (row) => [copy("events_raw", "'another id' AS event_id", at(row))],
    found: { identifiers: 1, "stored records": 1, "log content": 1, sessions: 1 },
    shows: () => "another id"
  },
  {
    what: "an id that was accepted again while it counted as seen",
    target: repeated,
    plant: (row) => [
      copy("events_raw", `toUInt64(${row["free"]}) AS offset, event_ts + INTERVAL 1 MILLISECOND AS event_ts`, at(row))
    ],
    found: { outcomes: 1, "stored records": 1, "log content": 1, sessions: 1 },
    shows: () => "it had to be a duplicate"
  },
  {
    what: "an accepted event that was ahead of the log",
    target: quietEvent,
    plant: (row) => [update("events_raw", "appended_at = event_ts - INTERVAL 1 HOUR", at(row))],
    found: { outcomes: 1, "log content": 1 },
    shows: () => "its time had to be rejected"
  },
  {
    what: "a late event that was in time",
    target: "SELECT partition, offset FROM late_events FINAL",
    plant: (row) => [update("late_events", "event_ts = watermark", at(row))],
    found: { outcomes: 1, "log content": 1 },
    shows: () => "it was in time"
  },
  {
    what: "a late event with a wrong watermark",
    target: "SELECT partition, offset FROM late_events FINAL",
    plant: (row) => [update("late_events", "watermark = watermark + INTERVAL 1 SECOND", at(row))],
    found: { outcomes: 1 },
    shows: placeOf
  },
  {
    what: "a rejected record whose time is good",
    target: "SELECT partition, offset FROM rejected_records FINAL",
    plant: (row) => [update("rejected_records", "event_ts_ms = toUnixTimestamp64Milli(appended_at)", at(row))],
    found: { outcomes: 1, "log content": 1 },
    shows: () => "no reason to reject it"
  },
  ...[
    "revenue = revenue + 0.01",
    "revenue_by_currency = map('XAU', toDecimal128(1, 4))",
    "clicks = clicks + 1",
    "unique_items = unique_items + 1",
    "entry_url = 'https://elsewhere'",
    "exit_url = 'https://elsewhere'",
    "user_agent = 'another'",
    "started_at = started_at - INTERVAL 1 MILLISECOND"
  ].map((change): Damage => ({
    what: `a session with ${change}`,
    target: living,
    plant: (row) => [update("sessions_raw", change, session(row))],
    found: { sessions: 1 },
    shows: (row) => String(row["session_id"])
  })),
  {
    what: "a session that is another visitor's",
    target: living,
    plant: (row) => [update("sessions_raw", "visitor_id = 'nobody'", session(row))],
    found: { sessions: 1, "events in sessions": "some" },
    shows: () => "nobody"
  },
  {
    what: "a session that does not reach its events",
    target: living,
    plant: (row) => [update("sessions_raw", "ended_at = started_at", session(row))],
    found: { sessions: 1, "events in sessions": "some" },
    shows: () => "does not span it"
  },
  {
    what: "a session that is gone",
    target: living,
    plant: (row) => [remove("sessions_raw", session(row))],
    found: { sessions: 1, "events in sessions": "some" },
    shows: () => "there is no such session"
  },
  {
    what: "a second session beside a first",
    target: living,
    plant: (row) => [
      copy(
        "sessions_raw",
        `concat(substring(session_id, 1, 12), '${"0".repeat(20)}') AS session_id,
         ended_at + INTERVAL 5 MINUTE AS started_at, ended_at + INTERVAL 6 MINUTE AS ended_at`,
        session(row)
      )
    ],
    found: { sessions: 1, "sessions apart": 1 },
    shows: (row) => `"earlier_id":"${row["session_id"]}"`
  },
  {
    what: "an event in a session that never was",
    target: quietEvent,
    plant: (row) => [update("events_raw", `session_id = '${nowhere}'`, at(row))],
    found: { "events in sessions": 1 },
    shows: (row) => `"an_event":"${row["event_id"]}"`
  },
  {
    what: "an event in another visitor's session",
    target: `SELECT q.*, l.session_id AS other FROM (${quietEvent}) AS q CROSS JOIN (${living}) AS l
      WHERE l.visitor_id != q.visitor_id ORDER BY q.partition, q.offset, other`,
    plant: (row) => [update("events_raw", `session_id = '${row["other"]}'`, at(row))],
    found: { "events in sessions": 1 },
    shows: () => "another visitor's"
  },
  {
    what: "a tombstone that leads elsewhere",
    target: absorbed,
    plant: (row) => [update("sessions_raw", `merged_into = '${nowhere}'`, `session_id = '${row["absorbed_id"]}'`)],
    found: { aliases: 1 },
    shows: (row) => `"absorbed_id":"${row["absorbed_id"]}"`
  },
  {
    what: "a tombstone of another merge than its alias",
    target: absorbed,
    plant: (
      row
    ) => [
      update("session_aliases", "partition = partition", `absorbed_id = '${row["absorbed_id"]}'`),
      copy("session_aliases", "version - 1 AS version", `absorbed_id = '${row["absorbed_id"]}'`),
      remove(
        "session_aliases",
        `absorbed_id = '${
          row["absorbed_id"]
        }' AND version = (SELECT max(version) FROM session_aliases WHERE absorbed_id = '${row["absorbed_id"]}')`
      )
    ],
    found: { aliases: 1 },
    shows: () => "different versions"
  },
  {
    what: "a tombstone without an alias",
    target: absorbed,
    plant: (row) => [remove("session_aliases", `absorbed_id = '${row["absorbed_id"]}'`)],
    found: { aliases: 1, "events in sessions": "some" },
    shows: () => "no alias for this tombstone"
  },
  {
    what: "an alias to a session that does not live",
    target: absorbed,
    plant: (row) => [
      update("session_aliases", `session_id = '${nowhere}'`, `absorbed_id = '${row["absorbed_id"]}'`),
      update("sessions_raw", `merged_into = '${nowhere}'`, `session_id = '${row["absorbed_id"]}'`)
    ],
    found: { aliases: 1, "events in sessions": "some" },
    shows: () => "the session it leads to does not live"
  },
  ...[
    "clicks = clicks + 1",
    "unique_items = unique_items + 1",
    "score = score + 0.5",
    "found_at_offset = found_at_offset + 1",
    "withdrawn = 1",
    "session_id = 'another'",
    "appended_at = appended_at + INTERVAL 1 MILLISECOND"
  ].map((change): Damage => ({
    what: `a finding with ${change}`,
    target: standing,
    plant: (row) => [update("findings_raw", change, finding(row))],
    found: { findings: 1 },
    shows: (row) => String(row["finding_id"])
  })),
  {
    what: "a finding that is gone",
    target: standing,
    plant: (row) => [remove("findings_raw", finding(row))],
    found: { findings: 1 },
    shows: (row) => `"finding_id":"${row["finding_id"]}","stored":null`
  },
  {
    what: "a checkpoint after another record than the log holds",
    target: newest,
    plant: (row) => rewritten(row, "'0000' AS record_hash"),
    found: { "log position": 1 },
    shows: () => "not the one that was processed"
  }
]

/** What only the log knows better. */
const contentChanges: ReadonlyArray<readonly [table: string, changes: ReadonlyArray<string>]> = [
  ["events_raw", [
    "category = 'another'",
    "properties = mapUpdate(properties, map('new', '1'))",
    "url = 'https://elsewhere'",
    "referrer = 'https://elsewhere'",
    "user_agent = 'another'",
    "item_id = 'another'",
    "truncated = NOT truncated",
    "quantity = quantity + 1",
    "price = price + 0.0001",
    "appended_at = appended_at + INTERVAL 1 MILLISECOND"
  ]],
  ["late_events", ["price = price + 0.0001", "currency = 'XAU'", "category = 'another'", "original = '0'"]],
  ["rejected_records", ["visitor_id = 'another'", "headers = map('x', '1')"]],
  ["dead_letters", ["value = 'x'", "key = 'x'", "headers = map('x', '1')"]]
]

class Whole extends Context.Service<Whole, Place>()("test/Whole") {}

/** One database, of which each test damages a copy. */
const whole = Layer.effect(Whole, drained(11, 3_000)).pipe(Layer.provideMerge(TemporaryWarehouse))

layer(whole, { excludeTestServices: true, timeout: 120_000 })("an audit finds", (it) => {
  for (const { found, plant, shows, target, what } of damages) {
    it.effect(what, () =>
      Effect.gen(function*() {
        const { log, registry, warehouse: original } = yield* Whole
        const warehouse = yield* copyOf(original)
        const [row] = (yield* warehouse.query(`SELECT * FROM (${target}) LIMIT 1`)) as ReadonlyArray<Row>
        assert.isDefined(row, "there is nothing to damage")
        for (const statement of plant(row!)) yield* warehouse.command(statement)
        const report = yield* auditOf({ log, registry, warehouse })
        const differences = differencesOf(report)
        const text = JSON.stringify(report.checks.flatMap(({ sample }) => sample))
        assert.deepStrictEqual(
          Object.fromEntries(
            Object.entries(differences).map(([name, count]) => [name, found[name] === "some" ? "some" : count])
          ),
          found,
          text
        )
        assert.strictEqual(report.failed, Object.keys(found).length)
        assert.include(text, shows(row!))
      }))
  }

  it.effect("each column that is not what the log holds, of events and of records that became none", () =>
    Effect.gen(function*() {
      const { log, registry, warehouse: original } = yield* Whole
      const warehouse = yield* copyOf(original)
      const planted: Array<readonly [place: string, field: string]> = []
      for (const [table, changes] of contentChanges) {
        const rows = (yield* warehouse.query(`SELECT toString(partition) AS partition, toString(offset) AS offset
          FROM ${table} FINAL ORDER BY cityHash64(partition, offset) LIMIT ${changes.length}`)) as ReadonlyArray<Row>
        assert.strictEqual(rows.length, changes.length, `${table} has too few rows`)
        for (const [i, change] of changes.entries()) {
          const row = rows[i]!
          planted.push([`${table} ${row["partition"]} ${row["offset"]}`, change.split(" ")[0]!])
          yield* warehouse.command(update(table, change, at(row)))
        }
      }
      // In one look, and in chunks that are no whole number of its runs.
      const [report, inChunks] = yield* Effect.all(
        [undefined, 50].map((sliceEventsMax) =>
          auditOf({ log, registry, warehouse }, { checks: [logContent], sliceEventsMax })
        )
      )
      assert.deepStrictEqual(differencesOf(report!), { "log content": planted.length })
      assert.deepStrictEqual(
        [inChunks!.checks[0]!.examined, inChunks!.checks[0]!.differences],
        [report!.checks[0]!.examined, planted.length]
      )
      const [check] = report!.checks
      assert.deepStrictEqual(
        new Map(check!.sample.map((row) => [`${row["table"]} ${row["partition"]} ${row["offset"]}`, row["field"]])),
        new Map(planted)
      )
      const [sum] = yield* original.query(
        contentChanges.map(([table]) => `SELECT count() AS n FROM ${table} FINAL`).join(" UNION ALL ").replace(
          /^/,
          "SELECT toUInt32(sum(n)) AS records FROM ("
        ) + ")"
      )
      assert.strictEqual(check!.examined, sum!["records"])
    }))

  it.effect("nothing in a copy that was not damaged", () =>
    Effect.gen(function*() {
      const { log, registry, warehouse } = yield* Whole
      assert.deepStrictEqual(differencesOf(yield* auditOf({ log, registry, warehouse: yield* copyOf(warehouse) })), {})
    }))

  it.effect("a log that is shorter than what was processed, or was trimmed beyond it", () =>
    Effect.gen(function*() {
      const { log, registry, warehouse } = yield* Whole
      const ranges = yield* log.ranges
      const shorter = {
        ...log,
        ranges: Effect.succeed(ranges.map((range) => ({ ...range, end: (range.end - 1) as Offset })))
      }
      const trimmed = {
        ...log,
        ranges: Effect.succeed(ranges.map(({ end }) => ({ start: (end + 1) as Offset, end: (end + 1) as Offset })))
      }
      for (
        const [other, why] of [[shorter, "ends before the checkpoint"], [trimmed, "records went unprocessed"]] as const
      ) {
        const report = yield* auditOf({ log: other, registry, warehouse })
        assert.deepStrictEqual(differencesOf(report), { "log position": ranges.length })
        assert.include(JSON.stringify(report), why)
      }
    }))

  it.effect("another log than the one that was processed", () =>
    Effect.gen(function*() {
      const { warehouse } = yield* Whole
      const { log, registry } = yield* unprocessed(12, 3_000)
      const report = yield* auditOf({ log, registry, warehouse })
      assert.deepStrictEqual(differencesOf(report), { "log position": log.partitions })
      assert.include(JSON.stringify(report), `this is log ${log.logId}`)
    }))
})

const tables = [
  "events_raw",
  "late_events",
  "rejected_records",
  "dead_letters",
  "sessions_raw",
  "session_aliases",
  "findings_raw",
  "touched_days",
  "decision_hashes",
  "checkpoints"
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
