/**
 * Plausible's events API (plausible.io/docs/events-api): POST `/api/event`, one event. It has neither id nor time nor visitor: the
 * time is ours, and visitors are told apart for a day by a keyed hash of address, user agent and domain, so that nobody can be followed
 * or looked up. Its senders never send again, so the id is new each time.
 */
import { createHmac } from "node:crypto"
import { eventTypeOf } from "../../domain/EventTypeWord.ts"
import { CollectFault } from "../CollectFault.ts"
import type { JsonObject } from "../JsonText.ts"
import { isObject, parseJson, textOf } from "../JsonText.ts"
import type { Arrival, WireFormat } from "../Submission.ts"
import { refused } from "../Submission.ts"
import { commerceType } from "./Commerce.ts"
import { original } from "./Original.ts"
import { plainText, readMessage } from "./SdkMessages.ts"
import type { Draft } from "./SdkMessages.ts"

export const plausible: WireFormat = {
  name: "plausible",
  paths: ["/api/event"],
  methods: ["POST"],
  read: (arrival) => {
    const text = textOf(arrival.body)
    if (text instanceof CollectFault) return refused(text, arrival.body)
    const parsed = parseJson(text)
    if (parsed instanceof CollectFault) return refused(parsed, arrival.body)
    const mayBeLarge = arrival.body.length > arrival.eventBytesMax
    return { items: [readMessage(parsed.value, () => text, mayBeLarge, arrival, mapMessage)] }
  },
  answer: (receipts) => ({
    status: receipts.every(({ status }) => status === "accepted") ? 202 : 400,
    contentType: "text/plain",
    body: receipts.every(({ status }) => status === "accepted") ? "ok" : receipts[0]?.detail ?? "invalid"
  })
}

const mapMessage = (message: JsonObject, arrival: Arrival): Draft | CollectFault => {
  const of = (short: string, long: string) => message[short] ?? message[long]
  const name = plainText(of("n", "name"))
  const domain = plainText(of("d", "domain"))
  if (name === undefined || domain === undefined) {
    return new CollectFault("invalid_event", "a message needs a name and a domain")
  }
  const revenue = objectOf(of("$", "revenue"))
  return {
    id: arrival.requestId,
    visitor: visitorOf(domain, arrival),
    type: name === "pageview" ? "view" : name === "engagement" ? eventTypeOf(name) : typeOf(name),
    price: revenue["amount"],
    currency: revenue["currency"],
    url: of("u", "url"),
    referrer: of("r", "referrer"),
    userAgent: arrival.headers["user-agent"],
    properties: original({ ...message, ...propsOf(message) })
  }
}

const typeOf = (name: string): string =>
  name === "Outbound Link: Click" || name === "File Download" ? "click" : commerceType(name)

/** Custom properties come as an object, or as JSON in a text. */
const propsOf = (message: JsonObject): JsonObject => {
  const name = ["p", "props", "m", "meta"].find((each) => message[each] !== undefined)
  return name === undefined ? {} : { [name]: objectOf(message[name]) }
}

const objectOf = (value: unknown): JsonObject => {
  if (isObject(value)) return value
  const parsed = typeof value === "string" ? parseJson(value) : undefined
  return parsed === undefined || parsed instanceof CollectFault || !isObject(parsed.value) ? {} : parsed.value
}

const visitorOf = (domain: string, { address, headers, receivedAt, visitorSecret }: Arrival): string => {
  const day = new Date(receivedAt).toISOString().slice(0, 10)
  const parts = [day, domain, address, headers["user-agent"] ?? ""]
  return `p.${createHmac("sha256", visitorSecret).update(parts.join("\u001f")).digest("hex").slice(0, 32)}`
}
