/**
 * Segment's HTTP tracking API (segment.com/docs, "HTTP API Source" and "Spec: Common"), which analytics.js and the server SDKs speak:
 * `/v1/batch`, `/v1/track`, ... and analytics.js's short forms. RudderStack's SDKs send to the same paths: see `RudderStack.ts`.
 */
import { eventTypeOf } from "../../domain/EventTypeWord.ts"
import { CollectFault } from "../CollectFault.ts"
import { timeOf } from "../EventReading.ts"
import type { JsonObject } from "../JsonText.ts"
import { isObject, memberArrayStart, parseJson, textOf } from "../JsonText.ts"
import type { Arrival, Submission, WireFormat } from "../Submission.ts"
import { json, refused } from "../Submission.ts"
import { commerceFields, commerceType } from "./Commerce.ts"
import { original } from "./Original.ts"
import { isRudder, rudderVisitor } from "./RudderStack.ts"
import { plainText, readMessage, readMessages } from "./SdkMessages.ts"
import type { MapMessage } from "./SdkMessages.ts"

const calls: Readonly<Record<string, string>> = {
  track: "track",
  t: "track",
  page: "page",
  p: "page",
  screen: "screen",
  s: "screen",
  identify: "identify",
  i: "identify",
  group: "group",
  g: "group",
  alias: "alias",
  a: "alias"
}
const batches = ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"]

export const segment: WireFormat = {
  name: "segment",
  paths: [...batches, ...Object.keys(calls).map((call) => `/v1/${call}`)],
  methods: ["POST"],
  read: (arrival) => {
    const text = textOf(arrival.body)
    if (text instanceof CollectFault) return refused(text, arrival.body)
    const parsed = parseJson(text)
    if (parsed instanceof CollectFault) return refused(parsed, arrival.body)
    const { value } = parsed
    if (!isObject(value)) return refused(notObject, arrival.body)
    const items = batches.includes(arrival.path) ? readBatch(value, text, arrival) : readCall(value, text, arrival)
    return { ...items, writeKey: plainText(value["writeKey"]) }
  },
  answer: () => json({ success: true })
}

const notObject = new CollectFault("invalid_event", "the body is not a JSON object")

const readBatch = (value: JsonObject, text: string, arrival: Arrival): Submission => {
  const messages = value["batch"]
  if (!Array.isArray(messages)) return refused(new CollectFault("invalid_event", "batch is not an array"), arrival.body)
  return readMessages(messages, text, () => memberArrayStart(text, "batch"), arrival, mapWith(value, undefined))
}

const readCall = (value: JsonObject, text: string, arrival: Arrival): Submission => {
  const call = calls[arrival.path.slice("/v1/".length)]
  const mayBeLarge = arrival.body.length > arrival.eventBytesMax
  const { writeKey: _key, ...message } = value
  return { items: [readMessage(message, () => text, mayBeLarge, arrival, mapWith({}, call))] }
}

/** A batch's `context` and `sentAt` hold for messages without one. */
const mapWith = (batch: JsonObject, call: string | undefined): MapMessage => (message, arrival) => {
  const type = plainText(message["type"]) ?? call
  if (type === undefined) return new CollectFault("invalid_event", "the message has no type")
  const context = objectOf(message["context"] ?? batch["context"])
  const properties = objectOf(message["properties"])
  const page = objectOf(context["page"])
  const time = timeOf(message["originalTimestamp"]) ?? timeOf(message["timestamp"])
  const name = plainText(message["event"])
  return {
    id: message["messageId"],
    visitor: visitorOf(message, arrival),
    type: typeOf(type, name),
    time,
    sentAt: timeOf(message["sentAt"]) ?? timeOf(batch["sentAt"]),
    ...commerceFields(properties),
    url: properties["url"] ?? page["url"],
    referrer: properties["referrer"] ?? page["referrer"],
    userAgent: context["userAgent"] ?? (isPage(type) ? arrival.headers["user-agent"] : undefined),
    properties: original(batch["context"] === undefined ? message : { context, ...message, type })
  }
}

const isPage = (type: string) => type === "page"

const typeOf = (type: string, name: string | undefined): string => {
  if (type === "page" || type === "screen") return "view"
  return type === "track" && name !== undefined ? commerceType(name) : eventTypeOf(type)
}

/** The anonymous id stays when a visitor signs in; the user id does not. */
const visitorOf = (message: JsonObject, arrival: Arrival): unknown =>
  plainText(message["anonymousId"]) ?? (isRudder(message) ? rudderVisitor(message, arrival) : undefined) ??
    plainText(message["userId"]) ?? plainText(message["previousId"])

const objectOf = (value: unknown): JsonObject => isObject(value) ? value : {}
