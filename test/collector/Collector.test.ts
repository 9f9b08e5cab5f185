import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { connect } from "node:net"
import { gzipSync } from "node:zlib"
import { makeKey } from "../../src/collector/WriteKeys.ts"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import { LogError } from "../../src/log/EventLog.ts"
import { EventDecoder } from "../../src/log/WireFormat.ts"
import { storedBatch } from "../support/EventBatches.ts"
import { collectorPlace, logWith, realLog, storedRecords } from "./CollectorPlace.ts"

const event = (id: string, more: object = {}) => ({
  event_id: id,
  visitor_id: "v1",
  event_ts: "2026-03-01T12:00:00Z",
  event_type: "click",
  ...more
})

interface Receipts {
  readonly accepted: number
  readonly invalid: number
  readonly too_large: number
  readonly receipts: ReadonlyArray<{
    readonly status: string
    readonly event_id?: string
    readonly reason?: string
    readonly detail?: string
    readonly partition: number
    readonly offset: number
  }>
}

const bodyOf = <A = Receipts>(response: Response) => Effect.promise(() => response.json() as Promise<A>)

const post = (body: string | Buffer, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  body: body as string,
  headers
})

/** The events that the log holds, decoded. */
const storedEvents = Effect.gen(function*() {
  const decoder = new EventDecoder(() => Effect.succeed(avroSchema))
  yield* decoder.learn(1)
  const records = (yield* storedRecords).filter(({ headers }) => headers === undefined)
  const batch = storedBatch(0, records.map(({ value }, offset) => ({ offset, appendedAt: 0, value })))
  const events = decoder.decodeKnown(batch)
  return records.map((_, i) => events.event(i) as unknown as Record<string, unknown>)
})

