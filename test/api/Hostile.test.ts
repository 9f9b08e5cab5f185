/** What a stranger may send: nothing of it is a 500, leaves the folder, reaches SQL, or goes on when nobody waits. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as fc from "fast-check"
import { createHash } from "node:crypto"
import { mkdir, symlink, writeFile } from "node:fs/promises"
import { request as rawRequest } from "node:http"
import { join } from "node:path"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { WarehouseError } from "../../src/warehouse/Warehouse.ts"
import { tellStory } from "../clickhouse/ShopStory.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"
import { eventually } from "../warehouse/embedded/eventually.ts"
import { temporaryDirectory } from "../warehouse/embedded/temporaryDirectory.ts"
import { apiPlace, request } from "./ApiPlace.ts"

const openPlace = Effect.gen(function*() {
  const warehouse = yield* freshWarehouse
  yield* tellStory(warehouse)
  const pages = yield* temporaryDirectory
  yield* Effect.promise(async () => {
    await writeFile(join(pages, "secret.json"), "outside")
    await mkdir(join(pages, "dist", "assets"), { recursive: true })
    await writeFile(join(pages, "dist", "index.html"), "<!doctype html><title>page</title>")
    await writeFile(join(pages, "dist", ".hidden.json"), "hidden")
    await symlink(join(pages, "secret.json"), join(pages, "dist", "link.json"))
  })
  return { ...(yield* apiPlace(warehouse, { pages: join(pages, "dist") })), warehouse }
})

class Place extends Context.Service<Place, Effect.Success<typeof openPlace>>()("test/api/Place") {}
const Opened = Layer.effect(Place, openPlace).pipe(Layer.provideMerge(TemporaryWarehouse))

const seed = Number(process.env["FUZZ_SEED"] ?? fc.sample(fc.integer({ min: 1, max: 2 ** 31 - 1 }), 1)[0])

const nasty = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom(
    "' OR 1=1 --",
    "'); DROP TABLE sessions_raw; --",
    "\\",
    "{limit:UInt32}",
    "\0",
    "\t",
    "\n",
    "%00",
    "../../etc/passwd",
    "9".repeat(400),
    "-1",
    "1e309",
    "NaN",
    "2026-02-30",
    "0000-00-00",
    "9999-12-31",
    "2149-06-06",
    "1970-01-01",
    "\\N",
    "null",
    "\u{d800}",
    "WyJzZXNzaW9ucyIsImciXQ",
    "WyJhbm9tYWxpZXMiLDksIngiLCJ5Il0"
  )
)
const path = fc.constantFrom(
  "metrics/daily",
  "metrics/daily/{}",
  "metrics/hourly/{}",
  "metrics/funnel/{}",
  "metrics/summary",
  "items/popular/{}",
  "items/categories/{}",
  "items/trending",
  "anomalies",
  "anomalies/types",
  "anomalies/timeline",
  "anomalies/{}",
  "sessions",
  "sessions/{}",
  "sessions/{}/events",
  "visitors/{}",
  "events/{}/trace",
  "stats",
  "pipeline",
  "dead-letters",
  "rejected-records",
  "late-events",
  "audits",
  "runs",
  "verdicts"
)
/** Headers that something looks at, with anything that HTTP lets through. */
const headers = fc.dictionary(
  fc.constantFrom(
    "accept",
    "if-none-match",
    "authorization",
    "origin",
    "x-forwarded-host",
    "traceparent",
    "b3",
    "range"
  ),
  fc.oneof(
    fc.stringMatching(/^[!-~]([ -~]{0,40}[!-~])?$/),
    fc.constantFrom(
      "text/csv",
      "application/vnd.apache.parquet;q=1e999, text/csv;q=x",
      "*",
      'W/"x", *',
      "Bearer ' OR 1=1 --",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    )
  ),
  { maxKeys: 3 }
)
/** Where we are, what we run, how we ask: nobody's business. */
const leak =
  /DB::Exception|Stack trace|\.ts:\d+|node_modules|guardian_reader|guardian_writer|SETTINGS max_execution_time/
const name = fc.constantFrom(
  "from",
  "to",
  "segment",
  "days",
  "limit",
  "cursor",
  "type",
  "min_score",
  "visitor_id",
  "hours",
  "flagged",
  "min_events",
  "min_purchases",
  "scope",
  "id",
  "other"
)
const value = fc.oneof(
  nasty,
  fc.constantFrom("1", "5", "true", "all", "clean", "visitor", "2026-03-02", "HIGH_FREQUENCY")
)

