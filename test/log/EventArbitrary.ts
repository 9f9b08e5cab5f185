/** Events of every shape that the log may hold, for property tests. */
import * as fc from "fast-check"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import { noProperties } from "../../src/domain/EventBatch.ts"

const text = (maxLength: number) =>
  fc.oneof(
    fc.string({ maxLength }),
    fc.string({ unit: "grapheme", maxLength }),
    fc.string({ unit: "binary", maxLength: 200 })
  )
const money = fc.oneof(fc.constant(0), fc.nat(10_000_000), fc.maxSafeNat())

export const clickEvent: fc.Arbitrary<ClickEvent> = fc.record({
  eventId: fc.oneof(fc.uuid(), text(50)),
  visitorId: text(128),
  eventTs: fc.oneof(fc.integer({ min: 0, max: 2_000_000_000_000 }), fc.maxSafeInteger()),
  eventType: fc.constantFrom("view", "click", "add_to_cart", "purchase", "näh"),
  itemId: text(40),
  category: text(90),
  price: money,
  currency: fc.constantFrom("", "EUR", "USD"),
  quantity: money,
  url: text(300),
  referrer: text(200),
  userAgent: text(300),
  properties: fc.uniqueArray(
    fc.tuple(fc.oneof({ weight: 9, arbitrary: text(20) }, fc.constantFrom("__proto__", "constructor")), text(100)),
    { maxLength: 4, selector: ([key]) => key }
  ).map((entries) => entries.length === 0 ? noProperties : Object.fromEntries(entries)),
  truncated: fc.boolean()
}).map((event) => event as unknown as ClickEvent)
  .map((event) => ({
    ...event,
    eventTs: clip(event.eventTs),
    price: clip(event.price),
    quantity: clip(event.quantity)
  }))

/** The library refuses the largest safe integers. */
const clip = <N extends number>(value: N): N => Math.max(-(2 ** 52), Math.min(2 ** 52, value)) as N

/** The event with the names of the Avro schema. */
export const toRaw = (event: ClickEvent) => ({
  event_id: event.eventId,
  visitor_id: event.visitorId,
  event_ts: event.eventTs as number,
  event_type: event.eventType,
  item_id: event.itemId,
  category: event.category,
  price: event.price as number,
  currency: event.currency,
  quantity: event.quantity,
  url: event.url,
  referrer: event.referrer,
  user_agent: event.userAgent,
  properties: { ...event.properties },
  truncated: event.truncated
})
