import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { dataDictionary } from "../../src/warehouse/DataDictionary.ts"
import { migrationsDirectory } from "../../src/warehouse/Migrations.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"

layer(TemporaryWarehouse, { excludeTestServices: true })("the data dictionary", (it) => {
  it.effect("in clickhouse/DICTIONARY.md is what the schema says", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      assert.strictEqual(
        readFileSync(join(migrationsDirectory, "DICTIONARY.md"), "utf8"),
        yield* Effect.provideService(dataDictionary, Warehouse, warehouse),
        "the schema has changed: write it again with npm run dictionary"
      )
    }))

  it.effect("has every view and table, and a meaning for each and for each of its columns", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const text = yield* Effect.provideService(dataDictionary, Warehouse, warehouse)
      const relations = yield* warehouse.query(
        "SELECT name, comment FROM system.tables WHERE database = currentDatabase() AND NOT startsWith(name, '.inner')"
      )
      assert.isAbove(relations.length, 10)
      for (const { comment, name } of relations) {
        assert.notStrictEqual(comment, "", String(name))
        assert.match(text, new RegExp(`^### ${String(name)}(\\(.*\\))?\n\n\\S`, "m"))
      }
      const columns = yield* warehouse.query(
        // What a view that refreshes another table shows is that table's.
        `SELECT table, name, comment FROM system.columns WHERE database = currentDatabase() AND table NOT IN (
           SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'MaterializedView')`
      )
      assert.isAbove(columns.length, 100)
      for (const { comment, name, table } of columns) {
        assert.notStrictEqual(comment, "", `${String(table)}.${String(name)}`)
      }
      assert.notMatch(text, /\|\s*\|\s*$/m)
    }))

  it.effect("follows the schema", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      yield* warehouse.command("ALTER TABLE checkpoints COMMENT COLUMN offset 'this | or that'")
      yield* warehouse.command(
        "CREATE VIEW since AS SELECT * FROM checkpoints WHERE offset >= {from:UInt64} COMMENT 'From an offset on'"
      )
      const text = yield* Effect.provideService(dataDictionary, Warehouse, warehouse)
      assert.include(text, "| offset | UInt64 | this \\| or that |")
      assert.include(text, "### since(from UInt64)\n\nFrom an offset on.\n\nColumns as in checkpoints.")
    }))
})