layer(Opened, { excludeTestServices: true, timeout: "4 minutes" })("a stranger", (it) => {
  it.effect("finds no parameters that break a question", () =>
    Effect.gen(function*() {
      const { url, warehouse } = yield* Place
      const sessions = () => warehouse.query("SELECT count() AS n FROM sessions")
      const before = yield* sessions()
      console.log(`FUZZ_SEED=${seed}`)
      const statuses = new Map<number, number>()
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            path,
            nasty,
            fc.dictionary(name, value, { maxKeys: 4 }),
            headers,
            async (path, id, query, headers) => {
              const search = Object.entries(query).map(([name, value]) => `${name}=${escaped(value)}`).join("&")
              const response = await fetch(`${url}/api/v1/${path.replace("{}", () => escaped(id))}?${search}`, {
                headers
              })
              const text = await response.text()
              statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
              assert.include([200, 304, 400, 404], response.status, `${response.url}: ${text}`)
              assert.notMatch(text + JSON.stringify([...response.headers]), leak)
              if (response.status >= 400) {
                assert.match(response.headers.get("content-type")!, /^application\/problem\+json/)
              }
            }
          ),
          { seed, numRuns: 200 }
        )
      )
      // A fuzz in which nothing gets through would show nothing.
      assert.isAbove(statuses.get(200) ?? 0, 20)
      assert.isAbove(statuses.get(400) ?? 0, 20)
      assert.deepStrictEqual(yield* sessions(), before)
    }), 120_000)

  it.effect("finds no body that breaks a verdict", () =>
    Effect.gen(function*() {
      const { url } = yield* Place
      const json = { "content-type": "application/json" }
      const post = (body: string, headers: Record<string, string> = json) =>
        request(`${url}/api/v1/verdicts`, { method: "POST", body, headers })
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (body) => {
            const response = await Effect.runPromise(post(body))
            assert.include([400, 415], response.status, response.text)
            assert.notMatch(response.text, leak)
            assert.match(response.headers.get("content-type")!, /^application\/problem\+json/)
          }),
          { seed, numRuns: 100 }
        )
      )
      const large = yield* post(
        JSON.stringify({ scope: "visitor", id: "a", verdict: "bot", author: "a", reason: "x".repeat(1 << 20) })
      )
      assert.strictEqual(large.status, 413)
      assert.match(large.headers.get("content-type")!, /^application\/problem\+json/)
      const foreign = yield* post("{}", { ...json, origin: "https://evil.example" })
      assert.strictEqual(foreign.status, 403)
    }))

  it.effect("gets no file but those of the page", () =>
    Effect.gen(function*() {
      const { url } = yield* Place
      const page = yield* request(`${url}/`)
      assert.deepStrictEqual([page.status, page.text], [200, "<!doctype html><title>page</title>"])
      assert.match(page.headers.get("content-security-policy")!, /script-src 'self'/)
      for (
        const trick of [
          "/../secret.json",
          "/..%2fsecret.json",
          "/%2e%2e/secret.json",
          "/link.json",
          "/.hidden.json",
          "/assets/..%5c..%5csecret.json",
          "/%00",
          "/assets",
          "//etc/passwd",
          "/assets/../../secret.json",
          "/....//secret.json",
          "/%252e%252e/secret.json",
          "/%c0%ae%c0%ae/secret.json",
          "/assets/%2e%2e%2f%2e%2e%2fsecret.json",
          "/secret.json%00.html",
          "/file:///etc/passwd",
          "/api/v1/../../secret.json",
          "/%ff"
        ]
      ) {
        const found = yield* raw(url, trick)
        assert.strictEqual(found.status, 404, trick)
        assert.notInclude(found.text, "outside")
      }
      assert.strictEqual((yield* raw(url, "/api/v1/stats", { host: "evil.example" })).status, 403)
      const wrong = yield* request(`${url}/api/v1/stats`, { method: "DELETE" })
      assert.deepStrictEqual([wrong.status, wrong.headers.get("allow")], [405, "GET"])
      const kind = yield* request(`${url}/api/v1/verdicts`, { method: "POST", body: "a=b" })
      assert.deepStrictEqual([kind.status, kind.headers.get("content-type")], [415, "application/problem+json"])
      for (
        const query of [
          "from=2026-02-30T00:00:00Z",
          "from=2026-03-02",
          "to=2026-03-02T25:00:00Z",
          "from=2026-03-03T00:00:00Z&to=2026-03-02T00:00:00Z"
        ]
      ) {
        assert.strictEqual((yield* request(`${url}/api/v1/sessions?${query}`)).status, 400, query)
      }
    }))

  it.effect("is kept out without a key where there are keys", () =>
    Effect.gen(function*() {
      const { warehouse } = yield* Place
      const hash = (key: string) => createHash("sha256").update(key).digest()
      const { url } = yield* apiPlace(warehouse, {
        host: "0.0.0.0",
        readKeys: [{ name: "reader", hash: hash("read") }],
        adminKeys: [{ name: "admin", hash: hash("admin") }]
      })
      const stats = (key?: string) =>
        request(`${url}/api/v1/stats`, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } })
      assert.deepStrictEqual(
        (yield* Effect.all([stats(), stats("wrong"), stats("read"), stats("admin")])).map(({ status }) => status),
        [401, 401, 200, 200]
      )
      const verdict = (key: string) =>
        request(`${url}/api/v1/verdicts`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
          body: JSON.stringify({ scope: "visitor", id: "cy", verdict: "human", reason: "r", author: "a" })
        })
      assert.deepStrictEqual([(yield* verdict("read")).status, (yield* verdict("admin")).status], [401, 201])
      // Where others can reach it, nobody writes while there is no admin key.
      const readOnly = yield* apiPlace(warehouse, {
        host: "0.0.0.0",
        readKeys: [{ name: "reader", hash: hash("read") }]
      })
      const refused = yield* request(`${readOnly.url}/api/v1/verdicts`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: "Bearer read" },
        body: JSON.stringify({ scope: "visitor", id: "cy", verdict: "human", reason: "r", author: "a" })
      })
      assert.strictEqual(refused.status, 401)
    }))

  it.effect("is told when the warehouse is away or a question takes too long", () =>
    Effect.gen(function*() {
      const { reader, warehouse } = yield* Place
      const failing = (code: number, retryable: boolean) =>
        apiPlace(warehouse, {
          reader: { ...reader, query: () => Effect.fail(new WarehouseError({ message: "secret", code, retryable })) }
        })
      for (
        const [code, retryable, status] of [[0, true, 503], [241, true, 503], [159, true, 504], [60, false, 503], [
          62,
          false,
          500
        ]] as const
      ) {
        const { url } = yield* failing(code, retryable)
        const answer = yield* request(`${url}/api/v1/stats`)
        assert.strictEqual(answer.status, status)
        assert.notInclude(answer.text, "secret")
        if (status === 503) assert.isNotNull(answer.headers.get("retry-after"))
      }
      const { url } = yield* failing(0, true)
      const ready = yield* request(`${url}/readyz`)
      assert.strictEqual(ready.status, 503)
      assert.deepStrictEqual(JSON.parse(ready.text).missing, ["warehouse", "schema"])
      assert.strictEqual((yield* request(`${url}/livez`)).status, 200)
      assert.match((yield* request(`${url}/metrics`)).text, /guardian_warehouse_up 0/)
    }))

  it.effect("takes the question along who goes away", () =>
    Effect.gen(function*() {
      const { reader, warehouse } = yield* Place
      const embedded = yield* EmbeddedWarehouse
      const slow =
        `/* slow question ${seed} */ SELECT count() FROM system.numbers WHERE sleepEachRow(0.01) = 0 SETTINGS max_block_size = 10`
      const { url } = yield* apiPlace(warehouse, {
        reader: {
          ...reader,
          query: (sql, parameters) => reader.query(sql.includes("FROM reporting") ? slow : sql, parameters)
        }
      })
      const watcher = yield* make(embedded.address("reader"))
      const running = Effect.map(
        watcher.query(
          "SELECT count() AS n FROM system.processes WHERE query LIKE {like:String} AND query NOT LIKE '%processes%'",
          {
            like: `%slow question ${seed}%`
          }
        ),
        ([row]) => Number(row!["n"])
      )
      const client = new AbortController()
      const asked = fetch(`${url}/api/v1/stats`, { signal: client.signal }).catch(() => undefined)
      yield* eventually("the question runs", Effect.map(running, (n) => n === 1))
      client.abort()
      yield* Effect.promise(() => asked)
      yield* eventually("the question is ended", Effect.map(running, (n) => n === 0))
    }))
})

/** Anything as part of a URL; what is no Unicode goes as bytes that are no UTF-8. */
const escaped = (text: string): string => {
  try {
    return encodeURIComponent(text)
  } catch {
    return "%ed%a0%80"
  }
}

/** A path as it is: fetch would tidy it. */
const raw = (url: string, path: string, headers: Record<string, string> = {}) =>
  Effect.promise(() =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const { hostname, port } = new URL(url)
      rawRequest({ hostname, port, path, headers }, (response) => {
        let text = ""
        response.setEncoding("utf8").on("data", (part) => text += part).on("end", () =>
          resolve({ status: response.statusCode!, text }))
      }).on("error", reject).end()
    })
  )
