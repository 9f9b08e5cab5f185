import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import type { AvroSchemaJson } from "../../src/log/SchemaRegistry.ts"
import { avroType, RegistryError } from "../../src/log/SchemaRegistry.ts"
import { DecodeFailure, encodeEvent, EventDecoder, headBytes, unknownIdMs } from "../../src/log/WireFormat.ts"
import { clickEvent, toRaw } from "./EventArbitrary.ts"

const fields = avroSchema.fields as ReadonlyArray<{ readonly name: string }>

/** A writer from before `quantity`, `properties` and `truncated` were there. */
const older = {
  ...avroSchema,
  fields: fields.filter((field) => !["quantity", "properties", "truncated"].includes(field.name))
}
/** A writer that knows more: its own order, new fields of several types. */
const newer = {
  ...avroSchema,
  fields: [
    { name: "campaign", type: ["null", "string"], default: null },
    ...fields.toReversed(),
    { name: "tags", type: { type: "array", items: "string" }, default: [] },
    { name: "scores", type: { type: "map", values: ["double", "null"] }, default: {} }
  ]
}
const foreign = { type: "record", name: "Order", fields: [{ name: "total", type: "double" }] }

const ownId = 7
const schemas = new Map<number, AvroSchemaJson>([
  [ownId, avroSchema],
  [8, older],
  [9, newer],
  [10, foreign],
  [11, { ...avroSchema, doc: "the same under other words" }]
])

const makeDecoder = Effect.gen(function*() {
  const decoder = new EventDecoder((id) => Effect.succeed(schemas.get(id)))
  for (const id of schemas.keys()) yield* decoder.learn(id)
  return decoder
})

/** A value as the library writes it. */
const written = (id: number, value: unknown): Buffer => {
  const head = Buffer.alloc(headBytes)
  head.writeUInt32BE(id, 1)
  return Buffer.concat([head, avroType(schemas.get(id)!).toBuffer(value)])
}

const batchOf = (values: ReadonlyArray<Buffer>) => ({ count: values.length, value: (i: number) => values[i]! })

const reasonOf = (decoded: ClickEvent | DecodeFailure | undefined) =>
  decoded instanceof DecodeFailure ? decoded.reason : "event"

const example = fc.sample(clickEvent, { numRuns: 1, seed: 1 })[0]!

