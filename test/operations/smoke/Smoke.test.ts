/** guardian smoke against installations that run, whole or in roles, and against those that do not work. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { SmokeReport } from "../../../src/operations/smoke/Smoke.ts"
import { smokeVisitorPrefix } from "../../../src/operations/smoke/SmokeVisitor.ts"
import { freePort } from "../../../src/warehouse/embedded/Ports.ts"
import { metricsFaults } from "../../api/MetricsLint.ts"
import { guardian } from "../../cli/GuardianProcess.ts"
import type { Ended } from "../../cli/GuardianProcess.ts"
import { runningRole } from "../../docker/RunningRole.ts"
import { serverPlace } from "../../docker/ServerPlace.ts"
import { eventually } from "../../warehouse/embedded/eventually.ts"
import { temporaryDirectory } from "../../warehouse/embedded/temporaryDirectory.ts"

const collectorSaid = /Collector at http:\/\/[\d.]+:(\d+)/
const apiSaid = /API and dashboard at http:\/\/[\d.]+:(\d+)/

const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.promise(() => guardian(args, { env }))

const smoke = (ports: { readonly collector: number; readonly api: number }, env = {}, ...more: ReadonlyArray<string>) =>
  run(
    ["smoke", "--collector", `http://127.0.0.1:${ports.collector}`, "--api", `http://127.0.0.1:${ports.api}/`, ...more],
    env
  )

const reportOf = ({ stdout }: Ended): SmokeReport => JSON.parse(stdout) as SmokeReport

/** Of all days and segments, but for when they were computed. */
const figures = (apiPort: number) =>
  Effect.promise(async () => {
    const segments = await Promise.all(["all", "clean", "flagged"].map(async (segment) => {
      const answer = await fetch(`http://127.0.0.1:${apiPort}/api/v1/metrics/daily?segment=${segment}`)
      const { data = [] } = await answer.json() as { data?: ReadonlyArray<Record<string, unknown>> }
      return data.map((row): Record<string, unknown> => ({ ...row, refreshed_at: "" }))
    }))
    return segments.flat()
  })

