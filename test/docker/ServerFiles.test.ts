/** The ClickHouse files of docker/ in a real engine: they load, merge over the image's own, and mean what they are to mean. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { migrate } from "../../src/warehouse/Migrations.ts"
import { statement } from "../warehouse/embedded/statement.ts"
import { serverPlace } from "./ServerPlace.ts"

describe("a ClickHouse server with docker/clickhouse", () => {
  it.live("has Guardian's users with their passwords, takes all migrations from the writer, and lets analysts only read", () =>
    Effect.gen(function*() {
      const server = yield* serverPlace
      const writer = server.address("writer")
      const analyst = server.address("analyst")
      const refused = yield* statement({ ...writer, database: "system", password: Redacted.make("wrong") }, "SELECT 1")
      assert.strictEqual(refused.code, 516, refused.text)

      const report = yield* migrate(writer)
      assert.isAbove(report.applied.length, 19)
      const again = yield* migrate(writer)
      assert.deepStrictEqual(again.applied, [])

      const asWriter = yield* make(writer)
      const settings = yield* asWriter.query(
        "SELECT name, value FROM system.settings WHERE name IN ('async_insert', 'insert_deduplicate', 'max_insert_threads', 'priority') ORDER BY name"
      )
      assert.deepStrictEqual(settings.map(({ value }) => value), ["0", "0", "1", "5"])

      assert.strictEqual((yield* statement(analyst, "SELECT count() FROM sessions")).text, "0")
      for (
        const sql of [
          "INSERT INTO reporting_settings (name, value, version) VALUES ('time_zone', 'UTC', 9)",
          "TRUNCATE TABLE events_raw",
          "DROP VIEW sessions",
          "CREATE TABLE guardian.mine (a Int8) ENGINE = Memory",
          "SYSTEM STOP VIEW guardian.refresh_popular"
        ]
      ) assert.include([497, 164], (yield* statement(analyst, sql)).code, sql)
      const tooLong = yield* statement(analyst, "SELECT 1 SETTINGS max_execution_time = 3600")
      assert.strictEqual(tooLong.code, 452, tooLong.text)
      const reader = yield* statement(server.address("reader"), "TRUNCATE TABLE events_raw")
      assert.include([497, 164], reader.code, reader.text)
    }))

  it.live("runs with our settings over the image's", () =>
    Effect.gen(function*() {
      const server = yield* serverPlace
      const reader = { ...server.address("reader"), database: "system" }
      const value = (name: string) =>
        Effect.map(
          statement(reader, `SELECT value FROM system.server_settings WHERE name = '${name}'`),
          ({ text }) => text
        )
      assert.strictEqual(yield* value("mark_cache_size"), "134217728")
      assert.strictEqual(yield* value("background_schedule_pool_size"), "8")
      assert.strictEqual((yield* statement(reader, "SELECT timezone()")).text, "UTC")
      const merges = yield* statement(
        reader,
        "SELECT value FROM system.merge_tree_settings WHERE name = 'old_parts_lifetime'"
      )
      assert.strictEqual(merges.text, "120")
      const disk = yield* statement(reader, "SELECT keep_free_space FROM system.disks WHERE name = 'default'")
      assert.strictEqual(disk.text, "33554432")
    }))
})