describe("encodeEvent and EventDecoder", () => {
  it.effect("give back every event", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      fc.assert(
        fc.property(clickEvent, (event) => {
          const bytes = encodeEvent(ownId, event)
          assert.strictEqual(bytes.readUInt8(0), 0)
          assert.strictEqual(bytes.readUInt32BE(1), ownId)
          assert.deepStrictEqual(decoder.decode(bytes), event)
          assert.deepStrictEqual(decoder.decode(written(11, toRaw(event))), event)
        }),
        { numRuns: 500 }
      )
    }))

  it.effect("give back numbers up to the largest safe one", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      for (const price of [2 ** 52, Number.MAX_SAFE_INTEGER]) {
        const event = { ...example, price, eventTs: -price } as ClickEvent
        assert.deepStrictEqual(decoder.decode(encodeEvent(ownId, event)), event)
      }
    }))

  it.effect("read an older writer's events, with defaults for what it did not know", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      fc.assert(
        fc.property(clickEvent, (event) => {
          const expected = { ...event, quantity: 1, properties: {}, truncated: false }
          assert.deepStrictEqual(decoder.decode(written(8, toRaw(event))), expected as ClickEvent)
        }),
        { numRuns: 200 }
      )
    }))

  it.effect("read a newer writer's events, without what only it knows", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      fc.assert(
        fc.property(clickEvent, fc.option(fc.string()), fc.array(fc.string()), (event, campaign, tags) => {
          const value = { ...toRaw(event), campaign, tags, scores: { a: 1.5, b: null } }
          assert.deepStrictEqual(decoder.decode(written(9, value)), event)
        }),
        { numRuns: 200 }
      )
    }))

  it.effect("read map blocks that carry their size", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      const bytes = encodeEvent(ownId, { ...example, properties: { k: "v" }, truncated: true })
      // One entry of four bytes, then the end: count -1 and size 4 instead of count 1.
      const head = bytes.subarray(0, bytes.length - 7)
      assert.deepStrictEqual([...bytes.subarray(-7)], [2, 2, 107, 2, 118, 0, 1])
      const sized = Buffer.concat([head, Buffer.from([1, 8, 2, 107, 2, 118, 0, 1])])
      assert.deepStrictEqual(decoder.decode(sized), { ...example, properties: { k: "v" }, truncated: true })
    }))

  it.effect("never throw on junk, under any schema, and say why it is none", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      const ids = fc.constantFrom(...schemas.keys(), 99)
      fc.assert(
        fc.property(ids, fc.uint8Array({ maxLength: 300 }), (id, body) => {
          const head = Buffer.alloc(headBytes)
          head.writeUInt32BE(id, 1)
          const reason = reasonOf(decoder.decode(Buffer.concat([head, body])))
          if (id === 99) assert.strictEqual(reason, "unknown_schema")
        }),
        { numRuns: 3_000 }
      )
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
          decoder.decode(Buffer.from(bytes))
        }),
        { numRuns: 1_000 }
      )
    }))

  it.effect("refuse values that are cut, have bytes left, miss the head or belong to something else", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      for (const id of [ownId, 8, 9]) {
        const value = written(id, { ...toRaw(example), campaign: null, tags: ["t"], scores: {} })
        assert.strictEqual(reasonOf(decoder.decode(value)), "event")
        for (let end = 0; end < value.length; end++) {
          assert.strictEqual(reasonOf(decoder.decode(value.subarray(0, end))), "undecodable", `${id}: ${end} bytes`)
        }
        assert.strictEqual(reasonOf(decoder.decode(Buffer.concat([value, Buffer.from([0])]))), "undecodable")
      }
      assert.strictEqual(reasonOf(decoder.decode(written(10, { total: 1 }))), "undecodable")
      assert.strictEqual(reasonOf(decoder.decode(Buffer.from(`{"event_id":"e"}`))), "undecodable")
    }))

  it.effect("refuse a count of 2^50 entries at once", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      const count = Buffer.from([128, 128, 128, 128, 128, 128, 128, 4])
      for (const id of [ownId, 8, 9]) {
        const value = written(id, { ...toRaw(example), properties: {}, campaign: null, tags: [], scores: {} })
        // Own: the map is the last but one. Newer: the last of all. Each with nothing behind its count.
        for (const cut of [1, 2]) {
          assert.strictEqual(
            reasonOf(decoder.decode(Buffer.concat([value.subarray(0, -cut), count]))),
            "undecodable"
          )
        }
      }
    }))
})

describe("EventDecoder and the registry", () => {
  it.effect("asks once per id, for the whole batch", () =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const decoder = new EventDecoder((id) => Effect.sync(() => (asked.push(id), schemas.get(id))))
      const batch = batchOf([encodeEvent(ownId, example), written(8, toRaw(example)), encodeEvent(ownId, example)])
      for (let i = 0; i < 3; i++) {
        const decoded = yield* decoder.decodeBatch(batch)
        assert.deepStrictEqual(decoded.map(reasonOf), ["event", "event", "event"])
      }
      assert.deepStrictEqual(asked, [ownId, 8])
    }))

  it.effect("fails the batch, not the record, while the registry is down", () =>
    Effect.gen(function*() {
      let down = true
      const decoder = new EventDecoder((id) =>
        down ? Effect.fail(new RegistryError({ message: "down", retryable: true })) : Effect.succeed(schemas.get(id))
      )
      const batch = batchOf([encodeEvent(ownId, example)])
      assert.strictEqual((yield* Effect.flip(decoder.decodeBatch(batch)))._tag, "RegistryError")
      down = false
      assert.deepStrictEqual(yield* decoder.decodeBatch(batch), [example])
    }))

  it.effect("asks again for an unknown id, but not for every batch", () =>
    Effect.gen(function*() {
      let asked = 0
      let registered = false
      const decoder = new EventDecoder(() => Effect.sync(() => (asked++, registered ? avroSchema : undefined)))
      const batch = batchOf([encodeEvent(50, example)])
      for (let i = 0; i < 3; i++) {
        assert.deepStrictEqual((yield* decoder.decodeBatch(batch)).map(reasonOf), ["unknown_schema"])
      }
      assert.strictEqual(asked, 1)
      registered = true
      yield* TestClock.adjust(unknownIdMs)
      assert.deepStrictEqual((yield* decoder.decodeBatch(batch)).map(reasonOf), ["event"])
    }))
})
