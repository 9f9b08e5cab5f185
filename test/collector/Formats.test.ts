import { assert, describe, it } from "@effect/vitest"
import { createHmac, hash } from "node:crypto"
import { formatAt } from "../../src/collector/Formats.ts"
import type { Arrival } from "../../src/collector/Submission.ts"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"

const receivedAt = Date.parse("2026-03-01T12:00:10Z")

const arrivalOf = (target: string, body: unknown, headers: Record<string, string> = {}): Arrival => {
  const { pathname, searchParams } = new URL(target, "http://localhost")
  return {
    path: pathname.replace(/\/$/, ""),
    query: searchParams,
    headers,
    body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
    receivedAt: receivedAt as Arrival["receivedAt"],
    requestId: "request-1",
    address: "192.0.2.1",
    visitorSecret: "secret",
    eventBytesMax: 1_000_000,
    eventsMax: 1_000
  }
}

const read = (target: string, body: unknown, headers?: Record<string, string>) => {
  const arrival = arrivalOf(target, body, headers)
  return formatAt(new URL(target, "http://localhost").pathname)!.read(arrival)
}

const eventsOf = (target: string, body: unknown, headers?: Record<string, string>): ReadonlyArray<ClickEvent> =>
  read(target, body, headers).items.map((item) => {
    if (item.event === undefined) throw new Error(`${item.fault.reason}: ${item.fault.detail}`)
    return item.event
  })

const time = (text: string) => Date.parse(text)

describe("Segment", () => {
  it("maps an order to one purchase with its revenue, and corrects the clock by the batch's sentAt", () => {
    const [event] = eventsOf("/v1/batch", {
      sentAt: "2020-01-01T00:00:10.000Z",
      batch: [{
        type: "track",
        event: "Order Completed",
        messageId: "m1",
        anonymousId: "a1",
        userId: "u1",
        timestamp: "2020-01-01T00:00:00.000Z",
        context: {
          userAgent: "UA",
          page: { url: "https://shop.example/thanks", referrer: "https://shop.example/cart" }
        },
        properties: {
          revenue: 59.97,
          currency: "eur",
          products: [{ product_id: "p1", price: 19.99, quantity: 3, category: "shoes" }]
        }
      }]
    })
    assert.strictEqual(event!.eventId, "m1")
    assert.strictEqual(event!.visitorId, "a1")
    assert.strictEqual(event!.eventType, "purchase")
    assert.strictEqual(event!.eventTs, receivedAt - 10_000)
    assert.strictEqual(event!.price, 599_700)
    assert.strictEqual(event!.quantity, 1)
    assert.strictEqual(event!.currency, "EUR")
    assert.strictEqual(event!.itemId, "p1")
    assert.strictEqual(event!.category, "shoes")
    assert.strictEqual(event!.url, "https://shop.example/thanks")
    assert.strictEqual(event!.userAgent, "UA")
    assert.strictEqual(event!.properties["client_event_ts"], "2020-01-01T00:00:00.000Z")
    assert.strictEqual(event!.properties["event"], "Order Completed")
    assert.strictEqual(event!.properties["userId"], "u1")
    assert.include(event!.properties["properties.products"], "19.99")
  })

  it("takes single calls by their path, and leaves the write key out of the event", () => {
    for (const [path, type] of [["/v1/page", "view"], ["/v1/p", "view"], ["/v1/identify", "identify"]] as const) {
      const submission = read(path, { writeKey: "secret-key", userId: "u", messageId: "m" })
      assert.strictEqual(submission.writeKey, "secret-key")
      assert.strictEqual(submission.items[0]!.event!.eventType, type)
      assert.notInclude(JSON.stringify(submission.items), "secret-key")
    }
  })

  it("keeps the bytes of a message without a visitor, and the others", () => {
    const bad = `{"type":"track", "event":"x","messageId":"m"}`
    const { items } = read("/v1/batch", `{"batch":[{"type":"track","event":"Video Played","userId":"u"},${bad}]}`)
    assert.strictEqual(items[0]!.event!.eventType, "video_played")
    assert.strictEqual(items[1]!.fault!.reason, "missing_visitor")
    assert.strictEqual((items[1] as { bytes: Buffer }).bytes.toString(), bad)
  })

  it("names an id that is too long by its hash, so that sending it again is the same event", () => {
    const messageId = "m".repeat(200)
    const [event] = eventsOf("/v1/track", { type: "track", event: "x", userId: "u", messageId })
    assert.strictEqual(event!.eventId, hash("sha256", messageId))
    assert.strictEqual(event!.properties["messageId"], messageId)
  })
})

