/** Every question of the API against the story of a small shop: the answers are those of plain SQL. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { CollectorCounters } from "../../src/collector/CollectorCounters.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"
import { recorded } from "../../src/pipeline/RunRecord.ts"
import { refreshKpis } from "../../src/warehouse/KpiBacklog.ts"
import { applyReporting } from "../../src/warehouse/Reporting.ts"
import { Warehouse, WarehouseError } from "../../src/warehouse/Warehouse.ts"
import { tellStory } from "../clickhouse/ShopStory.ts"
import { freshWarehouseWithKpis, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"
import { eventually } from "../warehouse/embedded/eventually.ts"
import { apiPlace, request } from "./ApiPlace.ts"
import { metricsFaults } from "./MetricsLint.ts"

const openShop = Effect.gen(function*() {
  const warehouse = yield* freshWarehouseWithKpis
  const inWarehouse = Effect.provideService(Warehouse, warehouse)
  yield* applyReporting({ timeZone: "UTC" }, defaultCoreSettings).pipe(inWarehouse)
  yield* tellStory(warehouse)
  yield* refreshKpis.pipe(Effect.timeout("3 minutes"), inWarehouse)
  const api = yield* apiPlace(warehouse, { ranges: [{ start: 0, end: 1_000 } as never] })
  const sql = (text: string) => warehouse.query(text)
  return { ...api, warehouse, sql }
})

class Shop extends Context.Service<Shop, Effect.Success<typeof openShop>>()("test/api/Shop") {}

/** One for all: only the last tests change anything. */
const ShopOpen = Layer.effect(Shop, openShop).pipe(Layer.provideMerge(TemporaryWarehouse))

