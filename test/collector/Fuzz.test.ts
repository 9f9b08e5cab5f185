import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { randomInt } from "node:crypto"
import { connect } from "node:net"
import { gzipSync } from "node:zlib"
import { formats } from "../../src/collector/Formats.ts"
import { elementTexts, memberArrayStart } from "../../src/collector/JsonText.ts"
import type { Arrival } from "../../src/collector/Submission.ts"
import { violation } from "../../src/domain/ClickEvent.ts"
import { collectorPlace, realLog, storedRecords } from "./CollectorPlace.ts"

const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31))
const parameters = { seed }
const note = `SEED=${seed}`

/** Names that formats look at, so that a random message is often half right. */
const names = [
  "visitor_id",
  "event_ts",
  "event_type",
  "event_id",
  "price",
  "quantity",
  "properties",
  "events",
  "sent_at",
  "batch",
  "type",
  "event",
  "anonymousId",
  "userId",
  "messageId",
  "timestamp",
  "sentAt",
  "context",
  "page",
  "library",
  "name",
  "data",
  "schema",
  "e",
  "eid",
  "dtm",
  "stm",
  "duid",
  "ue_pr",
  "ue_px",
  "n",
  "u",
  "d",
  "p",
  "specversion",
  "id",
  "source",
  "distinct_id",
  "uuid",
  "offset",
  "$device_id",
  "revenue",
  "products",
  "currency",
  "__proto__",
  "toString"
]
const words = [
  "track",
  "page",
  "pv",
  "ue",
  "se",
  "tr",
  "1.0",
  "view",
  "2026-01-01T00:00:00Z",
  "pageview",
  "Order Completed"
]
const key = fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...names) }, fc.string({ maxLength: 8 }))
const { message } = fc.letrec<{ message: unknown; leaf: unknown }>((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom<unknown>(...words),
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.double(),
    fc.integer(),
    fc.constantFrom<unknown>(null, true, 1e308, -1, "", "x".repeat(3_000), 8.7e15)
  ),
  message: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie("leaf"),
    fc.array(tie("message"), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie("message")), { maxLength: 10 }).map((entries) => {
      const made: Record<string, unknown> = Object.create(null) as Record<string, unknown>
      for (const [name, value] of entries) made[name] = value
      return made
    })
  )
}))