describe("POST /collect", () => {
  it.live("receipts one event, an array, lines and an envelope, gzipped or not, whatever the content type", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace()
      const bodies = [
        JSON.stringify(event("one")),
        JSON.stringify([event("two"), event("three")]),
        `${JSON.stringify(event("four"))}\n\n${JSON.stringify(event("five"))}\n`,
        JSON.stringify({ events: [event("six")] })
      ]
      for (const [at, body] of bodies.entries()) {
        const response = yield* place.send(
          "/collect",
          post(at % 2 === 0 ? body : gzipSync(body), { "content-type": "text/plain" })
        )
        assert.strictEqual(response.status, 200)
        const { accepted, receipts } = yield* bodyOf(response)
        assert.strictEqual(accepted, receipts.length)
      }
      const ids = (yield* storedEvents).map(({ eventId }) => eventId)
      assert.sameMembers(ids, ["one", "two", "three", "four", "five", "six"])
      assert.deepStrictEqual(place.counters.format("native"), { requests: 4, accepted: 6, invalid: 0, tooLarge: 0 })
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("names the place of each event in the log", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace()
      const { receipts } = yield* bodyOf(yield* place.send("/collect", post(JSON.stringify([event("a"), event("b")]))))
      const stored = yield* storedRecords
      for (const { offset, partition } of receipts) {
        assert.isTrue(stored.some((record) => record.partition === partition && record.offset === offset))
      }
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("answers 202 for a batch with some invalid ones, which become dead letters with their bytes", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace()
      const bad = `{ "visitor_id": "v", "url": "a],[\\"{" , "surprise" :1 }`
      const response = yield* place.send("/collect", post(`[${JSON.stringify(event("a"))}, ${bad} , 7]`))
      assert.strictEqual(response.status, 202)
      const { accepted, invalid, receipts } = yield* bodyOf(response)
      assert.deepStrictEqual([accepted, invalid], [1, 2])
      assert.deepStrictEqual(receipts.map(({ status }) => status), ["accepted", "invalid", "invalid"])
      const dead = (yield* storedRecords).filter(({ headers }) => headers !== undefined)
      assert.sameMembers(dead.map(({ value }) => value.toString()), [bad, "7"])
      assert.isTrue(dead.every(({ headers }) => headers!["guardian-dead-letter"] === "invalid_event"))
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("refuses ids with half a surrogate pair, which the log could not tell apart", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace()
      const events = [event("s\ud800q"), event("s\ud801q"), event("s\ud83d\ude00q"), {
        ...event("t"),
        visitor_id: "\udc00"
      }]
      const { receipts } = yield* bodyOf(yield* place.send("/collect", post(JSON.stringify(events))))
      assert.deepStrictEqual(receipts.map(({ status }) => status), ["invalid", "invalid", "accepted", "invalid"])
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("answers 400 when nothing is an event, 413 when all is too large, and keeps the bytes", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace({ limits: { eventBytesMax: 200 } })
      const invalid = yield* place.send("/collect", post("{ nonsense"))
      assert.strictEqual(invalid.status, 400)
      assert.strictEqual((yield* bodyOf(invalid)).receipts[0]!.reason, "invalid_json")
      const broken = yield* place.send("/collect", post(Buffer.from([0x1f, 0x8b, 1, 2, 3])))
      assert.strictEqual((yield* bodyOf(broken)).receipts[0]!.reason, "invalid_compression")
      const text = yield* place.send("/collect", post(Buffer.from([0x22, 0xff, 0x22])))
      assert.strictEqual((yield* bodyOf(text)).receipts[0]!.reason, "invalid_utf8")
      const large = yield* place.send("/collect", post(JSON.stringify(event("x", { url: "u".repeat(300) }))))
      assert.strictEqual(large.status, 413)
      assert.strictEqual((yield* bodyOf(large)).too_large, 1)
      assert.strictEqual((yield* storedRecords).length, 4)
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("refuses a body that is too large as sent, inflated or by its number of events, and stores none of it", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace({ limits: { bodyBytesMax: 200_000, inflatedBytesMax: 500_000 } })
      const sent = yield* place.send("/collect", post("x".repeat(200_001)))
      const bomb = yield* place.send("/collect", post(gzipSync(Buffer.alloc(10_000_000))))
      const chunked = yield* place.send("/collect", {
        method: "POST",
        body: new ReadableStream({
          start: (controller) => {
            for (let i = 0; i < 4; i++) controller.enqueue(new Uint8Array(80_000))
            controller.close()
          }
        }),
        duplex: "half"
      } as RequestInit)
      assert.deepStrictEqual([sent.status, bomb.status, chunked.status], [413, 413, 413])
      assert.strictEqual(sent.headers.get("content-type"), "application/problem+json")
      assert.strictEqual((yield* storedRecords).length, 0)
      const many = yield* place.send("/collect", post(`[${"1,".repeat(10_000)}1]`))
      assert.strictEqual(many.status, 413)
      assert.strictEqual((yield* storedRecords).length, 1)
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("corrects the sender's clock by sent_at, keeps both times, and derives the id from the sender's", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace()
      const { event_id: _id, ...nameless } = event("", { event_ts: "2020-01-01T00:00:00Z" })
      const ids: Array<string> = []
      for (const sentAt of ["2020-01-01T00:01:00Z", "2020-01-01T00:02:00Z"]) {
        const answer = yield* place.send("/collect", post(JSON.stringify({ sent_at: sentAt, events: [nameless] })))
        ids.push((yield* bodyOf(answer)).receipts[0]!.event_id!)
      }
      assert.strictEqual(ids[0], ids[1])
      const [first] = yield* storedEvents
      const age = Date.now() - (first!["eventTs"] as number)
      assert.isTrue(age >= 60_000 && age < 90_000, String(age))
      assert.deepStrictEqual(first!["properties"], {
        client_event_ts: "2020-01-01T00:00:00.000Z",
        client_sent_at: "2020-01-01T00:01:00.000Z"
      })
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("answers 404 and 405 as problems, and nothing for an empty array", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace()
      for (const path of ["/", "/collectx", "/../collect/..", "/collect/%00", "/v1/nothing", "//collect"]) {
        const response = yield* place.send(path, post("{}"))
        assert.strictEqual(response.status, 404, path)
        assert.strictEqual((yield* bodyOf<{ status: number }>(response)).status, 404)
      }
      const wrong = yield* place.send("/collect")
      assert.strictEqual(wrong.status, 405)
      assert.strictEqual(wrong.headers.get("allow"), "POST, OPTIONS")
      const empty = yield* place.send("/collect", post("[]"))
      assert.deepStrictEqual(yield* bodyOf(empty), { accepted: 0, invalid: 0, too_large: 0, receipts: [] })
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("runs what must come before the first event once, and not for dead letters", () =>
    Effect.gen(function*() {
      let runs = 0
      const place = yield* collectorPlace({ onFirstEvent: Effect.sync(() => void runs++) })
      yield* place.send("/collect", post("{"))
      assert.strictEqual(runs, 0)
      yield* place.send("/collect", post(JSON.stringify(event("a"))))
      yield* place.send("/collect", post(JSON.stringify(event("b"))))
      assert.strictEqual(runs, 1)
    }).pipe(Effect.provide(realLog), Effect.scoped))
})

describe("browsers", () => {
  it.live("are told that they may send, and a beacon gets through", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace({ settings: { origins: ["https://shop.example"] } })
      const asked = yield* place.send("/collect", {
        method: "OPTIONS",
        headers: {
          "origin": "https://shop.example",
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type,x-write-key"
        }
      })
      assert.strictEqual(asked.status, 204)
      assert.strictEqual(asked.headers.get("access-control-allow-origin"), "https://shop.example")
      assert.strictEqual(asked.headers.get("access-control-allow-headers"), "content-type,x-write-key")
      // As navigator.sendBeacon(url, text) does.
      const beacon = yield* place.send(
        "/collect",
        post(JSON.stringify(event("b")), {
          "origin": "https://shop.example",
          "content-type": "text/plain;charset=UTF-8"
        })
      )
      assert.strictEqual(beacon.status, 200)
      assert.strictEqual(beacon.headers.get("access-control-allow-origin"), "https://shop.example")
      assert.strictEqual(beacon.headers.get("vary"), "origin")
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("of other origins are refused without a word to the page", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace({ settings: { origins: ["https://shop.example"] } })
      const headers = { origin: "https://evil.example" }
      const sent = yield* place.send("/collect", post(JSON.stringify(event("b")), headers))
      assert.strictEqual(sent.status, 403)
      assert.isNull(sent.headers.get("access-control-allow-origin"))
      const asked = yield* place.send("/collect", { method: "OPTIONS", headers })
      assert.strictEqual(asked.status, 403)
      assert.strictEqual((yield* storedRecords).length, 0)
    }).pipe(Effect.provide(realLog), Effect.scoped))
})

describe("write keys", () => {
  const made = (name: string, more: object = {}) => makeKey({ name, created_at: "2026-01-01T00:00:00Z", ...more })

  it.live("are asked for, in a header, as a user name, in the query or in the body; a revoked one is refused", () =>
    Effect.gen(function*() {
      const good = made("good")
      const revoked = made("revoked", { revoked_at: "2026-01-02T00:00:00Z" })
      const place = yield* collectorPlace({
        settings: { keysRequired: true },
        keys: () => [good.kept, revoked.kept]
      })
      const body = JSON.stringify(event("a"))
      const status = (headers: Record<string, string>, path = "/collect", text = body) =>
        Effect.map(place.send(path, post(text, headers)), (response) => response.status)
      assert.strictEqual(yield* status({}), 401)
      assert.strictEqual(yield* status({ authorization: "Bearer nonsense" }), 401)
      assert.strictEqual(yield* status({ authorization: `Bearer ${revoked.key}` }), 401)
      assert.strictEqual((yield* storedRecords).length, 0)
      assert.strictEqual(yield* status({ authorization: `Bearer ${good.key}` }), 200)
      assert.strictEqual(
        yield* status({ authorization: `Basic ${Buffer.from(`${good.key}:`).toString("base64")}` }),
        200
      )
      assert.strictEqual(yield* status({ "x-write-key": good.key }), 200)
      assert.strictEqual(yield* status({}, `/collect?write_key=${good.key}`), 200)
      assert.strictEqual(
        yield* status({}, "/collect", JSON.stringify({ write_key: good.key, events: [event("b")] })),
        200
      )
      const posthog = { api_key: good.key, event: "$pageview", distinct_id: "d" }
      assert.strictEqual(yield* status({}, "/e/", JSON.stringify(posthog)), 200)
      assert.notInclude(JSON.stringify(yield* storedEvents), good.key)
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("that come where none are asked for must be good, as long as there are any", () =>
    Effect.gen(function*() {
      const good = made("good", { origins: ["https://a.example"] })
      const revoked = made("revoked", { revoked_at: "2026-01-02T00:00:00Z" })
      const keys: Array<ReturnType<typeof made>["kept"]> = []
      const place = yield* collectorPlace({ keys: () => keys })
      const body = JSON.stringify(event("a"))
      const segment = JSON.stringify({ writeKey: "dev", batch: [{ type: "page", userId: "u", messageId: "m" }] })
      const status = (headers: Record<string, string>, path = "/collect", text = body) =>
        Effect.map(place.send(path, post(text, headers)), (response) => response.status)
      // Until then whatever an SDK calls its key is taken.
      assert.strictEqual(yield* status({ authorization: "Bearer anything" }), 200)
      assert.strictEqual(yield* status({}, "/v1/batch", segment), 200)
      keys.push(good.kept, revoked.kept)
      assert.strictEqual(yield* status({}), 200)
      assert.strictEqual(yield* status({ authorization: `Bearer ${good.key}` }), 200)
      assert.strictEqual(yield* status({ authorization: "Bearer anything" }), 401)
      assert.strictEqual(yield* status({ authorization: `Bearer ${revoked.key}` }), 401)
      assert.strictEqual(yield* status({}, "/v1/batch", segment), 401)
      assert.strictEqual(yield* status({ authorization: `Bearer ${good.key}`, origin: "https://b.example" }), 403)
      const deaf = yield* collectorPlace({ settings: { keysRead: false }, keys: () => keys })
      assert.strictEqual((yield* deaf.send("/collect", post(body, { authorization: "Bearer anything" }))).status, 200)
    }).pipe(Effect.provide(realLog), Effect.scoped))

  it.live("have a rate: beyond it 429 says when to come back", () =>
    Effect.gen(function*() {
      const { kept, key } = made("slow", { events_per_second: 2, origins: ["https://a.example"] })
      const place = yield* collectorPlace({ settings: { keysRequired: true }, keys: () => [kept] })
      const headers = { authorization: `Bearer ${key}` }
      const body = JSON.stringify(Array.from({ length: 100 }, (_, i) => event(String(i))))
      assert.strictEqual((yield* place.send("/collect", post(body, headers))).status, 200)
      const refused = yield* place.send("/collect", post(body, headers))
      assert.strictEqual(refused.status, 429)
      assert.isAtLeast(Number(refused.headers.get("retry-after")), 45)
      const page = yield* place.send("/collect", post(body, { ...headers, origin: "https://b.example" }))
      assert.strictEqual(page.status, 403)
    }).pipe(Effect.provide(realLog), Effect.scoped))
})

describe("a log", () => {
  const receipts = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ partition: 0, offset: i, appendedAt: 0 })) as never

  it.live("that is slower than its senders makes them wait: 429, and what is held is bounded", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let appends = 0
      const log = logWith((records) => {
        appends++
        return Effect.as(Deferred.await(gate), receipts(records.length))
      })
      yield* Effect.gen(function*() {
        const place = yield* collectorPlace({ limits: { recordsInFlightMax: 30 } })
        const body = JSON.stringify(Array.from({ length: 10 }, (_, i) => event(String(i))))
        const held = Array.from({ length: 3 }, () => fetch(`${place.url}/collect`, post(body)))
        while (place.counters.recordsInFlight() < 30) yield* Effect.promise(() => new Promise(setImmediate))
        const refused = yield* Effect.all(
          Array.from({ length: 20 }, () => place.send("/collect", post(body))),
          { concurrency: "unbounded" }
        )
        for (const response of refused) {
          assert.strictEqual(response.status, 429)
          assert.strictEqual(response.headers.get("retry-after"), "1")
        }
        assert.strictEqual(appends, 3)
        yield* Deferred.succeed(gate, undefined)
        for (const response of yield* Effect.promise(() => Promise.all(held))) assert.strictEqual(response.status, 200)
        assert.strictEqual(place.counters.recordsInFlight(), 0)
        assert.strictEqual(place.counters.bytesInFlight(), 0)
        assert.strictEqual((yield* place.send("/collect", post(body))).status, 200)
      }).pipe(Effect.provide(log), Effect.scoped)
    }))

  it.live("that is away, or does not answer, is a 503, and a way back", () =>
    Effect.gen(function*() {
      let state: "broken" | "silent" | "well" = "broken"
      const log = logWith((records) =>
        state === "broken" ?
          Effect.fail(new LogError({ message: "disk full", retryable: true })) :
          state === "silent" ?
          Effect.never :
          Effect.succeed(receipts(records.length))
      )
      yield* Effect.gen(function*() {
        const place = yield* collectorPlace({ limits: { appendMsMax: 50 } })
        const body = JSON.stringify(event("a"))
        for (state of ["broken", "silent"] as const) {
          const response = yield* place.send("/collect", post(body))
          assert.strictEqual(response.status, 503)
          assert.strictEqual(response.headers.get("retry-after"), "5")
        }
        state = "well"
        assert.strictEqual((yield* place.send("/collect", post(body))).status, 200)
        assert.strictEqual(place.counters.recordsInFlight(), 0)
      }).pipe(Effect.provide(log), Effect.scoped)
    }))

  it.live("takes no bytes from a sender that hung up, and its room is free again", () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace()
      const socket = connect(Number(new URL(place.url).port), "127.0.0.1")
      socket.write(`POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n${"x".repeat(100_000)}`)
      while (place.counters.bytesInFlight() < 100_000) yield* Effect.promise(() => new Promise(setImmediate))
      socket.destroy()
      while (place.counters.bytesInFlight() > 0) yield* Effect.promise(() => new Promise(setImmediate))
      assert.strictEqual((yield* storedRecords).length, 0)
    }).pipe(Effect.provide(realLog), Effect.scoped))
})
