/**
 * The event: one thing a visitor did. One definition for the edge (Effect Schema over JSON) and one for the log (Avro);
 * `test/domain/ClickEvent.test.ts` holds them equal, field by field.
 *
 * Absent strings are "" and an absent price is 0 from here on: the columns of the warehouse say the same.
 */
import { Schema } from "effect"
import type { EpochMillis } from "./Identifiers.ts"
import { derivedEventId, EventId, VisitorId } from "./Identifiers.ts"
import type { Price } from "./Money.ts"
import { formatAmount, parsePrice, priceMax } from "./Money.ts"

/** An event as the pipeline handles it: a plain object, decoded from Avro, never mutated. */
export interface ClickEvent {
  readonly eventId: EventId
  readonly visitorId: VisitorId
  readonly eventTs: EpochMillis
  readonly eventType: string
  readonly itemId: string
  readonly category: string
  readonly price: Price
  readonly currency: string
  readonly quantity: number
  readonly url: string
  readonly referrer: string
  readonly userAgent: string
  readonly properties: Readonly<Record<string, string>>
  /** True when url, referrer or user agent were longer than `textMax` and were cut. */
  readonly truncated: boolean
}

/** Latest time that a Date can be, ms; the earliest is as far before 1970. */
export const eventTsMax = 8_640_000_000_000_000
/** Longest url, referrer, user agent, in UTF-16 units; longer ones are cut and flagged. */
export const textMax = 2048
/** Longest item id, category or property key or value, in UTF-16 units. */
export const fieldMax = 2048
/** Most properties of one event. */
export const propertiesMax = 64
/** Largest quantity: UInt32 in the warehouse. */
export const quantityMax = 4_294_967_295
/** Largest encoded record, bytes; a larger one is dead-lettered. */
export const recordBytesMax = 1_048_576

/** Clicks of the rules and KPIs. */
export const isClick = (eventType: string): boolean => eventType === "view" || eventType === "click"

export const EventType = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9_]{0,63}$/, {
  description: "view, click, add_to_cart, purchase or another lower-case word of at most 64 characters"
}))

const rfc3339 = /^\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/
const isRfc3339 = (text: string): boolean => {
  if (!rfc3339.test(text)) return false
  // Date takes 31 February for 2 March.
  const day = text.slice(0, 10)
  const ms = Date.parse(day)
  return !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 10) === day
}
const EventTime = Schema.Union([
  Schema.Int.check(Schema.isBetween({ minimum: -eventTsMax, maximum: eventTsMax })),
  Schema.String.check(
    Schema.makeFilter((text) => isRfc3339(text) || "a time of RFC 3339, such as 2026-01-31T12:00:00Z")
  )
])
const PriceText = Schema.Union([
  Schema.String.check(
    Schema.makeFilter((text) => parsePrice(text) !== undefined || "a decimal >= 0 with at most 4 decimals, as a string")
  ),
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Math.floor(priceMax / 10_000) }))
])
const Field = Schema.String.check(Schema.isMaxLength(fieldMax))
const Properties = Schema.Record(Schema.String, Field).check(
  Schema.isMaxProperties(propertiesMax),
  Schema.isPropertyNames(Field)
)

/** An event as senders write it: JSON with snake_case names. Unknown names are refused by the collector, not silently dropped. */
export const EventJson = Schema.Struct({
  event_id: Schema.optionalKey(EventId),
  visitor_id: VisitorId,
  event_ts: EventTime,
  event_type: EventType,
  item_id: Schema.optionalKey(Field),
  category: Schema.optionalKey(Field),
  price: Schema.optionalKey(PriceText),
  currency: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^([A-Z]{3})?$/))),
  quantity: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: quantityMax }))),
  url: Schema.optionalKey(Schema.String),
  referrer: Schema.optionalKey(Schema.String),
  user_agent: Schema.optionalKey(Schema.String),
  properties: Schema.optionalKey(Properties)
})
export type EventJson = typeof EventJson.Type

/** The Avro schema of a record's value. Absent strings are "", so no unions: half the decoding cost. */
export const avroSchema = {
  type: "record",
  name: "ClickstreamEvent",
  namespace: "guardian",
  doc: "One thing a visitor did",
  fields: [
    { name: "event_id", type: "string" },
    { name: "visitor_id", type: "string" },
    { name: "event_ts", type: "long", doc: "epoch milliseconds" },
    { name: "event_type", type: "string" },
    { name: "item_id", type: "string", default: "" },
    { name: "category", type: "string", default: "" },
    { name: "price", type: "long", default: 0, doc: "per unit, in ten-thousandths of the currency unit" },
    { name: "currency", type: "string", default: "", doc: "ISO 4217; empty: the reporting currency" },
    { name: "quantity", type: "long", default: 1 },
    { name: "url", type: "string", default: "" },
    { name: "referrer", type: "string", default: "" },
    { name: "user_agent", type: "string", default: "" },
    { name: "properties", type: { type: "map", values: "string" }, default: {} },
    { name: "truncated", type: "boolean", default: false }
  ]
} as const

