/**
 * CloudEvents 1.0 over HTTP (github.com/cloudevents/spec, "HTTP Protocol Binding"): POST `/cloudevents`, structured, batched or binary
 * (attributes in `ce-` headers). Content types are not asked for: a body with `specversion` is structured.
 */
import { eventTypeOf } from "../../domain/EventTypeWord.ts"
import { CollectFault } from "../CollectFault.ts"
import { timeOf } from "../EventReading.ts"
import type { JsonObject } from "../JsonText.ts"
import { isObject, parseJson, textOf } from "../JsonText.ts"
import type { Arrival, Submission, WireFormat } from "../Submission.ts"
import { json, refused } from "../Submission.ts"
import { commerceFields } from "./Commerce.ts"
import { original } from "./Original.ts"
import { plainText, readMessage, readMessages } from "./SdkMessages.ts"
import type { Draft } from "./SdkMessages.ts"

export const cloudEvents: WireFormat = {
  name: "cloudevents",
  paths: ["/cloudevents"],
  methods: ["POST"],
  read: (arrival): Submission => {
    const text = textOf(arrival.body)
    if (text instanceof CollectFault) return refused(text, arrival.body)
    const mayBeLarge = arrival.body.length > arrival.eventBytesMax
    const parsed = text.trim() === "" && isBinary(arrival) ? { value: undefined } : parseJson(text)
    if (isBinary(arrival)) {
      const data = parsed instanceof CollectFault ? text : parsed.value
      return { items: [readMessage({ ...attributes(arrival), data }, () => text, mayBeLarge, arrival, mapMessage)] }
    }
    if (parsed instanceof CollectFault) return refused(parsed, arrival.body)
    const { value } = parsed
    return Array.isArray(value) ?
      readMessages(value, text, () => text.indexOf("["), arrival, mapMessage) :
      { items: [readMessage(value, () => text, mayBeLarge, arrival, mapMessage)] }
  },
  // Senders of this protocol look at the status alone.
  answer: (receipts) => {
    const accepted = receipts.filter(({ status }) => status === "accepted").length
    return json({ receipts }, accepted > 0 || receipts.length === 0 ? (accepted === receipts.length ? 200 : 202) : 400)
  }
}

const isBinary = ({ headers }: Arrival): boolean => headers["ce-specversion"] !== undefined

const attributes = ({ headers }: Arrival): JsonObject => {
  const found: Record<string, unknown> = {}
  for (const name in headers) {
    if (name.startsWith("ce-")) found[name.slice(3)] = percentDecoded(headers[name]!)
  }
  return found
}

const percentDecoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What is ours in `data` is taken from there; the rest from attributes. */
const mapMessage = (message: JsonObject): Draft | CollectFault => {
  const { id, source, specversion, type } = message
  const name = plainText(type)
  if (specversion !== "1.0" && specversion !== "0.3") return new CollectFault("invalid_event", "specversion is not 1.0")
  if (plainText(id) === undefined || plainText(source) === undefined || name === undefined) {
    return new CollectFault("invalid_event", "a message needs id, source and type")
  }
  const data = dataOf(message)
  return {
    // The protocol promises that source and id together are unique.
    id: `${plainText(source)}#${plainText(id)}`,
    visitor: plainText(data["visitor_id"]) ?? plainText(message["visitorid"]) ?? message["subject"],
    time: timeOf(message["time"]) ?? timeOf(data["event_ts"]),
    type: plainText(data["event_type"]) === undefined ? lastWord(name) : eventTypeOf(plainText(data["event_type"])!),
    ...commerceFields(data),
    url: data["url"],
    referrer: data["referrer"],
    userAgent: data["user_agent"],
    properties: original(message)
  }
}

const dataOf = ({ data, data_base64: encoded }: JsonObject): JsonObject => {
  if (isObject(data)) return data
  const parsed = typeof encoded === "string" ? parseJson(Buffer.from(encoded, "base64").toString("utf8")) : undefined
  return parsed === undefined || parsed instanceof CollectFault || !isObject(parsed.value) ? {} : parsed.value
}

/** `com.example.shop.add_to_cart` and `com.example.shop.add_to_cart.v1` are an `add_to_cart`. */
const lastWord = (type: string): string => {
  const words = type.split(".").filter((word) => word !== "" && !/^v\d+$/i.test(word))
  return eventTypeOf(words.at(-1) ?? type)
}
