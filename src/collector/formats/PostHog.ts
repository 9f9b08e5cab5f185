/**
 * PostHog's capture API (posthog.com/docs/api/capture): `/batch/`, `/capture/`, `/e/`, `/i/v0/e/`. A body is JSON, gzip of it (already
 * inflated here), or a form whose `data` is JSON or base64 of it, as older browser SDKs and their beacons send it.
 */
import { eventTypeOf } from "../../domain/EventTypeWord.ts"
import { CollectFault } from "../CollectFault.ts"
import { timeOf } from "../EventReading.ts"
import type { JsonObject } from "../JsonText.ts"
import { isObject, memberArrayStart, parseJson, textOf } from "../JsonText.ts"
import type { WireFormat } from "../Submission.ts"
import { json, refused } from "../Submission.ts"
import { commerceFields, commerceType } from "./Commerce.ts"
import { original } from "./Original.ts"
import { plainText, readMessage, readMessages } from "./SdkMessages.ts"
import type { MapMessage } from "./SdkMessages.ts"

export const postHog: WireFormat = {
  name: "posthog",
  paths: ["/batch", "/capture", "/e", "/track", "/i/v0/e"],
  methods: ["POST"],
  read: (arrival) => {
    const sent = textOf(arrival.body)
    if (sent instanceof CollectFault) return refused(sent, arrival.body)
    const text = unwrapped(sent)
    const parsed = parseJson(text)
    if (parsed instanceof CollectFault) return refused(parsed, arrival.body)
    const { value } = parsed
    if (Array.isArray(value)) {
      const sentAt = timeOf(arrival.query.get("_") ?? undefined)
      const first: unknown = value[0]
      return {
        ...readMessages(value, text, () => 0, arrival, mapWith(sentAt)),
        writeKey: isObject(first) ? keyOf(first) : undefined
      }
    }
    if (!isObject(value)) return refused(new CollectFault("invalid_event", "the body is no JSON object"), arrival.body)
    const sentAt = timeOf(value["sent_at"]) ?? timeOf(arrival.query.get("_") ?? undefined)
    const { batch } = value
    const submission = Array.isArray(batch) ?
      readMessages(batch, text, () => memberArrayStart(text, "batch"), arrival, mapWith(sentAt)) :
      {
        items: [
          readMessage(value, () => text, text.length > arrival.eventBytesMax / 3, arrival, mapWith(sentAt))
        ]
      }
    return { ...submission, writeKey: keyOf(value) }
  },
  answer: () => json({ status: 1 })
}

const unwrapped = (text: string): string => {
  if (!/^(data|compression|ip|_)=/.test(text)) return text
  const data = new URLSearchParams(text).get("data") ?? ""
  return /^\s*[[{]/.test(data) ? data : Buffer.from(data, "base64").toString("utf8")
}

const keyOf = (value: JsonObject): string | undefined => {
  const properties = value["properties"]
  return plainText(value["api_key"]) ?? plainText(value["token"]) ??
    (isObject(properties) ? plainText(properties["token"]) : undefined)
}

const mapWith = (sentAt: number | undefined): MapMessage => (message, { receivedAt }) => {
  const name = plainText(message["event"])
  if (name === undefined) return new CollectFault("invalid_event", "the message has no event")
  const properties = isObject(message["properties"]) ? message["properties"] : {}
  const { offset } = message
  const time = timeOf(message["timestamp"])
  return {
    id: message["uuid"] ?? properties["$insert_id"],
    // The device stays when a visitor signs in; the distinct id does not.
    visitor: plainText(properties["$device_id"]) ?? message["distinct_id"] ?? message["$distinct_id"] ??
      properties["distinct_id"],
    type: typeOf(name, properties),
    // Browsers may send how long ago it was, ms, instead of a time: right by any clock.
    time: time ?? (typeof offset === "number" && offset >= 0 ? receivedAt - offset : undefined),
    sentAt: time === undefined ? undefined : sentAt,
    ...commerceFields(properties),
    url: properties["$current_url"],
    referrer: properties["$referrer"] === "$direct" ? undefined : properties["$referrer"],
    userAgent: properties["$raw_user_agent"] ?? properties["$user_agent"],
    properties: original(withoutKey(message, properties))
  }
}

const typeOf = (name: string, properties: JsonObject): string => {
  if (name === "$pageview" || name === "$screen") return "view"
  if (name === "$autocapture") return eventTypeOf(plainText(properties["$event_type"]) ?? "autocapture")
  return name.startsWith("$") ? eventTypeOf(name.slice(1)) : commerceType(name)
}

const withoutKey = (message: JsonObject, properties: JsonObject): JsonObject => {
  const { api_key: _key, token: _token, ...rest } = message
  if (properties["token"] === undefined) return rest
  const { token: _own, ...others } = properties
  return { ...rest, properties: others }
}
