import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { NativeReader } from "../../src/warehouse/NativeReader.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("NativeReader", (it) => {
  // Dictionaries of one block need indexes of one, two or four bytes.
  for (const [texts, rows] of [[1, 1], [200, 100_000], [60_000, 70_000], [100_000, 100_000]] as const) {
    it.effect(`reads ${rows} rows with ${texts} texts as the server has them`, () =>
      Effect.gen(function*() {
        const warehouse = yield* freshWarehouse
        const reader = new NativeReader(
          yield* warehouse.queryBytes(
            `SELECT toLowCardinality(if(number % ${texts} = 7, '', concat('é ', toString(number % ${texts})))),
               toUInt8(number % 251), toUInt32(number * 65537), toFloat64(number) * 1000000007
             FROM numbers(${rows}) SETTINGS max_block_size = 100000 FORMAT Native`
          )
        )
        let row = 0
        while (reader.next()) {
          const names = reader.dictionary()
          const small = reader.uint8()
          const words = reader.words()
          const doubles = reader.float64()
          for (let i = 0; i < reader.rows; i++, row++) {
            const name = row % texts === 7 ? "" : `é ${row % texts}`
            if (names.texts[names.indexes[i]!] !== name) assert.fail(`row ${row}: ${names.texts[names.indexes[i]!]}`)
            if (small[i] !== row % 251) assert.fail(`row ${row}: ${small[i]}`)
            if (words[i] !== (row * 65_537 | 0)) assert.fail(`row ${row}: ${words[i]}`)
            if (doubles[i] !== row * 1_000_000_007) assert.fail(`row ${row}: ${doubles[i]}`)
          }
        }
        assert.strictEqual(row, rows)
      }))
  }

  it.effect("says so when a column is of another type, and reads an empty result", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const reader = new NativeReader(yield* warehouse.queryBytes("SELECT toUInt16(1) AS n FORMAT Native"))
      assert.isTrue(reader.next())
      assert.throws(() => reader.words(), "a column of UInt32 was expected, the server sent UInt16")
      const empty = new NativeReader(
        yield* warehouse.queryBytes("SELECT toUInt16(number) AS n FROM numbers(9) WHERE number > 9 FORMAT Native")
      )
      assert.isFalse(empty.next())
    }))
})
