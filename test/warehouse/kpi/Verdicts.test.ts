import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { clearVerdict, flaggedSessions, setVerdict, verdictHistory } from "../../../src/operations/verdicts/Verdicts.ts"
import type { VerdictTarget } from "../../../src/operations/verdicts/Verdicts.ts"
import { crawlerList } from "../../../src/warehouse/CrawlerList.ts"
import { applyReporting } from "../../../src/warehouse/Reporting.ts"
import type { PersonVerdict } from "../../support/KpiTruth.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { eventually } from "../embedded/eventually.ts"
import { click, kpiPlace } from "./KpiPlace.ts"

const minute = 60_000
const hour = 60 * minute
const day = Date.UTC(2026, 0, 5)
const crawler = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
const browser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
const patterns = new RegExp(crawlerList.patterns.join("|"))
const isCrawler = (userAgent: string): boolean => userAgent !== "" && patterns.test(userAgent)
const who = { reason: "scrapes prices", author: "grace" }

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("verdicts", (it) => {
  it.effect(
    "correct a final day when they are set and when they are cleared, by the schedule of the views alone",
    () =>
      Effect.gen(function*() {
        const place = yield* kpiPlace({ timeZone: "UTC", partitions: 1 })
        // Ten visitors with a purchase each; "bot-9" is one of them and makes a tenth of everything.
        yield* place.append(
          Array.from({ length: 100 }, (_, i) => {
            const time = day + i * 5 * minute
            return click(
              `bot-${i % 10}`,
              time,
              i < 10 ? { eventType: "purchase", itemId: "a", price: 10_0000 } : { itemId: "a" }
            )
          })
        )
        yield* place.append([click("clock", day + 30 * hour)])
        yield* place.drain()
        const before = yield* place.settled
        assert.strictEqual(before.metrics["2026-01-05 clean"]!["total_revenue"], 100_0000n)
        const bot: VerdictTarget = { scope: "visitor", id: "bot-9" }
        const shows = Effect.fnUntraced(function*(what: string, revenue: string) {
          const began = performance.now()
          yield* eventually(
            what,
            Effect.map(
              place.warehouse.query(
                "SELECT total_revenue FROM daily_metrics WHERE metric_date = '2026-01-05' AND segment = 'clean'"
              ),
              ([row]) => row!["total_revenue"] === revenue
            ),
            60_000
          )
          console.log(`${what}: shown after ${Math.round(performance.now() - began)} ms`)
        })
        yield* setVerdict(bot, "bot", who).pipe(place.inWarehouse)
        yield* shows("a verdict that was set", "90")
        const verdicts: ReadonlyArray<PersonVerdict> = [{ ...bot, verdict: "bot" }]
        const during = yield* place.settled
        assert.deepStrictEqual(during, yield* place.truth({ timeZone: "UTC", verdicts, isCrawler }))
        assert.strictEqual(during.metrics["2026-01-05 flagged"]!["total_clicks"], 9)
        assert.deepStrictEqual(during.metrics["2026-01-05 all"], before.metrics["2026-01-05 all"])
        assert.deepStrictEqual(
          yield* place.warehouse.query(
            "SELECT status, verdicts FROM daily_metrics WHERE metric_date = '2026-01-05' AND segment = 'all'"
          ),
          [{ status: "final", verdicts: "1" }]
        )
        yield* clearVerdict(bot, { reason: "was our own test", author: "linus" }).pipe(place.inWarehouse)
        yield* shows("a verdict that was cleared", "100")
        assert.deepStrictEqual(yield* place.settled, before)
        assert.deepStrictEqual(
          (yield* verdictHistory(bot).pipe(place.inWarehouse)).map((
            { author, holds, reason, verdict }
          ) => [verdict, reason, author, holds]),
          [["", "was our own test", "linus", false], ["bot", "scrapes prices", "grace", false]]
        )
      }),
    120_000
  )

  it.effect(
    "of rules flag the session that the window overlaps and no other; withdrawn they flag nothing",
    () =>
      Effect.gen(function*() {
        const settings = { highFrequencyClicks: 1_000, botLikeClicks: 3, botLikeDiversity: 0.5 }
        const place = yield* kpiPlace({ timeZone: "UTC", settings, partitions: 1 })
        const burst = (time: number, item: (i: number) => string, count = 4) =>
          Array.from({ length: count }, (_, i) => click("ada", time + i * 1_000, { itemId: item(i) }))
        yield* place.append([
          click("ada", day),
          ...burst(day + 2 * hour, () => "same"),
          click("ada", day + 2 * hour + 20 * minute),
          click("ada", day + 4 * hour)
        ])
        yield* place.drain()
        const truth = place.truth({ timeZone: "UTC", verdicts: [], isCrawler })
        const found = yield* place.settled
        assert.deepStrictEqual(found, yield* truth)
        assert.strictEqual(found.metrics["2026-01-05 flagged"]!["sessions"], 1)
        assert.strictEqual(found.metrics["2026-01-05 flagged"]!["total_clicks"], 5)
        // Found, and in the next flush taken back by other items.
        yield* place.append(burst(day + 6 * hour, () => "same"))
        yield* place.drain()
        assert.strictEqual((yield* place.settled).metrics["2026-01-05 flagged"]!["sessions"], 2)
        yield* place.append(burst(day + 6 * hour + 4_000, (i) => `other-${i}`, 5))
        yield* place.drain()
        const withdrawn = yield* place.settled
        assert.deepStrictEqual(withdrawn, yield* truth)
        assert.strictEqual(withdrawn.metrics["2026-01-05 flagged"]!["sessions"], 1)
      }),
    120_000
  )

  it.effect(
    "of user agents follow the first event of a session, and a person's beats them and all others",
    () =>
      Effect.gen(function*() {
        const place = yield* kpiPlace({ timeZone: "UTC", partitions: 1 })
        yield* place.append([
          click("crawl", day, { userAgent: crawler }),
          click("crawl", day + 25 * minute),
          click("human", day + minute, { userAgent: browser }),
          click("turns", day + 20 * minute, { userAgent: browser })
        ])
        yield* place.drain()
        const none = place.truth({ timeZone: "UTC", verdicts: [], isCrawler })
        const found = yield* place.settled
        assert.deepStrictEqual(found, yield* none)
        assert.strictEqual(found.metrics["2026-01-05 flagged"]!["total_clicks"], 2)
        // An earlier event comes late, but not too late: now the session begins with a crawler.
        yield* place.append([click("turns", day + 16 * minute, { userAgent: crawler })])
        yield* place.drain()
        const turned = yield* place.settled
        assert.deepStrictEqual(turned, yield* none)
        assert.strictEqual(turned.metrics["2026-01-05 flagged"]!["sessions"], 2)
        const first = (yield* flaggedSessions(10).pipe(place.inWarehouse)).find(({ source }) => source === "user_agent")
        const verdicts: Array<PersonVerdict> = []
        const judge = (verdict: PersonVerdict) =>
          Effect.gen(function*() {
            verdicts.push(verdict)
            yield* setVerdict(verdict, verdict.verdict, who).pipe(place.inWarehouse)
            assert.deepStrictEqual(yield* place.settled, yield* place.truth({ timeZone: "UTC", verdicts, isCrawler }))
          })
        yield* judge({ scope: "session", id: first!.sessionId, verdict: "human" })
        yield* judge({ scope: "visitor", id: "human", verdict: "bot" })
        yield* judge({ scope: "visitor", id: "crawl", verdict: "unknown" })
        yield* judge({ scope: "visitor", id: "turns", verdict: "bot" })
      }),
    120_000
  )

  it.effect(
    "on a session follow it into the one that absorbs it, with the events that it had in other quarters",
    () =>
      Effect.gen(function*() {
        const place = yield* kpiPlace({ timeZone: "UTC", partitions: 1, settings: { latenessMs: hour } })
        yield* place.append([
          click("ada", day + hour),
          click("ada", day + hour + 40 * minute),
          click("ada", day + hour + 60 * minute)
        ])
        yield* place.drain()
        const rows = yield* place.warehouse.query("SELECT session_id FROM sessions ORDER BY session_id DESC")
        const later = String(rows[0]!["session_id"])
        yield* setVerdict({ scope: "session", id: later }, "bot", who).pipe(place.inWarehouse)
        assert.strictEqual((yield* place.settled).metrics["2026-01-05 flagged"]!["total_clicks"], 2)
        yield* place.append([click("ada", day + hour + 20 * minute)])
        yield* place.drain()
        const verdicts: ReadonlyArray<PersonVerdict> = [{ scope: "session", id: later, verdict: "bot" }]
        const merged = yield* place.settled
        assert.deepStrictEqual(merged, yield* place.truth({ timeZone: "UTC", verdicts, isCrawler }))
        assert.strictEqual(merged.metrics["2026-01-05 flagged"]!["total_clicks"], 4)
        // Cleared by the id that lives.
        const [living] = yield* place.warehouse.query("SELECT session_id FROM sessions")
        yield* clearVerdict({ scope: "session", id: String(living!["session_id"]) }, who).pipe(place.inWarehouse)
        assert.deepStrictEqual(yield* place.settled, yield* place.truth({ timeZone: "UTC", verdicts: [], isCrawler }))
      }),
    120_000
  )

  it.effect("of user agents are those of the list that held when the session opened", () =>
    Effect.gen(function*() {
      const list = (name: string) => ({ source: name, patterns: [`^${name}/`] })
      const place = yield* kpiPlace({ timeZone: "UTC", partitions: 1, crawlers: list("old") })
      const visits = (at: number) =>
        ["old/1", "new/1", browser].map((userAgent, i) => click(`${userAgent} ${at}`, at + i * minute, { userAgent }))
      yield* place.append(visits(day))
      yield* place.drain()
      yield* applyReporting({ timeZone: "UTC" }, place.settings, list("new")).pipe(place.inWarehouse)
      // Half an hour and a day and a half after the watermark; the day between is still the old list's.
      yield* place.append([...visits(day + hour), ...visits(day + 36 * hour)])
      yield* place.drain()
      yield* place.settled
      const flagged = yield* place.warehouse.query(
        `SELECT visitor_id FROM sessions WHERE session_id IN (SELECT session_id FROM flagged_sessions) ORDER BY started_at`
      )
      assert.deepStrictEqual(
        flagged.map((row) => row["visitor_id"]),
        [`old/1 ${day}`, `old/1 ${day + hour}`, `new/1 ${day + 36 * hour}`]
      )
    }), 120_000)

  it.effect("are kept letter for letter, whatever was written", () =>
    Effect.gen(function*() {
      const place = yield* kpiPlace({ timeZone: "UTC" })
      const texts = [
        "'); DROP TABLE verdicts; --",
        "a\\'b\\",
        "{id:String}",
        "tab\t line\n return\r zero\0 end",
        "\\N",
        "%27 + ? & = #",
        "ünï 🛒"
      ]
      for (const text of texts) {
        const target: VerdictTarget = { scope: "visitor", id: text }
        yield* setVerdict(target, "bot", { reason: text, author: text }).pipe(place.inWarehouse)
        const given = yield* verdictHistory(target).pipe(place.inWarehouse)
        assert.deepStrictEqual(given.map(({ author, id, reason }) => [id, reason, author]), [[text, text, text]])
      }
    }), 60_000)

  it.effect("are refused where there is nothing to judge or to take back", () =>
    Effect.gen(function*() {
      const place = yield* kpiPlace({ timeZone: "UTC" })
      const session: VerdictTarget = { scope: "session", id: "0".repeat(32) }
      const refused = yield* Effect.flip(setVerdict(session, "bot", who).pipe(place.inWarehouse))
      assert.match(refused.message, /no session 0/)
      const nothing = yield* Effect.flip(clearVerdict({ scope: "visitor", id: "ada" }, who).pipe(place.inWarehouse))
      assert.match(nothing.message, /No verdict of a person stands on visitor ada/)
    }))
})
