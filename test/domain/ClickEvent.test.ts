import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as fc from "fast-check"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import {
  avroSchema,
  EventJson,
  eventTsMax,
  fieldMax,
  fromJson,
  isClick,
  propertiesMax,
  quantityMax,
  textMax,
  toJson,
  violation
} from "../../src/domain/ClickEvent.ts"
import { derivedEventId } from "../../src/domain/Identifiers.ts"
import { priceMax } from "../../src/domain/Money.ts"

const decode = Schema.decodeUnknownSync(EventJson)
const isEventJson = Schema.is(EventJson)

const least = { visitor_id: "v", event_ts: 1_764_000_000_000, event_type: "view" }

const text = (minLength: number, maxLength: number) =>
  fc.oneof(fc.string({ minLength, maxLength }), fc.string({ unit: "grapheme-ascii", minLength, maxLength }))
const properties = fc.dictionary(text(0, 20).filter((key) => key !== "__proto__"), text(0, 20), {
  maxKeys: 5,
  noNullPrototype: true
})

/** JSON that the Schema takes. */
const json = fc.record({
  event_id: text(1, 128),
  visitor_id: text(1, 128),
  event_ts: fc.oneof(
    fc.integer({ min: -eventTsMax, max: eventTsMax }),
    fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }).map((date) =>
      date.toISOString()
    )
  ),
  event_type: fc.constantFrom("view", "click", "add_to_cart", "purchase", "search", "a", `x${"0".repeat(63)}`),
  item_id: text(0, 30),
  category: text(0, 30),
  price: fc.oneof(fc.constantFrom("0", "12.5", "900719925474.0991"), fc.nat(900_719_925_474)),
  currency: fc.constantFrom("", "EUR", "USD"),
  quantity: fc.nat(quantityMax),
  url: fc.oneof(text(0, 30), fc.string({ minLength: textMax - 1, maxLength: textMax + 2, size: "max" })),
  referrer: text(0, 30),
  user_agent: text(0, 30),
  properties
}, { requiredKeys: ["visitor_id", "event_ts", "event_type"] })

/** What is wrong in one field, and what the complaint must name. */
const wrong: ReadonlyArray<readonly [name: keyof typeof EventJson.fields, values: ReadonlyArray<unknown>]> = [
  ["event_id", ["", "x".repeat(129)]],
  ["visitor_id", ["", "x".repeat(129)]],
  ["event_ts", [eventTsMax + 1, -eventTsMax - 1]],
  ["event_type", ["", "View", "1st", "a-b", "x".repeat(65), "view\n"]],
  ["item_id", ["x".repeat(fieldMax + 1)]],
  ["category", ["x".repeat(fieldMax + 1)]],
  ["currency", ["eur", "EURO", "€"]],
  ["quantity", [-1, quantityMax + 1]],
  ["properties", [
    Object.fromEntries(Array.from({ length: propertiesMax + 1 }, (_, i) => [`k${i}`, ""])),
    { ["k".repeat(fieldMax + 1)]: "" },
    { k: "x".repeat(fieldMax + 1) }
  ]]
]

const event = (change: Partial<Record<keyof ClickEvent, unknown>> = {}): ClickEvent =>
  ({ ...fromJson(decode({ ...least, event_id: "e" })), ...change }) as ClickEvent

