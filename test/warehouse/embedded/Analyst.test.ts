/** What the user `analyst` may do and take: the limits that keep ingestion safe from every statement, however heavy or hostile. */
import { assert, describe, it as plain, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { make } from "../../../src/warehouse/ClickHouseWarehouse.ts"
import { analystLimits, EmbeddedWarehouse } from "../../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { migrate } from "../../../src/warehouse/Migrations.ts"
import type { WarehouseAddress } from "../../../src/warehouse/Warehouse.ts"
import { eventually } from "./eventually.ts"
import { statement } from "./statement.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

const memoryBytesMax = 1_000_000_000
const limits = { executionSecondsMax: 8, concurrentQueriesMax: 3, temporaryBytesMax: 200_000_000 }

const running = Layer.unwrap(
  Effect.map(temporaryDirectory, (directory) => EmbeddedWarehouse.layer({ directory, memoryBytesMax, analyst: limits }))
)

/** ClickHouse's codes. */
const timeoutExceeded = 159
const tooManyQueries = 202
const memoryExceeded = 241
const readonlyMode = 164
const constraintViolated = 452
const accessDenied = 497

describe("the limits of analysts", () => {
  plain("leave ingestion three fifths of the memory, whatever the server has", () => {
    for (const memory of [1_000_000_000, 1_500_000_000, 4_000_000_000, 16_000_000_000]) {
      const { memoryBytesMax, memoryBytesTogetherMax, threadsMax } = analystLimits(memory)
      assert.isAtMost(memoryBytesTogetherMax, memory * 0.4)
      assert.isAtMost(memoryBytesMax, memoryBytesTogetherMax)
      assert.strictEqual(threadsMax, 1)
    }
    assert.include(analystLimits(1_000_000_000, { memoryBytesTogetherMax: 5, executionSecondsMax: undefined }), {
      memoryBytesMax: 5,
      memoryBytesTogetherMax: 5,
      executionSecondsMax: 20
    })
  })
})

layer(running, { excludeTestServices: true, timeout: 120_000 })("an analyst", (it) => {
  it.effect("has every limit, and may only lower those that may be changed at all", () =>
    Effect.gen(function*() {
      const analyst = (yield* EmbeddedWarehouse).address("analyst")
      const { text } = yield* statement(
        analyst,
        `SELECT name, value, toString(min), toString(max), readonly FROM system.settings WHERE name IN (${
          [...bounded, ...constant].map(([name]) => `'${name}'`).join(", ")
        }) ORDER BY name`
      )
      const found = new Map(text.split("\n").map((line) => line.split("\t")).map(([name, ...rest]) => [name, rest]))
      for (const [name, value] of bounded) {
        assert.deepStrictEqual(found.get(name), [value, "1", value, "0"], name)
        for (const wrong of ["0", String(Number(value) + 1)]) {
          assert.strictEqual(
            (yield* statement(analyst, `SELECT 1 SETTINGS ${name} = ${wrong}`)).code,
            constraintViolated,
            name
          )
        }
        assert.strictEqual(
          (yield* statement(analyst, `SELECT 1 SETTINGS ${name} = 1, max_memory_usage = 100000000`)).text,
          "1",
          name
        )
      }
      for (const [name, value] of constant) {
        const [is, , , readonly] = found.get(name)!
        assert.deepStrictEqual([is, readonly], [value, "1"], name)
        const other = value === "throw" ? "'break'" : Number(value) === 1 ? "0" : "1"
        assert.strictEqual(
          (yield* statement(analyst, `SELECT 1 SETTINGS ${name} = ${other}`)).code,
          constraintViolated,
          name
        )
      }
    }))

  it.effect("comes after the writer", () =>
    Effect.gen(function*() {
      const warehouse = yield* EmbeddedWarehouse
      const priority = (role: "writer" | "reader" | "analyst") =>
        Effect.map(
          statement(warehouse.address(role), "SELECT value FROM system.settings WHERE name = 'priority'"),
          ({ text }) => text
        )
      assert.deepStrictEqual(
        yield* Effect.all([priority("writer"), priority("analyst"), priority("reader")]),
        ["5", "10", "0"]
      )
    }))

  it.effect("cannot write, define, or stop anything", () =>
    Effect.gen(function*() {
      const warehouse = yield* prepared
      const analyst = warehouse.address("analyst")
      for (
        const sql of [
          "INSERT INTO events_raw (event_id) VALUES ('x')",
          "INSERT INTO FUNCTION null('x UInt8') VALUES (1)",
          "ALTER TABLE events_raw DELETE WHERE 1",
          "ALTER TABLE events_raw UPDATE url = '' WHERE 1",
          "ALTER TABLE events_raw DROP PARTITION '2026-01-01'",
          "ALTER TABLE events_raw ADD COLUMN x UInt8",
          "DELETE FROM events_raw WHERE 1",
          "TRUNCATE TABLE events_raw",
          "DROP TABLE events_raw",
          "DROP VIEW events",
          "RENAME TABLE events_raw TO events_other",
          "OPTIMIZE TABLE events_raw FINAL",
          "DETACH TABLE events_raw",
          "CREATE TABLE mine (x UInt8) ENGINE = Memory",
          "CREATE TEMPORARY TABLE mine (x UInt8)",
          "CREATE VIEW mine AS SELECT 1",
          "CREATE FUNCTION mine AS (x) -> x",
          "CREATE DATABASE guardian_mine",
          "CREATE USER mine",
          "GRANT INSERT ON *.* TO analyst",
          "SYSTEM STOP MERGES events_raw",
          "SYSTEM STOP VIEW events",
          "SYSTEM FLUSH LOGS",
          "SYSTEM SHUTDOWN",
          "SYSTEM STOP LISTEN HTTP",
          "KILL QUERY WHERE user = 'guardian_writer'",
          "BACKUP DATABASE guardian TO File('/tmp/backup')",
          "SET readonly = 0",
          "SET profile = 'writer'"
        ]
      ) {
        const { code, ok, text } = yield* statement(analyst, sql)
        assert.isFalse(ok, sql)
        assert.include([accessDenied, readonlyMode, constraintViolated], code, `${sql}: ${text}`)
      }
      assert.strictEqual((yield* statement(analyst, "SELECT count() FROM events")).text, "1")
    }))

  it.effect("stops nothing by statements that skip what is not granted, instead of being refused", () =>
    Effect.gen(function*() {
      const warehouse = yield* prepared
      const writer = yield* make(warehouse.address("writer"))
      yield* writer.command("CREATE TABLE refreshed (n UInt64) ENGINE = MergeTree ORDER BY n")
      yield* writer.command(
        "CREATE MATERIALIZED VIEW refreshing REFRESH EVERY 1 HOUR APPEND TO refreshed AS SELECT count() AS n FROM events_raw"
      )
      for (const what of ["MERGES", "TTL MERGES", "VIEWS"]) {
        yield* statement(warehouse.address("analyst"), `SYSTEM STOP ${what}`)
      }
      yield* writer.insert(eventBlock(1))
      yield* writer.command("OPTIMIZE TABLE events_raw FINAL")
      const parts = yield* writer.query(
        "SELECT toUInt32(count()) AS parts FROM system.parts WHERE database = currentDatabase() AND table = 'events_raw' AND active"
      )
      assert.deepStrictEqual(parts, [{ parts: 1 }])
      yield* writer.command("SYSTEM REFRESH VIEW refreshing")
      yield* writer.command("SYSTEM WAIT VIEW refreshing")
      const status = yield* writer.query("SELECT status FROM system.view_refreshes WHERE view = 'refreshing'")
      assert.deepStrictEqual(status, [{ status: "Scheduled" }])
      assert.isAbove((yield* writer.query("SELECT n FROM refreshed WHERE n = 2")).length, 0)
    }))

  it.effect("cannot read files, addresses, other databases, passwords or what others ask", () =>
    Effect.gen(function*() {
      const warehouse = yield* prepared
      yield* statement(warehouse.address("writer"), "CREATE DATABASE IF NOT EXISTS guardian_other")
      yield* statement(
        warehouse.address("writer"),
        "CREATE TABLE IF NOT EXISTS guardian_other.secret (x UInt8) ENGINE = MergeTree ORDER BY x"
      )
      for (
        const source of [
          "file('credentials.json', 'LineAsString')",
          "file('/etc/passwd', 'LineAsString')",
          `url('${warehouse.url}/ping', 'LineAsString')`,
          "remote('127.0.0.1', system.one)",
          "s3('http://bucket.s3.amazonaws.com/key', 'CSV', 'x String')",
          "mysql('127.0.0.1:3306', 'd', 't', 'u', 'p')",
          "postgresql('127.0.0.1:5432', 'd', 't', 'u', 'p')",
          "sqlite('/tmp/x.db', 't')",
          "executable('true', 'CSV', 'x String')",
          "merge('guardian_other', '.*')",
          "guardian_other.secret",
          "system.processes",
          "system.query_log",
          "system.users",
          "system.server_settings"
        ]
      ) {
        const { ok, text } = yield* statement(warehouse.address("analyst"), `SELECT * FROM ${source}`)
        assert.isFalse(ok, `${source}: ${text}`)
      }
    }))

  it.effect("cannot keep anything from being written, by as many heavy statements as there may be", () =>
    Effect.gen(function*() {
      const warehouse = yield* prepared
      const analyst = warehouse.address("analyst")
      const heavy = [
        // Too much memory, by a state that cannot be spilled; spills more than there may be on disk; takes too long.
        "SELECT length(groupArray(repeat(toString(number), 20))) FROM numbers(100000000)",
        "SELECT number FROM numbers(300000000) ORDER BY cityHash64(number) LIMIT 1 OFFSET 100000000 " +
        "SETTINGS max_bytes_before_external_sort = 50000000",
        "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash128(number))"
      ]
      const running = yield* Effect.forkScoped(
        Effect.all(heavy.map((sql) => statement(analyst, sql)), { concurrency: "unbounded" })
      )
      yield* eventually(
        "all of them run",
        Effect.map(runningQueries(warehouse.address("reader")), (n) => n === heavy.length)
      )
      // One more is refused at once.
      assert.strictEqual((yield* statement(analyst, "SELECT 1")).code, tooManyQueries)
      const writer = yield* make(warehouse.address("writer"))
      let written = 1
      for (; running.pollUnsafe() === undefined || written < 20; written++) yield* writer.insert(eventBlock(written))
      const answers = yield* Fiber.join(running)
      assert.deepStrictEqual(answers.map(({ ok }) => ok), heavy.map(() => false))
      for (const { code, text } of answers) {
        assert.include([timeoutExceeded, memoryExceeded, temporaryExceeded], code, text)
      }
      assert.strictEqual(answers[0]!.code, memoryExceeded, answers[0]!.text)
      assert.strictEqual(answers.at(-1)!.code, timeoutExceeded, answers.at(-1)!.text)
      const counted = yield* writer.query("SELECT toUInt32(count()) AS rows FROM events_raw")
      assert.deepStrictEqual(counted, [{ rows: written }])
    }))

  it.effect("cannot take more memory by several statements than all may have together", () =>
    Effect.gen(function*() {
      const warehouse = yield* prepared
      // Each fits alone. The array is held while the statement sleeps, so three of them meet. Few long texts are made soon, also on a
      // busy machine: each has eight seconds.
      const sql =
        "SELECT length(held), sleep(2) FROM (SELECT groupArray(repeat(toString(number % 10), 2400)) AS held FROM numbers(40000))"
      const alone = yield* statement(warehouse.address("analyst"), sql)
      assert.strictEqual(alone.text, "40000\t0")
      const answers = yield* Effect.all(
        Array.from({ length: limits.concurrentQueriesMax }, () => statement(warehouse.address("analyst"), sql)),
        { concurrency: "unbounded" }
      )
      const refused = answers.filter(({ ok }) => !ok)
      assert.isAbove(refused.length, 0)
      for (const { code, text } of refused) {
        assert.strictEqual(code, memoryExceeded, text)
        assert.match(text, /user memory limit|for user/i)
      }
    }))
})

const temporaryExceeded = 307

/** A database with one event. */
const prepared = Effect.gen(function*() {
  const warehouse = yield* EmbeddedWarehouse
  yield* migrate(warehouse.address("writer"))
  const writer = yield* make(warehouse.address("writer"))
  yield* writer.command("TRUNCATE TABLE events_raw")
  yield* writer.insert(eventBlock(0))
  return warehouse
})

const eventBlock = (nth: number) => ({
  table: "events_raw",
  rows: 1,
  columns: [
    { name: "event_id", type: "String", values: [`e${nth}`] },
    { name: "visitor_id", type: "String", values: ["ada"] },
    { name: "event_ts", type: "DateTime64(3, 'UTC')", values: [1_767_225_600_000 + nth] },
    { name: "offset", type: "UInt64", values: [nth] }
  ] as const
})

const runningQueries = (reader: WarehouseAddress) =>
  Effect.map(
    statement(reader, "SELECT count() FROM system.processes WHERE user = 'analyst'"),
    ({ text }) => Number(text)
  )

const bounded = [
  ["max_execution_time", String(limits.executionSecondsMax)],
  ["max_memory_usage", "400000000"],
  ["max_threads", "1"],
  ["max_result_rows", "1000000"]
] as const

const constant = [
  ["priority", "10"],
  ["max_memory_usage_for_user", "400000000"],
  ["memory_overcommit_ratio_denominator", "50000000"],
  ["memory_overcommit_ratio_denominator_for_user", "50000000"],
  ["max_temporary_data_on_disk_size_for_user", "200000000"],
  ["max_concurrent_queries_for_user", "3"],
  ["result_overflow_mode", "throw"],
  ["timeout_overflow_mode", "throw"],
  ["cancel_http_readonly_queries_on_client_close", "1"]
] as const
