/** What all formats of SDKs share: a list of messages, each mapped to our event by a function of its format. */
import { hash } from "node:crypto"
import { fieldMax, quantityMax } from "../../domain/ClickEvent.ts"
import { parsePrice } from "../../domain/Money.ts"
import { CollectFault } from "../CollectFault.ts"
import type { ClockPair } from "../EventReading.ts"
import { readEvent } from "../EventReading.ts"
import type { JsonObject } from "../JsonText.ts"
import { elementTexts, isObject } from "../JsonText.ts"
import type { Arrival, Item, Submission } from "../Submission.ts"
import { tooMany } from "../Submission.ts"

/** Fields as a format finds them; absent, empty and impossible ones are left out of the event and stand in its properties. */
export interface Draft {
  readonly id?: unknown
  readonly visitor?: unknown
  /** Epoch ms on the sender's clock; absent: when it was received. */
  readonly time?: number | undefined
  readonly type: string
  readonly item?: unknown
  readonly category?: unknown
  readonly price?: unknown
  readonly currency?: unknown
  readonly quantity?: unknown
  readonly url?: unknown
  readonly referrer?: unknown
  readonly userAgent?: unknown
  readonly properties: Record<string, string>
  /** Absent: the sender's clock is taken as it is. */
  readonly sentAt?: number | undefined
}

export type MapMessage = (message: JsonObject, arrival: Arrival) => Draft | CollectFault

/** `arrayStart` says where the messages' array begins in the text. */
export const readMessages = (
  messages: ReadonlyArray<unknown>,
  text: string,
  arrayStart: () => number,
  arrival: Arrival,
  map: MapMessage
): Submission => {
  if (messages.length > arrival.eventsMax) return tooMany(messages.length, arrival)
  let texts: ReadonlyArray<string> | undefined
  const textAt = (index: number) => (texts ??= elementTexts(text, Math.max(0, arrayStart())))[index] ?? text
  const mayBeLarge = arrival.body.length > arrival.eventBytesMax
  return {
    items: messages.map((message, index) => readMessage(message, () => textAt(index), mayBeLarge, arrival, map))
  }
}

export const readMessage = (
  message: unknown,
  text: () => string,
  mayBeLarge: boolean,
  arrival: Arrival,
  map: MapMessage
): Item => {
  const bytes = mayBeLarge ? Buffer.byteLength(text()) : 0
  const event = bytes > arrival.eventBytesMax ?
    new CollectFault("record_too_large", `the event has ${bytes} bytes; at most ${arrival.eventBytesMax} are taken`) :
    eventOf(message, arrival, map)
  return event instanceof CollectFault ? { fault: event, bytes: Buffer.from(text()) } : { event }
}

const eventOf = (message: unknown, arrival: Arrival, map: MapMessage) => {
  if (!isObject(message)) return new CollectFault("invalid_event", "a message is not a JSON object")
  const draft = map(message, arrival)
  if (draft instanceof CollectFault) return draft
  const visitor = idText(draft.visitor)
  if (visitor === undefined) return new CollectFault("missing_visitor", "the message names no visitor")
  const clocks: ClockPair | undefined = draft.sentAt === undefined || draft.time === undefined ?
    undefined :
    { sentAt: draft.sentAt, receivedAt: arrival.receivedAt }
  return readEvent(jsonOf(draft, visitor, arrival), clocks)
}

const jsonOf = (draft: Draft, visitor: string, arrival: Arrival): Record<string, unknown> => {
  const found: Record<string, unknown> = {
    event_id: idText(draft.id),
    visitor_id: visitor,
    event_ts: draft.time ?? arrival.receivedAt,
    event_type: draft.type,
    item_id: fieldText(draft.item),
    category: fieldText(draft.category),
    price: priceText(draft.price),
    currency: currencyText(draft.currency),
    quantity: wholeNumber(draft.quantity),
    url: plainText(draft.url),
    referrer: plainText(draft.referrer),
    user_agent: plainText(draft.userAgent),
    properties: draft.properties
  }
  for (const name in found) if (found[name] === undefined) delete found[name]
  return found
}

/** Ids longer than ours are named by their hash; what they were stands in the properties. */
const idText = (value: unknown): string | undefined => {
  const text = plainText(value)
  return text === undefined || text.length <= idLengthMax ? text : hash("sha256", text)
}

const idLengthMax = 128

export const plainText = (value: unknown): string | undefined =>
  typeof value === "string" ? value || undefined : typeof value === "number" ? String(value) : undefined

const fieldText = (value: unknown): string | undefined => {
  const text = plainText(value)
  return text === undefined || text.length > fieldMax ? undefined : text
}

/**
 * Money that came as a JSON number: its shortest decimal text is what the sender wrote. More than four decimals are rounded, as
 * 0.1 + 0.2 would have them. Negative amounts are no prices.
 */
const priceText = (value: unknown): string | undefined => {
  const text = plainText(value)
  if (text === undefined) return undefined
  if (parsePrice(text) !== undefined) return text
  const rounded = /^\d+(\.\d+)?(e-?\d+)?$/.test(text) ? Number(text).toFixed(4) : ""
  return parsePrice(rounded) === undefined ? undefined : rounded
}

const currencyText = (value: unknown): string | undefined => {
  const text = typeof value === "string" ? value.toUpperCase() : ""
  return /^[A-Z]{3}$/.test(text) ? text : undefined
}

const wholeNumber = (value: unknown): number | undefined => {
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value
  return typeof number === "number" && Number.isSafeInteger(number) && number >= 0 && number <= quantityMax ?
    number :
    undefined
}