describe("the event's two schemas", () => {
  const edge = new Map(Object.entries(EventJson.fields))

  it("have the same fields in the same order; only the log says what was cut", () => {
    assert.deepStrictEqual([...edge.keys(), "truncated"], avroSchema.fields.map(({ name }) => name))
  })

  it("agree on what may be absent, and on what absence means", () => {
    const absent = fromJson(decode(least))
    const written = toAvroNames(absent)
    for (const field of avroSchema.fields) {
      if ("default" in field) assert.deepStrictEqual(written[field.name], field.default, field.name)
    }
    const required = avroSchema.fields.filter((field) => !("default" in field)).map(({ name }) => name)
    // The edge derives an absent id; in the log every event has one.
    assert.deepStrictEqual(required, ["event_id", "visitor_id", "event_ts", "event_type"])
    assert.throws(() => decode({}))
    for (const name of Object.keys(least)) assert.isFalse(isEventJson({ ...least, [name]: undefined }), name)
  })

  it("agree on the types: what JSON reads fits the columns of Avro", () => {
    const typeOf: Readonly<Record<string, (value: unknown) => boolean>> = {
      string: (value) => typeof value === "string",
      long: (value) => Number.isSafeInteger(value),
      boolean: (value) => typeof value === "boolean"
    }
    fc.assert(fc.property(json, (each) => {
      const written = toAvroNames(fromJson(decode(each)))
      for (const { name, type } of avroSchema.fields) {
        if (typeof type === "string") assert.isTrue(typeOf[type]!(written[name]), `${name}: ${String(written[name])}`)
        else assert.isTrue(Object.values(written[name] as object).every((value) => typeof value === "string"))
      }
    }))
  })

  it("have the same limits", () => {
    for (const [name, values] of wrong) {
      for (const value of values) {
        const each = { ...least, [name]: value }
        assert.isFalse(isEventJson(each), name)
        assert.include(violation(fromJson(each as unknown as EventJson)) ?? "nothing", name.replace("ies", ""), name)
      }
    }
    const longest = {
      event_id: "x".repeat(128),
      visitor_id: "x".repeat(128),
      event_ts: eventTsMax,
      event_type: "x".repeat(64),
      item_id: "x".repeat(fieldMax),
      category: "x".repeat(fieldMax),
      price: "900719925474.0991",
      currency: "CHF",
      quantity: quantityMax,
      properties: Object.fromEntries(
        Array.from({ length: propertiesMax }, (_, i) => [`${i}`.padEnd(fieldMax, "k"), "x".repeat(fieldMax)])
      )
    }
    assert.isUndefined(violation(fromJson(decode(longest))))
  })

  it("take the same events: what JSON lets in breaks no rule of the log", () => {
    fc.assert(fc.property(json, (each) => violation(fromJson(decode(each))) === undefined), { numRuns: 500 })
  })

  it("refuse the same events: what breaks a rule of the log cannot come in as JSON", () => {
    const odd = fc.record({
      eventId: text(0, 130),
      visitorId: text(0, 130),
      eventTs: fc.integer({ min: -eventTsMax, max: eventTsMax }),
      eventType: fc.oneof(text(0, 3), fc.constantFrom("view", "click")),
      itemId: fc.constantFrom("", "x".repeat(fieldMax), "x".repeat(fieldMax + 1)),
      price: fc.oneof(fc.integer({ min: -2, max: 2 }), fc.constantFrom(priceMax, priceMax + 1)),
      currency: fc.constantFrom("", "EUR", "E"),
      quantity: fc.oneof(fc.integer({ min: -2, max: 2 }), fc.constantFrom(quantityMax, quantityMax + 1)),
      properties
    }, { requiredKeys: [] })
    fc.assert(
      fc.property(odd, (change) => {
        const each = event(change)
        assert.strictEqual(violation(each) === undefined, isEventJson(toJson(each)))
      }),
      { numRuns: 1_000 }
    )
  })
})

