import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { formatAmount } from "../../src/domain/Money.ts"
import { TextColumn } from "../../src/sessionizer/TextColumn.ts"
import { WordColumn } from "../../src/sessionizer/WordColumn.ts"
import { blockBytesMax, encodeNative, Scratch, scratchBytesMin } from "../../src/warehouse/NativeBlock.ts"
import type { Column, TableBlock } from "../../src/warehouse/TableBlock.ts"
import type { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"

const one = (column: Column): TableBlock => ({ table: "t", rows: column.values.length, columns: [column] })

const wordsOf = (texts: ReadonlyArray<string>): WordColumn => {
  const column = new WordColumn()
  for (const text of texts) {
    const bytes = Buffer.from(text)
    column.append(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)
  }
  return column
}

describe("encodeNative", () => {
  it("writes counts, name, type and values back to back", () => {
    assert.deepStrictEqual(
      [...encodeNative(one({ name: "n", type: "UInt16", values: [1, 515] }))],
      [1, 2, 1, 0x6e, 6, ...Buffer.from("UInt16"), 1, 0, 3, 2]
    )
  })

  it("writes text of every length as UTF-8 with its length in bytes", () => {
    for (const unit of ["a", "é", "中", "😀", "a\ud800"]) {
      for (const count of [0, 1, 10, 20, 21, 31, 43, 63, 64, 127, 128, 129, 5_461, 8_192, 16_383, 16_384, 800_000]) {
        const text = unit.repeat(count)
        const bytes = Buffer.from(text, "utf8")
        const start = [1, 1, 1, 0x6e, 6, ...Buffer.from("String")]
        const expected = Buffer.concat([Buffer.from(start), varint(bytes.length), bytes])
        // deepStrictEqual on large buffers takes seconds
        assert.isTrue(
          expected.equals(encodeNative(one({ name: "n", type: "String", values: [text] }), new Scratch(16)))
        )
      }
    }
  })

  it("encodes the same with memory that was used before", () => {
    const scratch = new Scratch(1)
    const long = one({ name: "n", type: "String", values: ["x".repeat(5_000)] })
    const short = one({ name: "n", type: "Int64", values: [-1, Number.MIN_SAFE_INTEGER] })
    encodeNative(long, scratch)
    const grown = scratch.bytes
    assert.deepStrictEqual(encodeNative(short, scratch), encodeNative(short))
    assert.deepStrictEqual(encodeNative(long, scratch), encodeNative(long))
    assert.strictEqual(scratch.bytes, grown)
  })

  it("says when memory is not worth keeping: after many blocks in a row that were much smaller", () => {
    const scratch = new Scratch()
    const short = one({ name: "n", type: "Int64", values: [1] })
    encodeNative(one({ name: "n", type: "String", values: ["x".repeat(8 * scratchBytesMin)] }), scratch)
    assert.isTrue(scratch.isWorthKeeping())
    const answers = Array.from({ length: 64 }, () => {
      encodeNative(short, scratch)
      return scratch.isWorthKeeping()
    })
    assert.deepStrictEqual(answers.slice(0, -1), answers.slice(0, -1).fill(true))
    assert.isFalse(answers.at(-1))
    const small = new Scratch()
    for (let i = 0; i < 200; i++) {
      encodeNative(short, small)
      assert.isTrue(small.isWorthKeeping())
    }
  })

  it.each<readonly [string, Column]>([
    ["a fraction", { name: "n", type: "Int64", values: [1.5] }],
    ["no number", { name: "n", type: "DateTime64(3, 'UTC')", values: [Number.NaN] }],
    ["an unsafe integer", { name: "n", type: "Decimal(18, 4)", values: [2 ** 53] }],
    ["a negative count", { name: "n", type: "UInt64", values: [-1] }],
    ["256 as a byte", { name: "n", type: "UInt8", values: [256] }],
    ["a negative partition", { name: "n", type: "UInt16", values: [-1] }],
    ["2^32 as 32 bits", { name: "n", type: "UInt32", values: [2 ** 32] }],
    ["2^64 as 64 bits", { name: "n", type: "UInt64", values: [2n ** 64n] }],
    ["39 digits", { name: "n", type: "Decimal(38, 4)", values: [10n ** 38n] }]
  ])("refuses %s instead of writing something else", (_, column) => {
    assert.throws(() => encodeNative(one(column)), /t\.n cannot hold/)
  })

  it("writes columns that come encoded, in parts, as it writes their texts", () => {
    const part = fc.array(fc.string({ unit: "grapheme" }), { maxLength: 20 })
    fc.assert(fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      const rows = parts.flat().length
      const block = (column: Column): TableBlock => ({ table: "t", rows, columns: [column] })
      assert.deepStrictEqual(
        encodeNative(block({ name: "n", type: "Texts", values: parts.map((texts) => TextColumn.of(texts)) })),
        encodeNative(block({ name: "n", type: "String", values: parts.flat() }))
      )
      assert.deepStrictEqual(
        encodeNative(block({ name: "n", type: "Words", values: parts.map(wordsOf) })),
        encodeNative(block({ name: "n", type: "LowCardinality(String)", values: parts.flat() }))
      )
    }))
  })

  it("refuses a column of another length than the block", () => {
    assert.throws(
      () => encodeNative({ ...one({ name: "n", type: "UInt8", values: [1] }), rows: 2 }),
      /1 values for 2 rows/
    )
  })

  it("refuses a block beyond its limit", () => {
    const scratch = new Scratch(16)
    assert.throws(() => scratch.reserve(blockBytesMax + 1), /flush fewer rows/)
  })
})

