import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import { EventBatch, noProperties } from "../../src/domain/EventBatch.ts"
import type { Partition } from "../../src/domain/Identifiers.ts"
import { FastAvroEncoder, FastAvroParser } from "../../src/log/FastAvro.ts"
import { avroType } from "../../src/log/SchemaRegistry.ts"
import { storedBatch } from "../support/EventBatches.ts"
import { clickEvent, toRaw } from "./EventArbitrary.ts"

const library = avroType(avroSchema)
const encoder = new FastAvroEncoder()
const parser = new FastAvroParser()

/** The event in bytes from `start` on, or undefined when the parser leaves it to the library. */
const parse = (bytes: Buffer, start: number): ClickEvent | undefined => {
  const events = new EventBatch(0 as Partition, 1, bytes, storedBatch(0, []))
  if (!parser.parse(events, 0, start, bytes.length)) return undefined
  return events.event(0) as ClickEvent
}
const noHead = new Uint8Array(0)

/** What the library makes of bytes; undefined when it refuses. */
const byLibrary = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(JSON.stringify(library.fromBuffer(bytes))) as unknown
  } catch {
    return undefined
  }
}

describe("FastAvro", () => {
  it("writes the bytes that the library writes", () => {
    fc.assert(
      fc.property(clickEvent, (event) => {
        assert.isTrue(encoder.encode(noHead, event).equals(library.toBuffer(toRaw(event))))
      }),
      { numRuns: 1_000 }
    )
  })

  it("reads what the library writes", () => {
    fc.assert(
      fc.property(clickEvent, fc.nat(9), (event, start) => {
        const bytes = Buffer.concat([Buffer.alloc(start, 255), library.toBuffer(toRaw(event))])
        assert.deepStrictEqual(parse(bytes, start), event)
      }),
      { numRuns: 1_000 }
    )
  })

  it("reads of broken bytes only what the library reads too, as the library does", () => {
    const broken = fc.tuple(clickEvent, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }), fc.nat(400))
    fc.assert(
      fc.property(broken, ([event, changes, end]) => {
        const bytes = Buffer.from(encoder.encode(noHead, event))
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        const cut = bytes.subarray(0, end)
        const read = parse(cut, 0)
        // The library refuses the largest safe integers.
        if (read === undefined || [read.eventTs, read.price, read.quantity].some((n) => Math.abs(n) >= 2 ** 52)) return
        assert.deepStrictEqual(JSON.parse(JSON.stringify(toRaw(read))), byLibrary(cut))
      }),
      { numRuns: 3_000 }
    )
  })

  it("keeps numbers exact at their bounds", () => {
    for (
      const value of [0, 1, 63, 64, 8_191, 8_192, 2 ** 28, 2 ** 31, 2 ** 35 - 1, 2 ** 52, Number.MAX_SAFE_INTEGER - 1]
    ) {
      for (const eventTs of [value, -value - 1]) {
        const event = { ...example, eventTs } as ClickEvent
        assert.strictEqual(parse(encoder.encode(noHead, event), 0)?.eventTs as number, eventTs)
      }
    }
  })

  it("keeps a property called __proto__, as the library does for other writers", () => {
    const properties = JSON.parse(`{"__proto__":"p","constructor":"c","a":"b"}`) as Record<string, string>
    const bytes = encoder.encode(noHead, { ...example, properties })
    const older = avroType({ ...avroSchema, fields: avroSchema.fields.filter(({ name }) => name !== "currency") })
    const { currency: _, ...before } = toRaw({ ...example, properties })
    const read = [
      parse(bytes, 0)!.properties,
      (library.fromBuffer(bytes) as { properties: object }).properties,
      (library.fromBuffer(older.toBuffer(before), library.createResolver(older)) as { properties: object }).properties
    ]
    for (const each of read) assert.deepStrictEqual(Object.entries(each), Object.entries(properties))
  })

  it("gives events without properties one empty object, and equal user agents one string", () => {
    const bytes = encoder.encode(noHead, { ...example, properties: {} })
    assert.strictEqual(parse(bytes, 0)!.properties, noProperties)
    assert.isTrue(Object.isFrozen(noProperties))
  })

  it("is not confused when strings of one slot take turns", () => {
    // More visitors than slots.
    const visitors = Array.from({ length: 150_000 }, (_, i) => `visitor-${i * 7}`)
    let wrong = 0
    for (const visitorId of [...visitors, ...visitors]) {
      const bytes = encoder.encode(noHead, { ...example, visitorId } as ClickEvent)
      if (parse(bytes, 0)?.visitorId !== visitorId) wrong++
    }
    assert.strictEqual(wrong, 0)
  })
})

const example = {
  eventId: "e1",
  visitorId: "v1",
  eventTs: 1_764_000_000_000,
  eventType: "view",
  itemId: "",
  category: "",
  price: 0,
  currency: "",
  quantity: 1,
  url: "",
  referrer: "",
  userAgent: "Mozilla/5.0",
  properties: noProperties,
  truncated: false
} as unknown as ClickEvent