describe("fromJson", () => {
  it("reads what toJson writes", () => {
    fc.assert(fc.property(json, (each) => {
      const read = fromJson(decode(each))
      const again = fromJson(decode(toJson(read)))
      assert.deepStrictEqual(again, { ...read, truncated: false })
    }))
  })

  it("cuts long texts and says so, and drops none", () => {
    const long = "ü".repeat(textMax + 1)
    for (const [name, field] of [["url", "url"], ["referrer", "referrer"], ["user_agent", "userAgent"]] as const) {
      const cut = fromJson(decode({ ...least, [name]: long }))
      assert.strictEqual(cut[field], long.slice(0, textMax))
      assert.isTrue(cut.truncated)
      const whole = fromJson(decode({ ...least, [name]: long.slice(1) }))
      assert.strictEqual(whole[field].length, textMax)
      assert.isFalse(whole.truncated)
    }
  })

  it("derives an absent id from visitor, time, type, item and the whole url", () => {
    const url = "x".repeat(textMax + 1)
    const derived = fromJson(decode({ ...least, item_id: "i", url, referrer: "r", properties: { a: "b" } }))
    const fields = { visitorId: "v", eventTs: least.event_ts, eventType: "view", itemId: "i", url }
    assert.strictEqual(derived.eventId, derivedEventId(fields))
    assert.strictEqual(fromJson(decode({ ...least, event_id: "mine" })).eventId as string, "mine")
  })

  it("takes prices as text or whole units, exactly", () => {
    const price = (value: unknown) => fromJson(decode({ ...least, price: value })).price as number
    assert.strictEqual(price("19.99"), 199_900)
    assert.strictEqual(price(20), 200_000)
    for (const value of [19.99, -1, "-1", "1e3", "1.23456", Number.NaN, 900_719_925_475, null]) {
      assert.isFalse(isEventJson({ ...least, price: value }), String(value))
    }
  })

  it.each([
    ["2024-02-29T12:00:00Z", Date.UTC(2024, 1, 29, 12)],
    ["2024-02-29T12:00:00.5Z", Date.UTC(2024, 1, 29, 12, 0, 0, 500)],
    ["2024-01-01T00:30:00+02:00", Date.UTC(2023, 11, 31, 22, 30)],
    ["0000-01-01T00:00:00Z", -62_167_219_200_000]
  ])("takes the time %s", (event_ts, expected) => {
    assert.strictEqual(fromJson(decode({ ...least, event_ts })).eventTs as number, expected)
  })

  it.each([
    ["a day that is not", ["2024-02-31", "2023-02-29", "2024-04-31", "2024-13-01", "2024-01-00"]],
    ["an hour that is not", ["2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z"]],
    ["a time without zone", ["2024-01-01T00:00:00", "2024-01-01T00:00:00+25:00"]],
    ["another notation", [
      "2024-01-01T00:00Z",
      "2024-01-01Tnoon Z",
      "2024-01-01T00:00:00.Z",
      "now",
      "",
      "1764000000000"
    ]],
    ["a year of more than four digits", ["+010000-01-01T00:00:00Z"]]
  ])("refuses %s", (_, times) => {
    for (const time of times) {
      for (const event_ts of [time, `${time}T00:00:00Z`]) assert.isFalse(isEventJson({ ...least, event_ts }), event_ts)
    }
  })

  it("refuses numbers that are no whole milliseconds", () => {
    for (const event_ts of [1.5, Number.NaN, Infinity, 2 ** 53, null]) {
      assert.isFalse(isEventJson({ ...least, event_ts }))
    }
  })
})

describe("violation", () => {
  it.each<[Partial<Record<keyof ClickEvent, unknown>>, string]>([
    [{ eventTs: 1.5 }, "event_ts"],
    [{ eventTs: Number.NaN }, "event_ts"],
    [{ price: -1 }, "price"],
    [{ price: Number.NaN }, "price"],
    [{ quantity: Number.NaN }, "quantity"],
    [{ url: "x".repeat(textMax + 1) }, "url"],
    [{ referrer: "x".repeat(textMax + 1) }, "referrer"],
    [{ userAgent: "x".repeat(textMax + 1) }, "user_agent"]
  ])("names what only the log can hold", (change, name) => {
    assert.include(violation(event(change)) ?? "nothing", name)
  })
})

describe("isClick", () => {
  it("counts clicks and views, and nothing else", () => {
    assert.deepStrictEqual(["view", "click", "add_to_cart", "purchase", "Click", "clicks"].filter(isClick), [
      "view",
      "click"
    ])
  })
})

/** The event under the names of the Avro schema. */
const toAvroNames = (from: ClickEvent): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(from).map(([name, value]) => [
      name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value
    ])
  )