layer(TemporaryWarehouse, { excludeTestServices: true })("Native blocks in ClickHouse", (it) => {
  it.effect("gives back every value of every column type", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      yield* warehouse.command(`CREATE TABLE ${warehouse.database}.all_types (
        row UInt32, text String, word LowCardinality(String), widened String, bytes String, u8 UInt8, u16 UInt16, u32 UInt32,
        u64 UInt64, big UInt64, i64 Int64, f64 Float64, day Date, at DateTime64(3, 'UTC'), price Decimal(18, 4), flag Bool,
        amount Decimal(38, 4), properties Map(LowCardinality(String), String), plain Map(String, String),
        amounts Map(LowCardinality(String), Decimal(38, 4)), counters Map(LowCardinality(String), UInt64)
      ) ENGINE = MergeTree ORDER BY row`)
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.array(rowArbitrary, { maxLength: 40 }), (rows) =>
            Effect.runPromise(Effect.gen(function*() {
              yield* warehouse.command(`TRUNCATE TABLE ${warehouse.database}.all_types`)
              yield* warehouse.insert(blockOf(rows))
              assert.deepStrictEqual(yield* readBack(warehouse), rows.map(expected))
            }))),
          { numRuns: 60 }
        )
      )
    }))

  it.effect("takes dictionaries of every index width", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      yield* warehouse.command(
        `CREATE TABLE ${warehouse.database}.words (size UInt32, row UInt32, word LowCardinality(String)) ENGINE = Memory`
      )
      const sizes = [1, 256, 257, 65_536, 65_537, 70_000]
      for (const size of sizes) {
        const rows = Array.from({ length: size + 3 }, (_, row) => row)
        yield* warehouse.insert({
          table: "words",
          rows: rows.length,
          columns: [
            { name: "size", type: "UInt32", values: rows.map(() => size) },
            { name: "row", type: "UInt32", values: rows },
            { name: "word", type: "LowCardinality(String)", values: rows.map((row) => `w${row % size}`) }
          ]
        })
      }
      assert.deepStrictEqual(
        yield* warehouse.query(
          `SELECT size, count() AS rows, countIf(word != 'w' || toString(row % size)) AS wrong
           FROM ${warehouse.database}.words GROUP BY size ORDER BY size`
        ),
        sizes.map((size) => ({ size, rows: String(size + 3), wrong: "0" }))
      )
    }))

  it.effect("takes 20,000 events in one block, and a block without rows", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const rows = Array.from({ length: 20_000 }, (_, row) => row)
      const columns: ReadonlyArray<Column> = [
        { name: "event_id", type: "String", values: rows.map((row) => `event-${row}`) },
        { name: "event_ts", type: "DateTime64(3, 'UTC')", values: rows.map((row) => 1_700_000_000_000 + row) },
        { name: "user_agent", type: "String", values: rows.map((row) => "中é".repeat(row % 100)) },
        { name: "offset", type: "UInt64", values: rows }
      ]
      yield* warehouse.insert({ table: "events_raw", rows: rows.length, columns })
      yield* warehouse.insert({
        table: "events_raw",
        rows: 0,
        columns: columns.map((column) => ({ ...column, values: [] }) as Column)
      })
      assert.deepStrictEqual(
        yield* warehouse.query(
          `SELECT count() AS rows, sum(offset) AS offsets, sum(lengthUTF8(user_agent)) AS characters,
             countIf(event_id != 'event-' || toString(offset)) AS wrong FROM ${warehouse.database}.events_raw`
        ),
        [{ rows: "20000", offsets: "199990000", characters: String(200 * 99 * 100), wrong: "0" }]
      )
    }))
})

interface Row {
  readonly text: string
  readonly bytes: Uint8Array
  readonly u8: number
  readonly u16: number
  readonly u32: number
  readonly u64: number
  readonly big: bigint
  readonly i64: number
  readonly f64: number
  readonly flag: boolean
  readonly amount: bigint
  readonly properties: Readonly<Record<string, string>>
  readonly amounts: ReadonlyMap<string, bigint>
  readonly counters: ReadonlyMap<string, bigint>
}

const textArbitrary = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.constantFrom(
    "",
    "\0",
    "a\0b",
    "\ud800",
    "\udc00x\ud800",
    "é".repeat(64),
    "中".repeat(43),
    "a".repeat(127),
    "a".repeat(128)
  )
)
const unsigned64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const amountArbitrary = fc.oneof(
  fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
  fc.bigInt({ min: -10n, max: 10n }),
  fc.constantFrom(2n ** 63n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 63n) - 1n, 2n ** 64n, -(2n ** 64n))
)
const mapArbitrary = (value: fc.Arbitrary<bigint>) =>
  fc.dictionary(fc.string({ maxLength: 5 }), value, { maxKeys: 4 }).map((object) => new Map(Object.entries(object)))

