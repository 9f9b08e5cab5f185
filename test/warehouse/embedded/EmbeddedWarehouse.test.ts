/**
 * The contract of the unadvertised entry of `libchdb.so` that everything else stands on: when a new version of the package
 * breaks it, this fails.
 */
import { createClient } from "@clickhouse/client"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { execFile } from "node:child_process"
import { stat } from "node:fs/promises"
import { connect } from "node:net"
import { promisify } from "node:util"
import { EmbeddedWarehouse } from "../../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { eventually } from "./eventually.ts"
import { isAlive } from "./ownerProcess.ts"
import { statement } from "./statement.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

class Directory extends Context.Service<Directory, string>()("test/Directory") {}

const running = Layer.unwrap(
  Effect.map(Directory, (directory) => EmbeddedWarehouse.layer({ directory, tcpPort: 0 }))
).pipe(Layer.provideMerge(Layer.effect(Directory, temporaryDirectory)))

const accessDenied = 497
const badArguments = 36
const unsupported = 1

layer(running, { excludeTestServices: true })("the embedded warehouse", (it) => {
  it.effect("is a ClickHouse for the ordinary client, with 64-bit integers and decimals unharmed", () =>
    Effect.gen(function*() {
      const warehouse = yield* EmbeddedWarehouse
      const { database, password, url, username } = warehouse.address("writer")
      const client = yield* Effect.acquireRelease(
        Effect.sync(() => createClient({ url, database, username, password: Redacted.value(password) })),
        (client) => Effect.promise(() => client.close())
      )
      const rows = yield* Effect.promise(async () => {
        await client.command({
          query: "CREATE TABLE plain (id UInt64, price Decimal(18, 4)) ENGINE = MergeTree ORDER BY id"
        })
        await client.insert({
          table: "plain",
          values: [{ id: "18446744073709551615", price: "12345678901234.5678" }],
          format: "JSONEachRow"
        })
        const answer = await client.query({ query: "SELECT id, price FROM plain", format: "JSONEachRow" })
        return answer.json()
      })
      assert.deepStrictEqual(rows, [{ id: "18446744073709551615", price: "12345678901234.5678" }])
    }))

  it.effect("answers curl", () =>
    Effect.gen(function*() {
      const { password, url, username } = (yield* EmbeddedWarehouse).address("analyst")
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)("curl", [
          "--silent",
          "--user",
          `${username}:${Redacted.value(password)}`,
          `${url}/?query=SELECT%20timezone()`
        ])
      )
      assert.strictEqual(stdout.trim(), "UTC")
    }))

  it.effect("keeps every acknowledged row when its process is killed, and comes back at the same address", () =>
    Effect.gen(function*() {
      const warehouse = yield* EmbeddedWarehouse
      const writer = warehouse.address("writer")
      yield* statement(writer, "CREATE TABLE kept (x UInt64) ENGINE = MergeTree ORDER BY x")
      const before = yield* warehouse.pid
      for (let kill = 1; kill <= 2; kill++) {
        const { ok, text } = yield* statement(writer, `INSERT INTO kept SELECT ${kill} FROM numbers(1000)`)
        assert.isTrue(ok, text)
        const restarts = yield* warehouse.restarts
        yield* warehouse.kill
        yield* eventually("started again", Effect.map(warehouse.restarts, (count) => count === restarts + 1))
        assert.strictEqual(yield* warehouse.state, "ready")
        const kept = yield* statement(warehouse.address("reader"), "SELECT count(), uniqExact(x) FROM kept")
        assert.strictEqual(kept.text, `${kill * 1000}\t${kill}`)
      }
      assert.notStrictEqual(yield* warehouse.pid, before)
      assert.isFalse(isAlive(before))
    }))

  it.effect("records queries, also after it was started again", () =>
    Effect.gen(function*() {
      const warehouse = yield* EmbeddedWarehouse
      const writer = warehouse.address("writer")
      const restarts = yield* warehouse.restarts
      yield* statement(writer, "SYSTEM FLUSH LOGS")
      yield* warehouse.kill
      yield* eventually("started again", Effect.map(warehouse.restarts, (count) => count > restarts))
      yield* statement(writer, "SELECT 'a query to find'")
      yield* statement(writer, "SYSTEM FLUSH LOGS")
      const found = yield* statement(
        writer,
        "SELECT count() FROM system.query_log WHERE type = 'QueryFinish' AND query LIKE 'SELECT \\'a query%'"
      )
      assert.strictEqual(found.text, "1")
    }))

  it.effect("lets the writer define and fill tables, views and further databases of its own name only", () =>
    Effect.gen(function*() {
      const writer = (yield* EmbeddedWarehouse).address("writer")
      const obeyed = [
        "CREATE TABLE source (x UInt64) ENGINE = ReplacingMergeTree ORDER BY x PARTITION BY x",
        "INSERT INTO source SELECT number FROM numbers(200)", // more partitions than the default allows
        "CREATE VIEW seen AS SELECT x FROM source FINAL",
        "CREATE TABLE counts (n UInt64) ENGINE = MergeTree ORDER BY n",
        "CREATE MATERIALIZED VIEW counting REFRESH EVERY 1 HOUR APPEND TO counts AS SELECT count() AS n FROM source",
        "SYSTEM REFRESH VIEW counting",
        "ALTER TABLE source ADD COLUMN y UInt64",
        "CREATE DATABASE guardian_again",
        "CREATE TABLE guardian_again.source AS source",
        "EXCHANGE TABLES guardian_again.source AND source",
        "DROP DATABASE guardian_again"
      ]
      for (const sql of obeyed) {
        const { ok, text } = yield* statement(writer, sql)
        assert.isTrue(ok, `${sql}: ${text}`)
      }
      const refused = [
        "CREATE DATABASE other",
        "CREATE USER someone",
        "CREATE TABLE remote (x UInt64) ENGINE = URL('http://127.0.0.1/')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')"
      ]
      for (const sql of refused) assert.strictEqual((yield* statement(writer, sql)).code, accessDenied, sql)
    }))

  it.effect("lets reader and analyst read the database and change nothing", () =>
    Effect.gen(function*() {
      const warehouse = yield* EmbeddedWarehouse
      yield* statement(warehouse.address("writer"), "CREATE TABLE shown (x UInt64) ENGINE = MergeTree ORDER BY x")
      for (const role of ["reader", "analyst"] as const) {
        const user = warehouse.address(role)
        assert.strictEqual((yield* statement(user, "SELECT count() FROM shown")).text, "0")
        assert.isTrue((yield* statement(user, "SELECT count() FROM information_schema.tables")).ok)
        for (const sql of ["INSERT INTO shown VALUES (1)", "DROP TABLE shown", "CREATE VIEW v AS SELECT 1"]) {
          assert.strictEqual((yield* statement(user, sql)).code, accessDenied, `${role}: ${sql}`)
        }
      }
    }))

  it.effect("gives nobody the files of the machine or the network", () =>
    Effect.gen(function*() {
      const warehouse = yield* EmbeddedWarehouse
      for (const role of ["writer", "reader", "analyst"] as const) {
        for (
          const source of [
            "file('/etc/passwd', 'LineAsString')",
            `url('${warehouse.url}/ping', 'LineAsString')`,
            "remote('127.0.0.1', system.one)",
            "s3('http://bucket.s3.amazonaws.com/key', 'CSV', 'x String')",
            "executable('true', 'CSV', 'x String')"
          ]
        ) {
          const { code, ok } = yield* statement(warehouse.address(role), `SELECT * FROM ${source}`)
          assert.isFalse(ok, `${role}: ${source}`)
          assert.include([accessDenied, badArguments, unsupported], code, `${role}: ${source}`)
        }
      }
    }))

  it.effect("confines the scalar function file(), which asks for no grant, to the engine's own folder", (test) =>
    Effect.gen(function*() {
      const warehouse = yield* EmbeddedWarehouse
      if (!warehouse.confined) return test.skip("this system has no Landlock")
      const directory = yield* Directory
      const paths = [
        "/etc/passwd",
        "/proc/self/environ",
        `/proc/${process.pid}/environ`,
        `${directory}/credentials.json`
      ]
      for (const path of paths) {
        const { ok, text } = yield* statement(warehouse.address("analyst"), `SELECT file('${path}')`)
        assert.isFalse(ok, path)
        assert.include(text, "Permission denied", path)
      }
    }))

  it.effect("holds an analyst to the limits, whatever settings the query asks for", () =>
    Effect.gen(function*() {
      const analyst = (yield* EmbeddedWarehouse).address("analyst")
      for (
        const setting of [
          "max_execution_time = 0",
          "max_execution_time = 3600",
          "max_memory_usage = 0",
          "max_result_rows = 0",
          "readonly = 0",
          "cancel_http_readonly_queries_on_client_close = 0",
          "profile = 'writer', max_execution_time = 0"
        ]
      ) {
        const { ok, text } = yield* statement(analyst, `SELECT 1 SETTINGS ${setting}`)
        assert.isFalse(ok, `${setting}: ${text}`)
      }
      const tooMany = yield* statement(
        analyst,
        "SELECT number FROM numbers(2000000)"
      )
      assert.include(tooMany.text, "TOO_MANY_ROWS_OR_BYTES")
    }))

  it.effect("shows nothing to the engine's own user, who has no password, and refuses wrong passwords", () =>
    Effect.gen(function*() {
      const warehouse = yield* EmbeddedWarehouse
      yield* statement(warehouse.address("writer"), "CREATE TABLE hidden (x UInt64) ENGINE = MergeTree ORDER BY x")
      const nobody = { ...warehouse.address("reader"), username: "default", password: Redacted.make("") }
      for (
        const sql of ["SELECT * FROM guardian.hidden", "SELECT * FROM system.processes", "CREATE DATABASE guardian_1"]
      ) {
        assert.strictEqual((yield* statement(nobody, sql)).code, accessDenied, sql)
      }
      for (const role of ["writer", "reader", "analyst"] as const) {
        const stranger = { ...warehouse.address(role), password: Redacted.make("a guess") }
        assert.strictEqual((yield* statement(stranger, "SELECT 1")).code, 516, role)
      }
    }))

  it.effect("speaks the native protocol where asked to", () =>
    Effect.gen(function*() {
      const port = (yield* EmbeddedWarehouse).tcpPort!
      const { password, username } = (yield* EmbeddedWarehouse).address("reader")
      const answer = yield* nativeHello(port, username, Redacted.value(password))
      assert.strictEqual(answer[0], 0) // the packet type of the server's hello; an exception is 2
      assert.include(answer.toString("latin1"), "ClickHouse")
    }))

  it.effect("keeps its files from other accounts and its passwords to itself", () =>
    Effect.gen(function*() {
      const warehouse = yield* EmbeddedWarehouse
      const directory = yield* Directory
      for (const name of ["credentials.json", "engine.xml", "owner.json", "ports.json"]) {
        const { mode } = yield* Effect.promise(() => stat(`${directory}/${name}`))
        assert.strictEqual(mode & 0o777, 0o600, name)
      }
      assert.strictEqual((yield* Effect.promise(() => stat(`${directory}/engine`))).mode & 0o777, 0o700)
      assert.notInclude(
        JSON.stringify(warehouse.address("writer")),
        Redacted.value(warehouse.address("writer").password)
      )
    }))
})

/** The first bytes that a native server answers to a client's hello: numbers are varints, strings have their length before. */
const nativeHello = (port: number, username: string, password: string): Effect.Effect<Buffer> =>
  Effect.callback((resume) => {
    const text = (value: string) => [value.length, ...Buffer.from(value)]
    const hello = Buffer.from([0, ...text("test"), 1, 1, 50, ...text(""), ...text(username), ...text(password)])
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(hello))
    socket.once("data", (answer) => {
      socket.destroy()
      resume(Effect.succeed(answer as Buffer))
    })
    socket.once("error", (cause) => resume(Effect.die(cause)))
    return Effect.sync(() => socket.destroy())
  })
