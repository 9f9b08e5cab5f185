import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { fingerprintSql, FingerprintText, fingerprintWords } from "../../src/sessionizer/Fingerprint.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"

layer(TemporaryWarehouse, { excludeTestServices: true })("the fingerprint", (it) => {
  it.effect("is in ClickHouse what the core makes of the same ids, short and long", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const id = fc.oneof(fc.uuid(), fc.string({ unit: "binary", minLength: 1, maxLength: 128 }))
      const pairs = fc.sample(fc.tuple(id, id), 500)
      yield* warehouse.command(
        `CREATE TABLE ${warehouse.database}.ids (row UInt32, visitor_id String, event_id String) ENGINE = Memory`
      )
      yield* warehouse.insert({
        table: "ids",
        rows: pairs.length,
        columns: [
          { name: "row", type: "UInt32", values: pairs.map((_, i) => i) },
          { name: "visitor_id", type: "String", values: pairs.map(([visitor]) => visitor) },
          { name: "event_id", type: "String", values: pairs.map(([, event]) => event) }
        ]
      })
      const rows = yield* warehouse.query(`SELECT [${fingerprintSql}] AS print FROM ids ORDER BY row`)
      const text = new FingerprintText()
      const expected = pairs.map(([visitor, event]) => {
        const print = new Int32Array(fingerprintWords)
        text.ofStrings(visitor, event, print, 0)
        return Array.from(print, (word) => word >>> 0)
      })
      assert.deepStrictEqual(rows.map(({ print }) => print as ReadonlyArray<number>), expected)
    }))
})