const rowArbitrary: fc.Arbitrary<Row> = fc.record({
  text: textArbitrary,
  bytes: fc.uint8Array({ maxLength: 300 }),
  u8: fc.nat(255),
  u16: fc.nat(65_535),
  u32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  u64: fc.maxSafeNat(),
  big: unsigned64,
  i64: fc.maxSafeInteger(),
  f64: fc.double(),
  flag: fc.boolean(),
  amount: amountArbitrary,
  properties: fc.dictionary(fc.string({ maxLength: 10 }), textArbitrary, { maxKeys: 5 }),
  amounts: mapArbitrary(amountArbitrary),
  counters: mapArbitrary(unsigned64)
})

const blockOf = (rows: ReadonlyArray<Row>): TableBlock => ({
  table: "all_types",
  rows: rows.length,
  columns: [
    { name: "row", type: "UInt32", values: rows.map((_, index) => index) },
    { name: "text", type: "String", values: rows.map((row) => row.text) },
    { name: "word", type: "LowCardinality(String)", values: rows.map((row) => row.text) },
    // The server widens what the block declares: a dictionary into plain text, plain keys into a dictionary.
    { name: "widened", type: "LowCardinality(String)", values: rows.map((row) => row.text) },
    { name: "bytes", type: "Bytes", values: rows.map((row) => row.bytes) },
    { name: "u8", type: "UInt8", values: rows.map((row) => row.u8) },
    { name: "u16", type: "UInt16", values: Uint16Array.from(rows, (row) => row.u16) },
    { name: "u32", type: "UInt32", values: rows.map((row) => row.u32) },
    { name: "u64", type: "UInt64", values: rows.map((row) => row.u64) },
    { name: "big", type: "UInt64", values: rows.map((row) => row.big) },
    { name: "i64", type: "Int64", values: rows.map((row) => row.i64) },
    { name: "f64", type: "Float64", values: Float64Array.from(rows, (row) => row.f64) },
    { name: "day", type: "Date", values: rows.map((row) => row.u16) },
    { name: "at", type: "DateTime64(3, 'UTC')", values: rows.map((row) => row.i64) },
    { name: "price", type: "Decimal(18, 4)", values: Float64Array.from(rows, (row) => row.i64) },
    { name: "flag", type: "Bool", values: rows.map((row) => row.flag) },
    { name: "amount", type: "Decimal(38, 4)", values: rows.map((row) => row.amount) },
    { name: "properties", type: "Map(String, String)", values: rows.map((row) => row.properties) },
    { name: "plain", type: "Map(String, String)", values: rows.map((row) => row.properties) },
    { name: "amounts", type: "Map(String, Decimal(38, 4))", values: rows.map((row) => row.amounts) },
    { name: "counters", type: "Map(String, UInt64)", values: rows.map((row) => row.counters) }
  ]
})

const readBack = (warehouse: Warehouse["Service"]) =>
  warehouse.query(
    `SELECT text, word, widened, lower(hex(bytes)) AS bytes, u8, u16, u32, u64, big, i64, reinterpretAsUInt64(f64) AS f64,
       toUInt16(day) AS day, toUnixTimestamp64Milli(at) AS at, price, flag, amount, properties, plain, amounts, counters
     FROM ${warehouse.database}.all_types ORDER BY row SETTINGS output_format_decimal_trailing_zeros = 1`
  )

/** Lone surrogates have no UTF-8: they become U+FFFD, as everywhere in the pipeline. */
const expected = (row: Row): Record<string, unknown> => {
  const text = row.text.toWellFormed()
  const properties = objectOf(Object.entries(row.properties).map(([key, value]) => [key, value.toWellFormed()]))
  return {
    text,
    word: text,
    widened: text,
    bytes: Buffer.from(row.bytes).toString("hex"),
    u8: row.u8,
    u16: row.u16,
    u32: row.u32,
    u64: String(row.u64),
    big: String(row.big),
    i64: String(row.i64),
    f64: String(new BigUint64Array(Float64Array.of(row.f64).buffer)[0]),
    day: row.u16,
    at: String(row.i64),
    price: formatAmount(row.i64),
    flag: row.flag,
    amount: formatAmount(row.amount),
    properties,
    plain: properties,
    amounts: objectOf([...row.amounts].map(([key, value]) => [key, formatAmount(value)])),
    counters: objectOf([...row.counters].map(([key, value]) => [key, String(value)]))
  }
}

/** As JSON.parse makes it: `__proto__` is a key like any other. */
const objectOf = (entries: ReadonlyArray<readonly [string, string]>): Record<string, string> =>
  Object.fromEntries(entries)

const varint = (value: number): Buffer => {
  const bytes: Array<number> = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(rest % 128 + 128)
  return Buffer.from([...bytes, rest])
}