describe("guardian smoke", () => {
  it.live(
    "follows its event from the collector to the KPIs, and leaves no trace in them",
    () =>
      Effect.gen(function*() {
        const dataDir = join(yield* temporaryDirectory, "data")
        const server = yield* runningRole(["serve", "--data-dir", dataDir], {})
        const ports = { collector: yield* server.port(collectorSaid), api: yield* server.port(apiSaid) }
        const now = Date.now()
        const events = Array.from({ length: 40 }, (_, i) => ({
          event_id: `e${i}`,
          visitor_id: `v${i % 7}`,
          event_ts: now - 60_000 + i,
          event_type: i % 10 === 0 ? "purchase" : "view",
          item_id: `item-${i % 5}`,
          ...(i % 10 === 0 && { price: "9.90", quantity: 1 })
        }))
        yield* Effect.promise(() =>
          fetch(`http://127.0.0.1:${ports.collector}/collect`, { method: "POST", body: JSON.stringify(events) })
        )
        let before: ReadonlyArray<Record<string, unknown>> = []
        yield* eventually(
          "the KPIs count the traffic",
          Effect.map(figures(ports.api), (now) => {
            before = now
            return now[0]?.["total_clicks"] === 36 && now[0]["sessions"] === 7
          }),
          120_000
        )

        const first = yield* smoke(ports, {}, "--timeout", "60")
        assert.strictEqual(first.code, 0, first.stdout + first.stderr + server.output())
        const lines = first.stdout.trim().split("\n")
        assert.deepStrictEqual(
          lines.slice(0, -1).map((line) => line.split(/ +/).slice(0, 2)),
          ["api", "collector", "accepted", "session", "kpis"].map((step) => ["ok", step])
        )
        assert.match(lines.at(-1)!, /^it works: \d+ ms from end to end$/)
        const second = reportOf(yield* smoke(ports, {}, "--json", "--timeout", "60"))
        assert.isTrue(second.ok)
        assert.isTrue(second.visitorId.startsWith(smokeVisitorPrefix))

        // The figures were computed anew, with two more events in the database, and are the same.
        assert.deepStrictEqual(yield* figures(ports.api), before)
        const stored = yield* run(
          [
            "sql",
            "SELECT count() FROM events WHERE startsWith(visitor_id, 'guardian-smoke:') FORMAT TSV",
            "--data-dir",
            dataDir
          ]
        )
        assert.strictEqual(stored.stdout.trim(), "2")
        const audit = yield* run(["audit", "--all", "--data-dir", dataDir])
        assert.strictEqual(audit.code, 0, audit.stdout + audit.stderr)
        // Were the audit to count them, it would differ: it looks at these days.
        assert.match(audit.stdout, /kpis/)
      }),
    180_000
  )

  it.live(
    "works by keys, with roles in processes of their own on a ClickHouse server as docker/ has it",
    () =>
      Effect.gen(function*() {
        const server = yield* serverPlace
        const dataDir = join(yield* temporaryDirectory, "data")
        const [writeKey, readKey] = ["the-write-key", "the-read-key"]
        const health = { pipeline: yield* freePort(undefined), collector: yield* freePort(undefined) }
        const hash = (key: string) => createHash("sha256").update(key).digest("hex")
        const env = {
          GUARDIAN_CLICKHOUSE_URL: server.url,
          GUARDIAN_CLICKHOUSE_WRITER_PASSWORD: server.passwords.writer,
          GUARDIAN_CLICKHOUSE_READER_PASSWORD: server.passwords.reader,
          GUARDIAN_CLICKHOUSE_ANALYST_PASSWORD: server.passwords.analyst
        }
        const setup = yield* run(["setup", "--partitions", "4", "--data-dir", dataDir, "--json"], env)
        assert.strictEqual(setup.code, 0, setup.stderr)
        const { partitions, version } = JSON.parse(setup.stdout) as { partitions: number; version: number }
        assert.strictEqual(partitions, 4)
        assert.isAtLeast(version, 21)
        const again = yield* run(["setup", "--data-dir", dataDir], env)
        assert.include(again.stdout, "nothing to do", again.stderr)

        const roles = ["--data-dir", dataDir]
        yield* runningRole(["serve", "--role", "pipeline", ...roles], {
          ...env,
          GUARDIAN_HEALTH_PORT: `${health.pipeline}`
        })
        const collector = yield* runningRole(["serve", "--role", "collector", ...roles], {
          GUARDIAN_COLLECTOR_HOST: "0.0.0.0",
          GUARDIAN_COLLECTOR_WRITE_KEYS: `shop=${hash(writeKey)}`,
          GUARDIAN_HEALTH_PORT: `${health.collector}`
        })
        const api = yield* runningRole(["serve", "--role", "api", ...roles], {
          ...env,
          GUARDIAN_API_HOST: "0.0.0.0",
          GUARDIAN_API_READ_KEYS: `team=${hash(readKey)}`
        })
        const ports = { collector: yield* collector.port(collectorSaid), api: yield* api.port(apiSaid) }
        for (const port of [health.pipeline, health.collector, ports.api]) {
          const ready = Effect.promise(() =>
            fetch(`http://127.0.0.1:${port}/readyz`).then(({ status }) => status === 200, () => false)
          )
          yield* eventually(`port ${port} is ready`, ready, 60_000)
          const alive = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/livez`))
          assert.strictEqual(alive.status, 200)
        }

        const keys = { GUARDIAN_SMOKE_WRITE_KEY: writeKey, GUARDIAN_SMOKE_READ_KEY: readKey }
        const good = yield* smoke(ports, keys, "--json", "--timeout", "60")
        assert.strictEqual(good.code, 0, good.stdout + good.stderr)

        for (
          const [port, name] of [
            [health.pipeline, "guardian_flushes_total"],
            [health.collector, "guardian_collector_events_total"]
          ] as const
        ) {
          const metrics = yield* Effect.promise(() =>
            fetch(`http://127.0.0.1:${port}/metrics`).then((answer) => answer.text())
          )
          assert.match(metrics, new RegExp(`^${name}.* [1-9]`, "m"))
          assert.deepStrictEqual(metricsFaults(metrics), [])
        }

        const noWriteKey = yield* smoke(ports, { ...keys, GUARDIAN_SMOKE_WRITE_KEY: "wrong" })
        assert.strictEqual(noWriteKey.code, 1)
        assert.match(noWriteKey.stdout, /^FAIL {2}collector .*401/m)
        assert.include(noWriteKey.stderr, "GUARDIAN_SMOKE_WRITE_KEY")
        assert.notInclude(noWriteKey.stdout + noWriteKey.stderr, writeKey)
        const noReadKey = yield* smoke(ports, {}, "--json")
        assert.strictEqual(noReadKey.code, 1)
        assert.deepStrictEqual(reportOf(noReadKey).steps.map(({ ok, step }) => [step, ok]), [["api", false]])
        assert.include(noReadKey.stderr, "GUARDIAN_SMOKE_READ_KEY")

        const doctor = yield* run(["doctor", "--json", "--data-dir", dataDir], env)
        const { checks } = JSON.parse(doctor.stdout) as {
          checks: ReadonlyArray<{ name: string; area: string; detail: string }>
        }
        const runs = checks.find(({ area, name }) => area === "warehouse" && name === "runs")
        assert.include(runs?.detail, server.url)
        assert.notInclude(doctor.stdout, server.passwords.writer)
      }),
    180_000
  )

  it.live("says which step failed, and what to do", () =>
    Effect.gen(function*() {
      const nobody = yield* freePort(undefined)
      const away = yield* smoke({ collector: nobody, api: nobody }, {})
      assert.strictEqual(away.code, 1)
      assert.match(away.stdout, /^FAIL {2}api /)
      assert.match(away.stderr, /smoke failed at api: .* does not answer.*--api/)

      const fake = yield* fakeInstallation
      const steps: Array<readonly [say: Partial<FakeAnswers>, step: string, message: RegExp]> = [
        [{ ready: [503, { missing: ["warehouse"] }] }, "api", /not ready: warehouse/],
        [{ collect: [503, { detail: "the log is away" }] }, "collector", /503: the log is away.*brokers/],
        [{ trace: [404, {}] }, "accepted", /not within 1 s.*7 records behind.*role pipeline/],
        [
          { trace: [200, { data: [{ outcome: "late", why: "behind the watermark" }] }] },
          "accepted",
          /late: behind.*clock/
        ],
        [{ session: [404, {}] }, "session", /no session s1 yet.*guardian audit/],
        [{ session: [200, { data: { session: { visitor_id: "x", events: 2 } } }] }, "session", /2 events of visitor x/],
        [
          { pipeline: [200, { data: { ...stored, partitions: [{ partition: 1, next_offset: 5 }] } }] },
          "kpis",
          /not past the event/
        ],
        [{ day: [200, { data: { refreshed_at: "before" } }] }, "kpis", /3 days.*kpi_backlog/]
      ]
      for (const [say, step, message] of steps) {
        fake.answers = { ...well, ...say }
        const ended = yield* smoke({ collector: fake.port, api: fake.port }, {}, "--json", "--timeout", "1")
        assert.strictEqual(ended.code, 1, step)
        assert.match(ended.stderr, message)
        assert.strictEqual(reportOf(ended).steps.at(-1)?.step, step)
      }
      fake.answers = well
      const anew = yield* smoke({ collector: fake.port, api: fake.port }, {}, "--timeout", "5")
      assert.match(anew.stdout, /2026-03-02 were computed anew at time \d+;/, anew.stderr)
      assert.strictEqual(anew.code, 0)
      // A day without other events has no figures, and nothing waits.
      fake.answers = { ...well, day: [404, {}], pipeline: [200, { data: { ...stored, kpi_backlog: {} } }] }
      const quiet = yield* smoke({ collector: fake.port, api: fake.port }, {}, "--timeout", "5")
      assert.include(quiet.stdout, "nothing waits", quiet.stderr)
      assert.strictEqual(quiet.code, 0)
    }), 120_000)
})

