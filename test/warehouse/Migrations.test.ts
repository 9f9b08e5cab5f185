import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Scope } from "effect"
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { load, migrate, MigrationError, migrationsDirectory, shortLived } from "../../src/warehouse/Migrations.ts"
import type { WarehouseAddress } from "../../src/warehouse/Warehouse.ts"
import { freshAddress, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"

const tables = ["CREATE TABLE IF NOT EXISTS {database}.a (n UInt8) ENGINE = MergeTree ORDER BY n;"]
const twoFiles = {
  "0001_first.sql": tables[0]!,
  "0002_second.sql": "ALTER TABLE {database}.a ADD COLUMN IF NOT EXISTS m UInt8;"
}

describe("the files in clickhouse/", () => {
  it.effect("are numbered without a gap, and every statement may run again", () =>
    Effect.gen(function*() {
      const files = yield* load(migrationsDirectory)
      assert.isAbove(files.length, 0)
      for (const statement of files.flatMap((file) => file.statements)) {
        // A schedule, and rows that are replaced by themselves.
        if (/^ALTER TABLE \{database\}\.\w+ MODIFY REFRESH /.test(statement)) continue
        if (/^INSERT INTO \{database\}\.(touched_days|counted_changes) /.test(statement)) continue
        assert.match(statement, /^(CREATE|ALTER|DROP)\b[^(]*\b(IF NOT EXISTS|IF EXISTS|OR REPLACE)\b/)
      }
    }))

  it.effect.each([
    { "0001_a.sql": "", "0003_c.sql": "" },
    { "0001_a.sql": "", "0001_b.sql": "" },
    { "0002_b.sql": "" },
    { "0001_a.sql": "", "two.sql": "" }
  ])("are refused when their numbers are no row: %o", (files) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(load(yield* directoryOf(files)))
      assert.strictEqual(error.reason, "files")
      assert.include(error.message, Object.keys(files).at(-1)!)
    }))

  it.effect("are refused when they are not there", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Effect.flip(load("/nowhere/at/all"))).reason, "files")
    }))

  it.effect("may end statements with spaces, Windows line ends or nothing, and have semicolons in texts", () =>
    Effect.gen(function*() {
      const unix = "-- why;\nSELECT ';', 1;  \n  -- more\nSELECT\n  2;\n\nSELECT 3"
      const directory = yield* directoryOf({ "0001_a.sql": unix, "0002_b.sql": unix.replaceAll("\n", "\r\n") })
      const [first, second] = yield* load(directory)
      assert.deepStrictEqual(first!.statements, ["SELECT ';', 1", "SELECT\n  2", "SELECT 3"])
      assert.deepStrictEqual(second!.statements, first!.statements)
      assert.strictEqual(second!.checksum, first!.checksum)
    }))
})

describe("views that do not live long", () => {
  const view = (name: string, from: string) =>
    `CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.${name} REFRESH EVERY 1 SECOND${from}`
  const droppedOf = (...statements: ReadonlyArray<string>) =>
    Effect.map(
      Effect.flatMap(directoryOf({ "0001_a.sql": statements.join(";\n") }), load),
      (files) => [...shortLived(files)]
    )

  it.effect("are those that are dropped before any statement needs them", () =>
    Effect.gen(function*() {
      const made = view("v", " AS SELECT 1")
      const drop = "DROP VIEW IF EXISTS {database}.v"
      assert.deepStrictEqual(yield* droppedOf(made, drop, made), ["0001_a.sql, statement 1"])
      assert.deepStrictEqual(yield* droppedOf(made), [])
      assert.deepStrictEqual(
        yield* droppedOf(made, view("w", " DEPENDS ON {database}.u, {database}.v AS SELECT 2"), drop),
        ["0001_a.sql, statement 1"]
      )
      const longer = "DROP VIEW IF EXISTS {database}.v_longer"
      assert.deepStrictEqual(yield* droppedOf(made, longer), [])
      for (
        const need of [
          "ALTER TABLE {database}.v MODIFY REFRESH EVERY 2 SECOND",
          "CREATE OR REPLACE VIEW {database}.w AS SELECT * FROM {database}.v",
          view("w", " DEPENDS ON {database}.u AS SELECT * FROM {database}.v")
        ]
      ) {
        assert.deepStrictEqual(yield* droppedOf(made, need, drop), [], need)
      }
    }))
})