const text = fc.oneof(
  message.map((value) => JSON.stringify(value)),
  fc.array(message, { maxLength: 4 }).map((values) => values.map((value) => JSON.stringify(value)).join("\n")),
  message.chain((value) => {
    const whole = JSON.stringify(value)
    return fc.nat(whole.length).map((end) => whole.slice(0, end))
  }),
  fc.string({ unit: "binary" }),
  fc.constantFrom("[".repeat(100_000), `${"[".repeat(50_000)}${"]".repeat(50_000)}`, "data=%%%", "data=e30", "")
)
const deep = `{"event":"x","distinct_id":"d","type":"track","userId":"u","properties":${`{"a":`.repeat(20_000)}1${
  "}".repeat(20_000)
}}`
const body = fc.oneof(
  { weight: 8, arbitrary: text.map((each) => Buffer.from(each)) },
  text.map((each) => gzipSync(each)),
  fc.tuple(text, fc.nat(60)).map(([each, cut]) => gzipSync(each).subarray(0, cut)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.from(deep))
)
const paths = formats.flatMap((format) => format.paths)

const arrivalOf = (path: string, bytes: Buffer, query: string, headers: Record<string, string>): Arrival => ({
  path,
  query: new URLSearchParams(query),
  headers,
  body: bytes,
  receivedAt: 1_772_366_400_000 as Arrival["receivedAt"],
  requestId: "request",
  address: "192.0.2.1",
  visitorSecret: "secret",
  eventBytesMax: 2_000,
  eventsMax: 100
})

describe("any body", () => {
  it(`becomes valid events or dead letters in every format (${note})`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...formats),
        body,
        fc.oneof(
          fc.string(),
          fc.constantFrom("sent_at=2026-01-01T00:00:00Z", "sent_at=x", "_=1700000000000", "e=pv&duid=d")
        ),
        fc.dictionary(
          fc.constantFrom("ce-specversion", "ce-id", "ce-type", "ce-source", "anonymousid", "user-agent"),
          fc.string()
        ),
        (format, bytes, query, headers) => {
          for (const path of format.paths) {
            const submission = format.read(arrivalOf(path, bytes, query, headers))
            for (const item of submission.items) {
              if (item.event !== undefined) assert.isUndefined(violation(item.event), JSON.stringify(item.event))
              else assert.isAbove(item.fault.detail.length, 0)
            }
          }
        }
      ),
      { ...parameters, numRuns: 3_000 }
    )
  }, 120_000)

  it(`finds the text of each element as it was sent (${note})`, () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), fc.constantFrom(0, 1, 4), (values, indent) => {
        const array = JSON.stringify(values, null, indent)
        const found = elementTexts(array, 0)
        assert.deepStrictEqual(
          found.map((each) => JSON.stringify(JSON.parse(each))),
          values.map((each) => JSON.stringify(each))
        )
        const nested = `{"a":[1],"x":{"batch":[2]}, "ba\\u0074ch" : ${array} }`
        assert.deepStrictEqual(elementTexts(nested, memberArrayStart(nested, "batch")), found)
      }),
      { ...parameters, numRuns: 500 }
    )
  })

  it.live(`gets an answer that is no 500, and each receipt is a record (${note})`, () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace()
      const headerValue = fc.stringMatching(/^[!-~]([ -~]{0,30}[!-~])?$/)
      const headers = fc.dictionary(
        fc.constantFrom(
          "content-type",
          "content-encoding",
          "origin",
          "authorization",
          "x-forwarded-for",
          "ce-id",
          "anonymousid",
          "x-write-key"
        ),
        headerValue
      )
      const request = fc.record({
        path: fc.oneof(
          { weight: 8, arbitrary: fc.constantFrom(...paths) },
          fc.webPath(),
          fc.constantFrom("/collect/../i", "/..%2f..%2fetc/passwd", "/%00", "/collect%00", "/collect;x=1", "//collect")
        ),
        query: fc.webQueryParameters(),
        method: fc.constantFrom("POST", "POST", "POST", "GET", "PUT", "OPTIONS", "DELETE", "HEAD"),
        headers,
        bytes: body
      })
      let receipts = 0
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(request, async ({ bytes, headers, method, path, query }) => {
            const hasBody = method !== "GET" && method !== "HEAD"
            const response = await fetch(`${place.url}${path}?${query}`, {
              method,
              headers,
              ...(hasBody && { body: bytes as never })
            })
            const answer = await response.text()
            assert.isTrue([200, 202, 204, 400, 404, 405, 413].includes(response.status), `${response.status} ${answer}`)
            assert.notMatch(answer, /node_modules|\.ts:\d+|SQLITE|Error: /)
            if (path === "/collect" && answer.includes("receipts")) {
              receipts += (JSON.parse(answer) as { receipts: ReadonlyArray<unknown> }).receipts.length
            }
          }),
          { ...parameters, numRuns: 600 }
        )
      )
      assert.isAtLeast((yield* storedRecords).length, receipts)
      assert.strictEqual(place.counters.bytesInFlight(), 0)
      assert.strictEqual(place.counters.recordsInFlight(), 0)
    }).pipe(Effect.provide(realLog), Effect.scoped), 120_000)

  it.live(`in any bytes on the wire leaves the collector alive (${note})`, () =>
    Effect.gen(function*() {
      const place = yield* collectorPlace()
      const port = Number(new URL(place.url).port)
      const line = fc.oneof(
        fc.string(),
        fc.constantFrom(
          "Content-Length: -1",
          "Content-Length: 5",
          "Transfer-Encoding: chunked",
          "Expect: 100-continue",
          "Upgrade: websocket",
          "Connection: upgrade",
          "Host: x"
        )
      )
      const wire = fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        fc.tuple(
          fc.constantFrom(
            "POST /collect HTTP/1.1",
            "GET /i?e=pv HTTP/1.1",
            "POST http://[/x HTTP/1.1",
            "OPTIONS * HTTP/1.1"
          ),
          fc.array(line),
          body
        )
          .map(([start, lines, bytes]) => Buffer.concat([Buffer.from([start, ...lines, "", ""].join("\r\n")), bytes]))
      )
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(wire, async (bytes) => {
            const answer = await new Promise<string>((resolve) => {
              let said = ""
              const socket = connect(port, "127.0.0.1").on("data", (data: Buffer) => said += data.toString("latin1"))
              socket.on("error", () => {}).on("close", () => resolve(said))
              socket.end(bytes)
            })
            assert.notMatch(answer, /HTTP\/1\.1 5/)
          }),
          { ...parameters, numRuns: 300 }
        )
      )
      assert.strictEqual((yield* place.send("/collect", { method: "POST", body: "[]" })).status, 200)
    }).pipe(Effect.provide(realLog), Effect.scoped), 120_000)
})