layer(ShopOpen, { excludeTestServices: true, timeout: "4 minutes" })("the API", (it) => {
  it.effect("answers with the numbers that SQL has", () =>
    Effect.gen(function*() {
      const { client, sql } = yield* Shop
      const daily = yield* client.metrics.daily({ query: { segment: "all" } })
      const stored = yield* sql(
        "SELECT toString(metric_date) AS day, total_clicks, toString(total_revenue) AS revenue, sessions, status FROM daily_metrics WHERE segment = 'all' ORDER BY metric_date"
      )
      assert.isAbove(stored.length, 3)
      assert.deepStrictEqual(
        daily.data.map((each) => [each.metric_date, each.total_clicks, each.total_revenue, each.sessions, each.status]),
        stored.map((row) => [
          row["day"],
          Number(row["total_clicks"]),
          row["revenue"],
          Number(row["sessions"]),
          row["status"]
        ]) as never
      )
      // By hand: Ada bought 2 mugs and 4 spoons on the 2nd.
      const second = yield* client.metrics.day({ params: { date: "2026-03-02" }, query: { segment: "all" } })
      assert.deepStrictEqual([second.data.total_revenue, second.data.total_purchases, second.data.sessions], [
        "22",
        2,
        2
      ])
      assert.strictEqual(second.freshness.newest_event, "2026-03-10T08:00:00.001Z")
      const [, clean] = yield* Effect.all([
        client.metrics.day({ params: { date: "2026-03-03" }, query: { segment: "all" } }),
        client.metrics.day({ params: { date: "2026-03-03" }, query: { segment: "clean" } })
      ])
      const flagged = yield* client.metrics.day({ params: { date: "2026-03-03" }, query: { segment: "flagged" } })
      assert.strictEqual(flagged.data.total_clicks, 60)
      assert.strictEqual(clean.data.late_events, 1)
      assert.strictEqual(clean.data.late_repeat, 1)
      const summary = yield* client.metrics.summary({ query: { days: 9, segment: "all" } })
      const [sum] = yield* sql(
        "SELECT sum(total_clicks) AS clicks, sum(d.sessions) AS sessions, toString(sum(total_revenue)) AS revenue FROM daily_metrics AS d WHERE segment = 'all'"
      )
      assert.deepStrictEqual(
        [summary.data.current.total_clicks, summary.data.current.sessions, summary.data.current.total_revenue],
        [Number(sum!["clicks"]), Number(sum!["sessions"]), sum!["revenue"]] as never
      )
      assert.strictEqual(summary.data.previous.sessions, 0)
      const funnel = yield* client.metrics.funnel({ params: { date: "2026-03-02" }, query: { segment: "all" } })
      assert.deepStrictEqual(
        funnel.data.map(({ session_count, stage }) => [stage, session_count]),
        [["VIEW", 2], ["MULTI_VIEW", 1], ["ADD_TO_CART", 1], ["PURCHASE", 1]] as never
      )
      const hourly = yield* client.metrics.hourly({ params: { date: "2026-03-02" }, query: { segment: "all" } })
      assert.deepStrictEqual(hourly.data.map(({ clicks, local_hour, purchases }) => [local_hour, clicks, purchases]), [[
        10,
        3,
        2
      ]])
      const popular = yield* client.items.popular({
        params: { date: "2026-03-02" },
        query: { segment: "all", limit: 10 }
      })
      assert.deepStrictEqual(popular.data.map(({ item_id, rank, revenue }) => [rank, item_id, revenue]), [
        [1, "mug", "16"],
        [2, "spoon", "6"]
      ])
      const categories = yield* client.items.categories({
        params: { date: "2026-03-02" },
        query: { segment: "all", limit: 10 }
      })
      assert.deepStrictEqual(categories.data.map(({ category, revenue }) => [category, revenue]), [["kitchen", "22"]])
      const trending = yield* client.items.trending({ query: { days: 1, segment: "all", limit: 10 } })
      assert.isTrue(trending.data.every(({ clicks }) => clicks > 0))
      const stats = yield* client.operations.stats()
      const [counted] = yield* sql("SELECT count() AS accepted FROM events")
      const { outcomes } = stats.data
      assert.strictEqual(outcomes.accepted, Number(counted!["accepted"]))
      assert.strictEqual(
        outcomes.received,
        outcomes.accepted + outcomes.duplicate + outcomes.late + outcomes.rejected + outcomes.dead_lettered
      )
      assert.deepStrictEqual([outcomes.late, outcomes.rejected, outcomes.dead_lettered, outcomes.duplicate], [
        2,
        1,
        1,
        1
      ])
      const pipeline = yield* client.operations.pipeline()
      assert.strictEqual(pipeline.data.lag, 1_000 - outcomes.received)
      assert.deepStrictEqual(pipeline.data.kpi_backlog, {})
    }))

  it.effect("pages through all sessions once, whatever the size of a page and the filter", () =>
    Effect.gen(function*() {
      const { client, sql } = yield* Shop
      const all = (yield* sql("SELECT session_id FROM sessions ORDER BY session_id DESC")).map((row) =>
        row["session_id"]
      )
      for (const limit of [1, 2, 3, 100]) {
        const seen: Array<string> = []
        for (let cursor: string | null | undefined; cursor !== null;) {
          const page = yield* client.sessions.list({ query: { limit, ...(cursor === undefined ? {} : { cursor }) } })
          assert.isAtMost(page.data.length, limit)
          seen.push(...page.data.map(({ session_id }) => session_id))
          cursor = page.next_cursor
        }
        assert.deepStrictEqual(seen, all as never)
      }
      const buyers = yield* client.sessions.list({ query: { limit: 10, min_purchases: 1 } })
      const bought = yield* sql("SELECT session_id FROM sessions WHERE purchases >= 1 ORDER BY session_id DESC")
      assert.deepStrictEqual(
        buyers.data.map(({ session_id }) => session_id),
        bought.map((row) => row["session_id"]) as never
      )
      const bots = yield* client.sessions.list({ query: { limit: 10, flagged: "true" } })
      assert.deepStrictEqual(bots.data.map(({ visitor_id }) => visitor_id), ["bot"])
      const rest = yield* client.sessions.list({ query: { limit: 100, flagged: "false" } })
      assert.strictEqual(rest.data.length, all.length - 1)
      const [from, to] = ["2026-03-02T00:00:00Z", "2026-03-03T00:00:00+00:00"]
      const day = yield* client.sessions.list({ query: { limit: 100, from, to } })
      assert.deepStrictEqual(day.data.map(({ visitor_id }) => visitor_id), ["bob", "ada"])
    }))

  it.effect("tells of a session, its events, its visitor, its findings, and where an event went", () =>
    Effect.gen(function*() {
      const { client, sql } = yield* Shop
      const [bot] = yield* sql("SELECT session_id, clicks FROM sessions WHERE visitor_id = 'bot'")
      const id = String(bot!["session_id"])
      const one = yield* client.sessions.one({ params: { id } })
      assert.deepStrictEqual([one.data.session.clicks, one.data.flagged_by], [Number(bot!["clicks"]), "rule"])
      const findings = yield* client.anomalies.ofSession({ params: { session_id: id } })
      assert.deepStrictEqual(findings.data, one.data.findings)
      const list = yield* client.anomalies.list({ query: { limit: 100 } })
      assert.strictEqual(list.data.length, Number((yield* sql("SELECT count() AS n FROM anomalies"))[0]!["n"]))
      const first = yield* client.anomalies.list({ query: { limit: 1 } })
      const second = yield* client.anomalies.list({ query: { limit: 1, cursor: first.next_cursor! } })
      assert.deepStrictEqual([...first.data, ...second.data], list.data.slice(0, 2))
      const types = yield* client.anomalies.types()
      const timeline = yield* client.anomalies.timeline({ query: { hours: 24 } })
      const sum = (rows: ReadonlyArray<{ readonly findings: number }>) => rows.reduce((n, row) => n + row.findings, 0)
      assert.deepStrictEqual([sum(types.data), sum(timeline.data)], [list.data.length, list.data.length])
      const events = yield* client.sessions.events({ params: { id }, query: { limit: 1_000 } })
      assert.strictEqual(events.data.length, 60)
      const ada = yield* client.sessions.visitor({ params: { id: "ada" } })
      assert.deepStrictEqual([ada.data.sessions, ada.data.events, ada.data.revenue], [2, 7, "22"])
      // 128 characters are an id, whatever they take in a path: no such visitor, and no such route, are told apart.
      const unknown = yield* Effect.flip(client.sessions.visitor({ params: { id: "ü".repeat(128) } }))
      assert.include(unknown.message, "No visitor")
      const traced = yield* client.operations.trace({ params: { event_id: "e7" } })
      assert.deepStrictEqual(traced.data.map(({ outcome }) => outcome), ["accepted", "late"])
      assert.strictEqual(
        (yield* Effect.flip(client.operations.trace({ params: { event_id: "nobody" } })))._tag,
        "NotFound"
      )
      assert.strictEqual((yield* client.operations.late({ query: { limit: 1 } })).data.length, 1)
      assert.strictEqual((yield* client.operations.rejected({ query: { limit: 5 } })).data.length, 1)
      const dead = yield* client.operations.deadLetters({ query: { limit: 5 } })
      assert.deepStrictEqual(dead.data.map(({ value_base64 }) => Buffer.from(value_base64, "base64").toString()), [
        "no event"
      ])
      const letter = yield* client.operations.trace({ params: { event_id: "event" } })
      assert.deepStrictEqual(letter.data.map(({ outcome }) => outcome), ["dead-lettered"])
      const runs = yield* client.operations.runs({ query: { limit: 5 } })
      const [written] = yield* sql("SELECT uniqExact(run_id) AS runs, count() AS checkpoints FROM checkpoints")
      assert.deepStrictEqual(
        [runs.data.length, runs.data.reduce((sum, { checkpoints }) => sum + checkpoints, 0)],
        [Number(written!["runs"]), Number(written!["checkpoints"])]
      )
      assert.deepStrictEqual(
        runs.data.map(({ started_at, state }) => [started_at, state]),
        runs.data.map(() => [null, null])
      )
      assert.isAbove(runs.data.length, 0)
      assert.deepStrictEqual((yield* client.operations.audits({ query: { limit: 5 } })).data, [])
      const live = yield* client.operations.live()
      const states = yield* live.pipe(Stream.take(2), Stream.runCollect)
      assert.strictEqual(states.length, 2)
      assert.strictEqual(states[0]!.outcomes.late, 2)
      assert.deepStrictEqual(states[0]!.partitions, (yield* client.operations.pipeline()).data.partitions)
    }))

  it.effect("gives rows as CSV and Parquet, and a final day an ETag", () =>
    Effect.gen(function*() {
      const { url } = yield* Shop
      const csv = yield* request(`${url}/api/v1/metrics/funnel/2026-03-02`, { headers: { accept: "text/csv" } })
      assert.match(csv.headers.get("content-type")!, /^text\/csv/)
      assert.strictEqual(
        csv.text.split("\n")[0],
        '"metric_date","segment","stage","session_count","percentage","drop_rate"'
      )
      assert.strictEqual(csv.text.trim().split("\n").length, 5)
      const parquet = yield* request(`${url}/api/v1/sessions?limit=2`, {
        headers: { accept: "application/vnd.apache.parquet" }
      })
      assert.strictEqual(parquet.text.slice(0, 4), "PAR1")
      assert.isNotNull(parquet.headers.get("x-guardian-next-cursor"))
      const day = yield* request(`${url}/api/v1/metrics/daily/2026-03-02`)
      const tag = day.headers.get("etag")!
      assert.match(tag, /^W\//)
      const again = yield* request(`${url}/api/v1/metrics/daily/2026-03-02`, { headers: { "if-none-match": tag } })
      assert.deepStrictEqual([again.status, again.text], [304, ""])
      const open = yield* request(`${url}/api/v1/metrics/daily/2026-03-10`)
      assert.deepStrictEqual([open.headers.get("etag"), open.headers.get("cache-control")], [null, "no-store"])
    }))

  it.effect("tells of runs how they ended, also of those that wrote no checkpoint", () =>
    Effect.gen(function*() {
      const { client, warehouse } = yield* Shop
      const recorder = { insert: warehouse.insert, host: "here", processId: 7 }
      const [known] = (yield* client.operations.runs({ query: { limit: 1 } })).data
      const run = { runId: known!.run_id, logId: "log", settings: defaultCoreSettings }
      let during: string | null | undefined
      yield* recorded(
        recorder,
        run,
        eventually(
          "it runs",
          Effect.map(client.operations.runs({ query: { limit: 1000 } }), ({ data }) => {
            during = data.find(({ run_id }) => run_id === run.runId)?.state
            return during === "running"
          })
        )
      )
      const refusal = new WarehouseError({ message: "settings differ", code: 0, retryable: false })
      yield* Effect.flip(recorded(recorder, { ...run, runId: "refused" }, Effect.fail(refusal)))
      const { data } = yield* client.operations.runs({ query: { limit: 1000 } })
      const shown = (id: string) => data.filter(({ run_id }) => run_id === id)
      assert.deepStrictEqual(
        shown(run.runId).map(({ checkpoints, detail, host, process_id, state }) => [
          state,
          detail,
          host,
          process_id,
          checkpoints
        ]),
        [["stopped", "", "here", 7, known!.checkpoints]]
      )
      assert.deepStrictEqual(
        shown("refused").map(({ checkpoints, detail, first_checkpoint_at, state }) => [
          state,
          detail,
          first_checkpoint_at,
          checkpoints
        ]),
        [["failed", "settings differ", null, 0]]
      )
    }))

  it.effect("publishes metrics that Prometheus takes, by conventional names", () =>
    Effect.gen(function*() {
      const { warehouse } = yield* Shop
      const counters = new CollectorCounters({ bytesInFlight: () => 5, recordsInFlight: () => 0 })
      counters.format("native").accepted += 3
      counters.answered(200)
      const pipeline = new PipelineStatus()
      pipeline.flushes = 2
      pipeline.flushMs.push(20, 40)
      pipeline.flushMsTotal = 60
      const { url } = yield* apiPlace(warehouse, {
        ranges: [{ start: 0, end: 1_000 } as never],
        pipeline: () => pipeline,
        collector: () => counters,
        logNames: { topic: "clicks", group: "mine" }
      })
      yield* request(`${url}/api/v1/stats`)
      const { headers, text } = yield* request(`${url}/metrics`)
      assert.match(headers.get("content-type")!, /^text\/plain; version=0\.0\.4/)
      assert.deepStrictEqual(metricsFaults(text), [])
      for (
        const line of [
          `guardian_collector_events_total{format="native",receipt="accepted"} 3`,
          `guardian_collector_responses_total{status="200"} 1`,
          `guardian_collector_in_flight_bytes 5`,
          `guardian_flush_seconds_sum 0.06`,
          `guardian_flush_seconds_count 2`,
          `guardian_warehouse_up 1`
        ]
      ) {
        assert.include(text.split("\n"), line)
      }
      for (
        const name of [
          `kafka_consumergroup_lag{consumergroup="mine",topic="clicks",`,
          `kafka_topic_partition_current_offset{topic="clicks",`,
          "guardian_records_total{",
          "guardian_event_age_seconds ",
          "guardian_api_requests_total{",
          "guardian_api_request_seconds_bucket{",
          "process_cpu_seconds_total ",
          "process_resident_memory_bytes "
        ]
      ) {
        assert.include(text, `\n${name}`)
      }
    }))

  it.effect("describes itself in valid OpenAPI 3.1, and its documents need no network", () =>
    Effect.gen(function*() {
      const { url } = yield* Shop
      const document = JSON.parse((yield* request(`${url}/openapi.json`)).text)
      assert.match(document.openapi, /^3\.1\./)
      const { Validator } = yield* Effect.promise(() => import("@seriousme/openapi-schema-validator"))
      const verdict = yield* Effect.promise(() => new Validator().validate(document))
      assert.isTrue(verdict.valid, JSON.stringify(verdict.errors))
      assert.isAbove(Object.keys(document.paths).length, 20)
      // What it says of numbers is what the server does.
      let asked = 0
      for (const [path, { get }] of Object.entries<any>(document.paths)) {
        for (const { name, schema } of get?.parameters ?? []) {
          if (schema.type !== "integer" || path.includes("{")) continue
          for (
            const [value, good] of [[schema.minimum - 1, false], [schema.minimum, true], [schema.maximum, true], [
              schema.maximum + 1,
              false
            ]]
          ) {
            const { status } = yield* request(`${url}${path}?${name}=${value}`)
            assert.strictEqual(status, good ? 200 : 400, `${path}?${name}=${value}`)
            asked++
          }
        }
      }
      assert.isAbove(asked, 30)
      const docs = yield* request(`${url}/docs`)
      assert.notMatch(docs.text, /<(script|link)[^>]+(src|href)="?(https?:)?\/\//)
      assert.match(docs.headers.get("content-security-policy")!, /default-src 'none'/)
    }))

  it.effect("records and clears verdicts", () =>
    Effect.gen(function*() {
      const { client } = yield* Shop
      const account = { reason: "seen in the shop", author: "test'; DROP TABLE verdicts; --" }
      yield* client.verdicts.record({ payload: { scope: "visitor", id: "bot", verdict: "human", ...account } })
      const set = yield* client.verdicts.list({ query: { scope: "visitor", id: "bot" } })
      assert.deepStrictEqual(set.data.map(({ author, holds, verdict }) => [verdict, author, holds]), [[
        "human",
        account.author,
        true
      ]])
      yield* client.verdicts.record({ payload: { scope: "visitor", id: "bot", verdict: "clear", ...account } })
      const refused = yield* Effect.flip(
        client.verdicts.record({ payload: { scope: "visitor", id: "bot", verdict: "clear", ...account } })
      )
      assert.strictEqual(refused._tag, "VerdictConflict")
    }))

  it.effect("says by what a session is flagged as the KPIs do, and after a verdict before them", () =>
    Effect.gen(function*() {
      const { client, sql } = yield* Shop
      const rows = yield* sql(
        `SELECT session_id, visitor_id, f.source AS source FROM sessions AS s
         LEFT JOIN (SELECT session_id, source FROM flagged_sessions) AS f ON s.session_id = f.session_id`
      )
      const flaggedBy = (id: string) =>
        Effect.map(client.sessions.one({ params: { id } }), ({ data }) => data.flagged_by)
      for (const row of rows) {
        assert.strictEqual(yield* flaggedBy(String(row["session_id"])), (row["source"] || null) as never)
      }
      assert.isAbove(new Set(rows.map((row) => row["source"])).size, 1)
      const flagged = rows.find((row) => row["source"] !== "" && row["source"] !== "person")
      const id = String(flagged!["session_id"])
      const say = (scope: "session" | "visitor", verdict: "human" | "bot" | "clear") =>
        client.verdicts.record({
          payload: {
            scope,
            id: scope === "session" ? id : String(flagged!["visitor_id"]),
            verdict,
            reason: "r",
            author: "a"
          }
        })
      yield* say("visitor", "human")
      assert.isNull(yield* flaggedBy(id))
      yield* say("session", "bot")
      assert.strictEqual(yield* flaggedBy(id), "person")
      yield* say("session", "clear")
      yield* say("visitor", "clear")
      assert.strictEqual(yield* flaggedBy(id), flagged!["source"] as never)
    }))
})