layer(TemporaryWarehouse, { excludeTestServices: true })("migrate", (it) => {
  it.effect("makes of a new database what file after file makes of it, without the views that do not live long", () =>
    Effect.gen(function*() {
      const files = yield* load(migrationsDirectory)
      const schemaOf = Effect.fnUntraced(function*(address: WarehouseAddress) {
        const { query } = yield* make(address)
        return yield* query(
          `SELECT name, replaceAll(create_table_query, currentDatabase(), 'guardian') AS made FROM system.tables
          WHERE database = currentDatabase() AND name NOT LIKE '.inner%' ORDER BY name`
        )
      })
      const atOnce = yield* freshAddress
      yield* migrate(atOnce)
      const one = yield* freshAddress
      const directory = yield* directoryOf({})
      for (const { name } of files) {
        yield* Effect.promise(() => copyFile(join(migrationsDirectory, name), join(directory, name)))
        assert.deepStrictEqual((yield* migrate(one, directory)).applied, [name])
      }
      const schema = yield* schemaOf(atOnce)
      assert.isAbove(schema.length, 40)
      assert.deepStrictEqual(schema, yield* schemaOf(one))
    }))

  it.effect("makes every table and view, each with every column explained", () =>
    Effect.gen(function*() {
      const address = yield* freshAddress
      const report = yield* migrate(address)
      assert.deepStrictEqual(report.applied, (yield* load(migrationsDirectory)).map((file) => file.name))
      const warehouse = yield* make(address)
      const found = yield* warehouse.query(
        `SELECT name, comment != '' AS explained FROM system.tables WHERE database = '${address.database}' ORDER BY name`
      )
      assert.deepStrictEqual(found.map((row) => row["name"]), [
        "amended_events",
        "amended_merges",
        "amended_sessions",
        "amendments",
        "anomalies",
        "audits",
        "checkpoints",
        "compute_event_quarters",
        "compute_session_quarters",
        "control_records",
        "counted_changes",
        "crawler_lists",
        "daily_metrics",
        "daily_metrics_raw",
        "dead_letters",
        "decision_hashes",
        "due_days",
        "due_event_quarters",
        "due_popular_days",
        "due_session_quarters",
        "event_plans",
        "event_quarters",
        "events",
        "events_raw",
        "findings_raw",
        "flagged_sessions",
        "frozen_quarters",
        "hourly_traffic",
        "kpi_backlog",
        "kpi_frontier",
        "late_events",
        "listed_sessions",
        "migrations",
        "newest_checkpoints",
        "pipeline_runs",
        "plan_event_quarters",
        "plan_session_quarters",
        "popular_categories",
        "popular_items",
        "popular_raw",
        "quarter_flags",
        "refresh_daily_metrics",
        "refresh_frontier",
        "refresh_popular",
        "rejected_records",
        "reporting",
        "reporting_settings",
        "session_aliases",
        "session_events",
        "session_funnel",
        "session_merges",
        "session_plans",
        "session_quarters",
        "sessions",
        "sessions_raw",
        "standing_amended_events",
        "standing_amended_sessions",
        "standing_verdicts",
        "touched_days",
        "touched_quarters",
        "verdicts",
        "visitor_sessions"
      ])
      assert.isTrue(found.every((row) => row["explained"] === 1))
      assert.deepStrictEqual(
        yield* warehouse.query(
          // What a view that refreshes another table shows is that table's.
          `SELECT table, name FROM system.columns WHERE database = '${address.database}' AND comment = '' AND table NOT IN (
             SELECT name FROM system.tables WHERE database = '${address.database}' AND engine = 'MaterializedView')`
        ),
        []
      )
    }))

  it.effect("does nothing the second time", () =>
    Effect.gen(function*() {
      const address = yield* freshAddress
      const first = yield* migrate(address)
      assert.deepStrictEqual(yield* migrate(address), { ...first, applied: [] })
    }))

  it.effect("comes to the same end when several processes do it at once", () =>
    Effect.gen(function*() {
      const address = yield* freshAddress
      yield* Effect.all(Array.from({ length: 4 }, () => migrate(address)), { concurrency: 4 })
      const warehouse = yield* make(address)
      const files = yield* load(migrationsDirectory)
      assert.deepStrictEqual(
        yield* warehouse.query(`SELECT number, checksum FROM ${address.database}.migrations FINAL ORDER BY number`),
        files.map(({ checksum, number }) => ({ number, checksum }))
      )
    }))

  it.effect("goes on where a failed migration stopped, and says which statement it was", () =>
    Effect.gen(function*() {
      const address = yield* freshAddress
      const broken = {
        ...twoFiles,
        "0002_second.sql": `${twoFiles["0002_second.sql"]}\nCREATE TABLE {database}.b (n Nonsense);`
      }
      const error = yield* Effect.flip(migrate(address, yield* directoryOf(broken)))
      assert.strictEqual(error._tag, "WarehouseError")
      assert.include(error.message, "0002_second.sql, statement 2:")
      const report = yield* migrate(address, yield* directoryOf(twoFiles))
      assert.deepStrictEqual(report, { database: address.database, applied: ["0002_second.sql"], version: 2 })
      const warehouse = yield* make(address)
      assert.deepStrictEqual(yield* warehouse.query("SELECT n, m FROM a"), [])
    }))

  it.effect("refuses a file that is not the one applied", () =>
    Effect.gen(function*() {
      const address = yield* freshAddress
      yield* migrate(address, yield* directoryOf(twoFiles))
      const error = yield* refusal(migrate(address, yield* directoryOf({ ...twoFiles, "0001_first.sql": "SELECT 1;" })))
      assert.strictEqual(error.reason, "changed")
      assert.include(error.message, "0001_first.sql")
    }))

  it.effect("refuses a database of newer code", () =>
    Effect.gen(function*() {
      const address = yield* freshAddress
      yield* migrate(address, yield* directoryOf(twoFiles))
      const error = yield* refusal(
        migrate(address, yield* directoryOf({ "0001_first.sql": twoFiles["0001_first.sql"] }))
      )
      assert.strictEqual(error.reason, "newer")
      assert.include(error.message, "0002_second.sql")
    }))

  it.effect("refuses a database that lacks a migration in the midst", () =>
    Effect.gen(function*() {
      const address = yield* freshAddress
      const directory = yield* directoryOf(twoFiles)
      yield* migrate(address, directory)
      const warehouse = yield* make(address)
      yield* warehouse.command("DELETE FROM migrations WHERE number = 1")
      const error = yield* refusal(migrate(address, directory))
      assert.strictEqual(error.reason, "gap")
      assert.include(error.message, "0001_first.sql")
    }))

  it.effect("refuses a name that would have to be quoted", () =>
    Effect.gen(function*() {
      const address = yield* freshAddress
      assert.strictEqual((yield* refusal(migrate({ ...address, database: "a; DROP TABLE b" }))).reason, "name")
    }))
})

const refusal = <E>(migration: Effect.Effect<unknown, E>): Effect.Effect<MigrationError> =>
  Effect.flip(migration).pipe(
    Effect.map((error) => {
      if (!(error instanceof MigrationError)) throw new Error("not a MigrationError", { cause: error })
      return error
    }),
    Effect.orDie
  )

const directoryOf = (files: Readonly<Record<string, string>>): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const directory = await mkdtemp(join(tmpdir(), "guardian-migrations-"))
      await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(directory, name), text)))
      return directory
    }),
    (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
  )
