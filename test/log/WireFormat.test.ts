import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import type { EventBatch } from "../../src/domain/EventBatch.ts"
import { isEvent, placeStride, Text } from "../../src/domain/EventBatch.ts"
import type { DecodeFailure } from "../../src/domain/Outcome.ts"
import type { AvroSchemaJson } from "../../src/log/SchemaRegistry.ts"
import { avroType, RegistryError } from "../../src/log/SchemaRegistry.ts"
import { encodeEvent, EventDecoder, headBytes, unknownIdMs } from "../../src/log/WireFormat.ts"
import { storedBatch } from "../support/EventBatches.ts"
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

const batchOf = (values: ReadonlyArray<Buffer>) =>
  storedBatch(0, values.map((value, offset) => ({ offset, appendedAt: 0, value })))

const decode = (decoder: EventDecoder, value: Buffer): ClickEvent | DecodeFailure =>
  decoder.decodeKnown(batchOf([value])).event(0)

const contentsOf = (events: EventBatch) => [...events.records()].map(({ content }) => content)

const reasonOf = (decoded: ClickEvent | DecodeFailure) => isEvent(decoded) ? "event" : decoded.reason

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
          assert.deepStrictEqual(decode(decoder, bytes), event)
          assert.deepStrictEqual(decode(decoder, written(11, toRaw(event))), event)
        }),
        { numRuns: 500 }
      )
    }))

  it.effect("give back numbers up to the largest safe one", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      for (const price of [2 ** 52, Number.MAX_SAFE_INTEGER]) {
        const event = { ...example, price, eventTs: -price } as ClickEvent
        assert.deepStrictEqual(decode(decoder, encodeEvent(ownId, event)), event)
      }
    }))

  it.effect("read an older writer's events, with defaults for what it did not know", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      fc.assert(
        fc.property(clickEvent, (event) => {
          const expected = { ...event, quantity: 1, properties: {}, truncated: false }
          assert.deepStrictEqual(decode(decoder, written(8, toRaw(event))), expected as ClickEvent)
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
          assert.deepStrictEqual(decode(decoder, written(9, value)), event)
        }),
        { numRuns: 200 }
      )
    }))

  it.effect("read events of every writer in one batch, each as if it were alone", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      const one = fc.tuple(clickEvent, fc.constantFrom(ownId, 8, 9, 10, 11, 99))
      fc.assert(fc.property(fc.array(one), (all) => {
        const values = all.map(([event, id]) =>
          id === 99 ?
            Buffer.from([0, 0, 0, 0, 99, 1]) :
            written(id, id === 10 ? { total: 1 } : { ...toRaw(event), campaign: null, tags: [], scores: {} })
        )
        const together = contentsOf(decoder.decodeKnown(batchOf(values)))
        assert.deepStrictEqual(together, values.map((value) => decode(decoder, value)))
      }))
    }))

  it.effect.each([["visitorId", Text.visitorId], ["eventId", Text.eventId], ["itemId", Text.itemId]] as const)(
    "read a %s that is no UTF-8 as what the warehouse will show: equal texts are equal bytes",
    ([name, text]) =>
      Effect.gen(function*() {
        const decoder = yield* makeDecoder
        const spoiled = [128, 129].map((byte) => {
          const value = Buffer.from(encodeEvent(ownId, { ...example, [name]: "v?" } as ClickEvent))
          value[value.indexOf("v?") + 1] = byte
          return value
        })
        const events = decoder.decodeKnown(batchOf(spoiled))
        const bytesOf = (index: number) => {
          const at = index * placeStride + text
          return events.bytes.toString("hex", events.places[at], events.places[at]! + events.places[at + 1]!)
        }
        assert.strictEqual(events.text(0, text), "v\ufffd")
        assert.strictEqual(bytesOf(0), Buffer.from("v\ufffd").toString("hex"))
        assert.strictEqual(bytesOf(1), bytesOf(0))
      })
  )

  it.effect("read map blocks that carry their size", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      const bytes = encodeEvent(ownId, { ...example, properties: { k: "v" }, truncated: true })
      // One entry of four bytes, then the end: count -1 and size 4 instead of count 1.
      const head = bytes.subarray(0, bytes.length - 7)
      assert.deepStrictEqual([...bytes.subarray(-7)], [2, 2, 107, 2, 118, 0, 1])
      const sized = Buffer.concat([head, Buffer.from([1, 8, 2, 107, 2, 118, 0, 1])])
      assert.deepStrictEqual(decode(decoder, sized), { ...example, properties: { k: "v" }, truncated: true })
    }))

  it.effect("never throw on junk, under any schema, and say why it is none", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      const ids = fc.constantFrom(...schemas.keys(), 99)
      fc.assert(
        fc.property(ids, fc.uint8Array({ maxLength: 300 }), (id, body) => {
          const head = Buffer.alloc(headBytes)
          head.writeUInt32BE(id, 1)
          const reason = reasonOf(decode(decoder, Buffer.concat([head, body])))
          if (id === 99) assert.strictEqual(reason, "unknown_schema")
        }),
        { numRuns: 3_000 }
      )
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
          decode(decoder, Buffer.from(bytes))
        }),
        { numRuns: 1_000 }
      )
    }))

  it.effect("refuse values that are cut, have bytes left, miss the head or belong to something else", () =>
    Effect.gen(function*() {
      const decoder = yield* makeDecoder
      for (const id of [ownId, 8, 9]) {
        const value = written(id, { ...toRaw(example), campaign: null, tags: ["t"], scores: {} })
        assert.strictEqual(reasonOf(decode(decoder, value)), "event")
        for (let end = 0; end < value.length; end++) {
          assert.strictEqual(reasonOf(decode(decoder, value.subarray(0, end))), "undecodable", `${id}: ${end} bytes`)
        }
        assert.strictEqual(reasonOf(decode(decoder, Buffer.concat([value, Buffer.from([0])]))), "undecodable")
      }
      assert.strictEqual(reasonOf(decode(decoder, written(10, { total: 1 }))), "undecodable")
      assert.strictEqual(reasonOf(decode(decoder, Buffer.from(`{"event_id":"e"}`))), "undecodable")
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
            reasonOf(decode(decoder, Buffer.concat([value.subarray(0, -cut), count]))),
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
        assert.deepStrictEqual(contentsOf(decoded).map(reasonOf), ["event", "event", "event"])
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
      assert.deepStrictEqual(contentsOf(yield* decoder.decodeBatch(batch)), [example])
    }))

  it.effect("asks again for an unknown id, but not for every batch", () =>
    Effect.gen(function*() {
      let asked = 0
      let registered = false
      const decoder = new EventDecoder(() => Effect.sync(() => (asked++, registered ? avroSchema : undefined)))
      const batch = batchOf([encodeEvent(50, example)])
      for (let i = 0; i < 3; i++) {
        assert.deepStrictEqual(contentsOf(yield* decoder.decodeBatch(batch)).map(reasonOf), ["unknown_schema"])
      }
      assert.strictEqual(asked, 1)
      registered = true
      yield* TestClock.adjust(unknownIdMs)
      assert.deepStrictEqual(contentsOf(yield* decoder.decodeBatch(batch)).map(reasonOf), ["event"])
    }))
})