describe("RudderStack", () => {
  it("takes the visitor from the header that its SDKs send, and times from the message", () => {
    const message = {
      type: "track",
      event: "Product Added",
      messageId: "m",
      context: { library: { name: "RudderLabs JavaScript SDK" } },
      originalTimestamp: "2026-03-01T12:00:00.000Z",
      sentAt: "2026-03-01T12:00:05.000Z",
      properties: { product_id: "p", price: "12.5", quantity: 2 }
    }
    const [event] = eventsOf("/v1/track", message, { anonymousid: Buffer.from("anon").toString("base64") })
    assert.strictEqual(event!.visitorId, "anon")
    assert.strictEqual(event!.eventType, "add_to_cart")
    assert.strictEqual(event!.eventTs, time("2026-03-01T12:00:05Z"))
    assert.deepStrictEqual([event!.price, event!.quantity], [125_000, 2])
  })
})

describe("PostHog", () => {
  const message = {
    uuid: "u1",
    event: "$pageview",
    distinct_id: "d",
    timestamp: "2026-03-01T12:00:00Z",
    properties: { $device_id: "device", $current_url: "https://x.example/", token: "phc_key" }
  }

  it("takes JSON, forms and base64, and prefers the device to the person", () => {
    const text = JSON.stringify(message)
    const bodies = [
      text,
      `[${text}]`,
      `data=${encodeURIComponent(text)}`,
      `data=${encodeURIComponent(btoa(text))}&ip=1`
    ]
    for (const body of bodies) {
      const submission = read("/e/?ip=1", body)
      assert.strictEqual(submission.writeKey, "phc_key")
      const event = submission.items[0]!.event!
      assert.deepStrictEqual([event.eventId, event.visitorId, event.eventType], ["u1", "device", "view"])
      assert.strictEqual(event.url, "https://x.example/")
      assert.notInclude(JSON.stringify(event), "phc_key")
    }
  })

  it("corrects by sent_at of the batch, and takes an offset as it is", () => {
    const sent = eventsOf("/batch/", { api_key: "k", sent_at: "2026-03-01T12:00:02Z", batch: [message] })
    assert.strictEqual(sent[0]!.eventTs, time("2026-03-01T12:00:08Z"))
    const { timestamp: _none, ...timeless } = message
    assert.strictEqual(eventsOf("/e", { ...timeless, offset: 4_000 })[0]!.eventTs, receivedAt - 4_000)
  })
})