const cut = (text: string): string => text.length > textMax ? text.slice(0, textMax) : text

/** A validated JSON event as the pipeline handles it: id derived when absent, long texts cut and flagged. */
export const fromJson = (json: EventJson): ClickEvent => {
  const eventTs = (typeof json.event_ts === "number" ? json.event_ts : Date.parse(json.event_ts)) as EpochMillis
  const itemId = json.item_id ?? ""
  const url = json.url ?? ""
  const referrer = json.referrer ?? ""
  const userAgent = json.user_agent ?? ""
  const price = json.price === undefined ?
    0 :
    typeof json.price === "number" ?
    json.price * 10_000 :
    parsePrice(json.price)
  return {
    eventId: json.event_id ??
      derivedEventId({ visitorId: json.visitor_id, eventTs, eventType: json.event_type, itemId, url }),
    visitorId: json.visitor_id,
    eventTs,
    eventType: json.event_type,
    itemId,
    category: json.category ?? "",
    price: price as Price,
    currency: json.currency ?? "",
    quantity: json.quantity ?? 1,
    url: cut(url),
    referrer: cut(referrer),
    userAgent: cut(userAgent),
    properties: json.properties ?? {},
    truncated: url.length > textMax || referrer.length > textMax || userAgent.length > textMax
  }
}

/** The event as senders would write it: what `tail` and `trace` print. */
export const toJson = (event: ClickEvent): Record<string, unknown> => ({
  event_id: event.eventId,
  visitor_id: event.visitorId,
  event_ts: timeText(event.eventTs),
  event_type: event.eventType,
  ...(event.itemId && { item_id: event.itemId }),
  ...(event.category && { category: event.category }),
  ...(event.price && { price: formatAmount(event.price) }),
  ...(event.currency && { currency: event.currency }),
  ...(event.quantity !== 1 && { quantity: event.quantity }),
  ...(event.url && { url: event.url }),
  ...(event.referrer && { referrer: event.referrer }),
  ...(event.userAgent && { user_agent: event.userAgent }),
  ...(Object.keys(event.properties).length > 0 && { properties: event.properties }),
  ...(event.truncated && { truncated: true })
})

/** RFC 3339 has four digits for the year; times beyond are left as numbers. */
const timeText = (eventTs: EpochMillis): string | number => {
  const text = new Date(eventTs).toISOString()
  return text.length === 24 ? text : eventTs
}

/**
 * What breaks the schema in an event that decoded from Avro, or undefined. The collector and the importer validate before they
 * append, but anyone may write to the log, so the pipeline checks each record: plain comparisons, some 30 ns.
 */
export const violation = (event: ClickEvent): string | undefined => {
  if (!within(event.visitorId, 1, 128)) return "visitor_id must have 1 to 128 characters"
  if (!within(event.eventId, 1, 128)) return "event_id must have 1 to 128 characters"
  if (!Number.isSafeInteger(event.eventTs) || Math.abs(event.eventTs) > eventTsMax) return "event_ts is no time"
  if (!knownTypes.has(event.eventType) && !typePattern.test(event.eventType)) {
    return "event_type must be a lower-case word of at most 64 characters"
  }
  if (!(event.price >= 0 && event.price <= priceMax)) return "price must be >= 0"
  if (!(event.quantity >= 0 && event.quantity <= quantityMax)) return "quantity must be between 0 and 4294967295"
  if (event.currency !== "" && !currencyPattern.test(event.currency)) return "currency must be three capital letters"
  if (event.itemId.length > fieldMax || event.category.length > fieldMax) {
    return `item_id and category have at most ${fieldMax} characters`
  }
  if (event.url.length > textMax || event.referrer.length > textMax || event.userAgent.length > textMax) {
    return `url, referrer and user_agent have at most ${textMax} characters in the log`
  }
  return propertiesViolation(event.properties)
}

const knownTypes = new Set(["view", "click", "add_to_cart", "purchase"])
const typePattern = /^[a-z][a-z0-9_]{0,63}$/
const currencyPattern = /^[A-Z]{3}$/
const within = (text: string, minimum: number, maximum: number) => text.length >= minimum && text.length <= maximum

/** The same for the properties alone. */
export const propertiesViolation = (properties: Readonly<Record<string, string>>): string | undefined => {
  let count = 0
  for (const key in properties) {
    if (++count > propertiesMax) return `more than ${propertiesMax} properties`
    if (key.length > fieldMax || properties[key]!.length > fieldMax) {
      return `property keys and values have at most ${fieldMax} characters`
    }
  }
  return undefined
}
