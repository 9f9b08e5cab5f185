/**
 * Snowplow's tracker protocol (docs.snowplow.io, "Snowplow Tracker Protocol"): POST `/com.snowplowanalytics.snowplow/tp2` with a
 * `payload_data` of many events, and GET `/i`, one event in the query, answered by a pixel.
 */
import { eventTypeOf } from "../../domain/EventTypeWord.ts"
import { CollectFault } from "../CollectFault.ts"
import { timeOf } from "../EventReading.ts"
import type { JsonObject } from "../JsonText.ts"
import { isObject, memberArrayStart, parseJson, textOf } from "../JsonText.ts"
import type { Arrival, Submission, WireFormat } from "../Submission.ts"
import { json, refused } from "../Submission.ts"
import { original } from "./Original.ts"
import { plainText, readMessage, readMessages } from "./SdkMessages.ts"
import type { Draft } from "./SdkMessages.ts"

const postPath = "/com.snowplowanalytics.snowplow/tp2"

const pixel = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64")

export const snowplow: WireFormat = {
  name: "snowplow",
  paths: [postPath],
  methods: ["POST"],
  read: (arrival) => {
    const text = textOf(arrival.body)
    if (text instanceof CollectFault) return refused(text, arrival.body)
    const parsed = parseJson(text)
    if (parsed instanceof CollectFault) return refused(parsed, arrival.body)
    const data = isObject(parsed.value) ? parsed.value["data"] : undefined
    if (!Array.isArray(data)) return refused(new CollectFault("invalid_event", "data is not an array"), arrival.body)
    const submission = readMessages(data, text, () => memberArrayStart(text, "data"), arrival, mapMessage)
    const first: unknown = data[0]
    return { ...submission, writeKey: isObject(first) ? plainText(first["aid"]) : undefined }
  },
  answer: () => json({ ok: true })
}

export const snowplowPixel: WireFormat = {
  name: "snowplow",
  paths: ["/i"],
  methods: ["GET"],
  read: (arrival): Submission => {
    const message = Object.fromEntries(arrival.query)
    const text = arrival.query.toString()
    return {
      items: [readMessage(message, () => text, false, arrival, mapMessage)],
      writeKey: message["aid"]
    }
  },
  answer: () => ({ status: 200, contentType: "image/gif", body: pixel })
}

/** All values of the protocol are texts; numbers are taken, too. */
const mapMessage = (message: JsonObject, { headers }: Arrival): Draft | CollectFault => {
  const kind = plainText(message["e"])
  if (kind === undefined) return new CollectFault("invalid_event", "the message has no e")
  const own = kind === "ue" ? selfDescribing(message) : undefined
  // A true timestamp needs no correction.
  const trueTime = timeOf(message["ttm"])
  return {
    id: message["eid"],
    visitor: ["duid", "uid", "nuid", "tnuid"].map((name) => plainText(message[name])).find((id) => id !== undefined),
    time: trueTime ?? timeOf(message["dtm"]),
    sentAt: trueTime === undefined ? timeOf(message["stm"]) : undefined,
    url: message["url"],
    referrer: message["refr"],
    userAgent: message["ua"] ?? (plainText(message["p"]) === "web" ? headers["user-agent"] : undefined),
    ...fieldsOf(kind, message, own),
    properties: original(own === undefined ? message : withOwn(message, own))
  }
}

interface SelfDescribing {
  readonly name: string
  readonly data: JsonObject
}

/** The event inside an unstructured one, plain or in URL-safe base64. */
const selfDescribing = (message: JsonObject): SelfDescribing | undefined => {
  const plain = plainText(message["ue_pr"])
  const encoded = plainText(message["ue_px"])
  const text = plain ?? (encoded === undefined ? undefined : Buffer.from(encoded, "base64url").toString("utf8"))
  const parsed = text === undefined ? undefined : parseJson(text)
  const outer = parsed === undefined || parsed instanceof CollectFault ? undefined : parsed.value
  const inner = isObject(outer) ? outer["data"] : undefined
  if (!isObject(inner)) return undefined
  const schema = /^iglu:[^/]+\/([^/]+)\//.exec(plainText(inner["schema"]) ?? "")
  return schema === null ? undefined : { name: schema[1]!, data: isObject(inner["data"]) ? inner["data"] : {} }
}

const withOwn = (message: JsonObject, { data }: SelfDescribing): JsonObject => {
  const { ue_pr: _plain, ue_px: _encoded, ...rest } = message
  return { ...rest, ue: data }
}

type Fields = Pick<Draft, "type" | "item" | "category" | "price" | "quantity" | "currency">

const fieldsOf = (kind: string, message: JsonObject, own: SelfDescribing | undefined): Fields => {
  switch (kind) {
    case "pv":
      return { type: "view" }
    case "pp":
      return { type: "page_ping" }
    case "se":
      return { type: eventTypeOf(plainText(message["se_ac"]) ?? "structured"), category: message["se_ca"] }
    // A transaction is one purchase; its items come as events of their own, which must not count again.
    case "tr":
      return { type: "purchase", price: message["tr_tt"], currency: message["tr_cu"], item: message["tr_id"] }
    case "ti":
      return {
        type: "transaction_item",
        item: message["ti_sk"],
        category: message["ti_ca"],
        price: message["ti_pr"],
        quantity: message["ti_qu"],
        currency: message["ti_cu"]
      }
    case "ue":
      return ownFields(own)
    default:
      return { type: eventTypeOf(kind) }
  }
}

const ownFields = (own: SelfDescribing | undefined): Fields => {
  if (own === undefined) return { type: "self_describing" }
  const { data, name } = own
  return {
    type: name === "link_click" ? "click" : eventTypeOf(name),
    item: data["sku"] ?? data["id"] ?? data["product_id"],
    category: data["category"],
    price: data["unitPrice"] ?? data["unit_price"] ?? data["price"],
    quantity: data["quantity"],
    currency: data["currency"]
  }
}