describe("the migration", () => {
  it("means the same visitors as the command", () => {
    const sql = readFileSync(join(import.meta.dirname, "../../../clickhouse/0021_smoke_visitors.sql"), "utf8")
    const statements = sql.split("\n").filter((line) => !line.startsWith("--")).join("\n")
    assert.strictEqual(statements.split(`NOT startsWith(visitor_id, '${smokeVisitorPrefix}')`).length - 1, 3)
  })
})

type FakeAnswer = readonly [status: number, body: object]
interface FakeAnswers {
  readonly ready: FakeAnswer
  readonly collect: FakeAnswer
  readonly trace: FakeAnswer
  readonly session: FakeAnswer
  readonly pipeline: FakeAnswer
  readonly day: FakeAnswer
}

const stored = { lag: 7, kpi_backlog: { days: 3 }, partitions: [{ partition: 1, next_offset: 6 }] }

const well: FakeAnswers = {
  ready: [200, {}],
  collect: [200, { receipts: [{ status: "accepted", partition: 1, offset: 5 }] }],
  trace: [200, { data: [{ outcome: "accepted", session_id: "s1" }] }],
  session: [200, { data: { session: { visitor_id: "ours", events: 1, started_at: "2026-03-01T23:30:00Z" } } }],
  pipeline: [200, { data: stored }],
  day: [200, { data: { refreshed_at: "time now" } }]
}

/** Answers in every place as it is told; "ours" stands for the visitor that smoke has sent, now for another word each time. */
const fakeInstallation = Effect.gen(function*() {
  const fake = { answers: well, port: 0 }
  let visitor = ""
  let asked = 0
  const server = createServer(async (request, response) => {
    let sent = ""
    for await (const chunk of request) sent += String(chunk)
    const url = request.url ?? ""
    if (url === "/collect") visitor = (JSON.parse(sent) as { events: [{ visitor_id: string }] }).events[0].visitor_id
    const { collect, day, pipeline, ready, session, trace } = fake.answers
    const [status, body] = url === "/readyz" ?
      ready :
      url === "/collect" ?
      collect :
      url.endsWith("/trace") ?
      trace :
      url.includes("/sessions/") ?
      session :
      url.endsWith("/stats") ?
      [200, { data: { time_zone: "Europe/Berlin" } }] as const :
      url.endsWith("/pipeline") ?
      pipeline :
      // The day of the event in the zone of the figures.
      url.endsWith("/metrics/daily/2026-03-02") ?
      day :
      [500, { detail: `nobody asks for ${url}` }] as const
    response.writeHead(status, { "content-type": "application/json" })
    response.end(JSON.stringify(body).replace('"ours"', JSON.stringify(visitor)).replace("now", String(asked++)))
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.sync(() => void server.close())
  )
  fake.port = (server.address() as AddressInfo).port
  return fake
})