describe("Snowplow", () => {
  const post = (data: object) => eventsOf("/com.snowplowanalytics.snowplow/tp2", { schema: "iglu:x", data: [data] })
  const pageView = {
    e: "pv",
    eid: "e1",
    duid: "d1",
    url: "https://x.example/",
    dtm: String(receivedAt - 9_000),
    stm: String(receivedAt - 1_000)
  }

  it("takes page views by POST and by pixel, with the clock corrected by stm", () => {
    const query = new URLSearchParams(pageView).toString()
    for (const event of [...post(pageView), ...eventsOf(`/i?${query}`, "")]) {
      assert.deepStrictEqual([event.eventId, event.visitorId, event.eventType], ["e1", "d1", "view"])
      assert.strictEqual(event.eventTs, receivedAt - 8_000)
    }
    assert.strictEqual(formatAt("/i")!.answer([]).contentType, "image/gif")
  })

  it("unpacks self-describing events, plain and base64, and counts a transaction once", () => {
    const inner = {
      schema: "iglu:com.snowplowanalytics.snowplow/add_to_cart/jsonschema/1-0-0",
      data: { sku: "s", unitPrice: 2.5 }
    }
    const ue = JSON.stringify({ schema: "iglu:unstruct", data: inner })
    for (const packed of [{ ue_pr: ue }, { ue_px: Buffer.from(ue).toString("base64url") }]) {
      const [event] = post({ ...pageView, e: "ue", ...packed })
      assert.deepStrictEqual([event!.eventType, event!.itemId, event!.price], ["add_to_cart", "s", 25_000])
      assert.strictEqual(event!.properties["ue.sku"], "s")
    }
    const types = [{ e: "tr", tr_tt: "10", tr_id: "o" }, { e: "ti", ti_pr: "10", ti_sk: "s" }].map(
      (each) => post({ ...pageView, ...each })[0]!.eventType
    )
    assert.deepStrictEqual(types, ["purchase", "transaction_item"])
  })
})

describe("Plausible", () => {
  it("tells visitors apart by a hash that holds for a day", () => {
    const body = { n: "pageview", u: "https://x.example/a", d: "x.example", r: null, p: `{"plan":"pro"}` }
    const [event] = eventsOf("/api/event", body, { "user-agent": "UA" })
    const parts = ["2026-03-01", "x.example", "192.0.2.1", "UA"].join("\u001f")
    const digest = createHmac("sha256", "secret").update(parts).digest("hex")
    assert.strictEqual(event!.visitorId, `p.${digest.slice(0, 32)}`)
    assert.deepStrictEqual([event!.eventId, event!.eventType, event!.eventTs], ["request-1", "view", receivedAt])
    assert.strictEqual(event!.properties["p.plan"], "pro")
    assert.notInclude(JSON.stringify(event), "192.0.2.1")
    const [other] = eventsOf("/api/event", body, { "user-agent": "Another" })
    assert.notStrictEqual(other!.visitorId, event!.visitorId)
  })
})

describe("CloudEvents", () => {
  const attributes = {
    id: "1",
    source: "/shop",
    specversion: "1.0",
    type: "com.example.purchase.v2",
    time: "2026-03-01T12:00:00Z"
  }
  const data = { visitor_id: "v", item_id: "i", price: "9.99" }

  it("are taken structured, batched and binary, as the same event", () => {
    const headers = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]))
    const all = [
      ...eventsOf("/cloudevents", { ...attributes, data }),
      ...eventsOf("/cloudevents", [{ ...attributes, data }]),
      ...eventsOf("/cloudevents", data, headers)
    ]
    for (const event of all) {
      assert.deepStrictEqual(
        [event.eventId, event.visitorId, event.eventType, event.itemId, event.price, event.eventTs],
        ["/shop#1", "v", "purchase", "i", 99_900, time(attributes.time)]
      )
    }
  })
})

describe("what was sent", () => {
  it("stays in the properties, whole where it fits, counted where it does not", () => {
    const long = "x".repeat(5_000)
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key${i}`, i]))
    const [event] = eventsOf("/v1/track", {
      type: "track",
      event: "E",
      userId: "u",
      messageId: "m",
      properties: { many, long }
    })
    const { properties } = event!
    assert.isAtMost(Object.keys(properties).length, 62)
    const more = Object.keys(properties).filter((name) => /^more\.\d+$/.test(name)).map((name) => properties[name])
      .join("")
    const rest = JSON.parse(more) as Record<string, unknown>
    assert.strictEqual(rest["properties.long"], long)
    assert.strictEqual(rest["properties.many.key99"], 99)
    const [huge] = eventsOf("/v1/track", {
      type: "track",
      event: "E",
      userId: "u",
      properties: { huge: "y".repeat(100_000) }
    })
    assert.isAbove(Number(huge!.properties["more.cut"]), 70_000)
  })
})
