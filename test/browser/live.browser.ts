/** The dashboard over simulated traffic as it comes, with hostile events among it. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Browser } from "playwright-core"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { launch, looks, openTab, overhang, pictureFolder, settled, violations } from "./Browser.ts"
import { placesOf } from "./Places.ts"
import { serve, until } from "./Server.ts"
import type { Server } from "./Server.ts"

/** Runs when it is taken for markup, in any of the ways that a page may do so. */
const hostile = `"><img src=x onerror="window.planted=1"><script>window.planted=1</script>`
const visitor = `<img src=x onerror="window.planted=1">`
const minute = 60_000

let dataDir: string
let server: Server
let browser: Browser

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "guardian-browser-"))
  server = await serve({ command: ["demo", "--rate", "100"], dataDir })
  browser = await launch()
  await plant()
  await until(
    async () =>
      (await server.sql<{ n: number }>("SELECT count() AS n FROM anomalies").catch(() => []))[0]?.n || undefined,
    "the first finding",
    180_000
  )
  await until(
    async () =>
      (await server.sql<{ n: number }>("SELECT count() AS n FROM daily_metrics").catch(() => []))[0]?.n || undefined,
    "the first figures of a day",
    180_000
  )
})

afterAll(async () => {
  await browser?.close()
  await server?.stop()
  await rm(dataDir, { recursive: true, force: true })
})

/** Events whose every field is markup: accepted, repeated, late, rejected, and one that is no event. */
const plant = async (): Promise<void> => {
  const now = Date.now()
  const event = (event_id: string, event_ts: number) => ({
    event_id,
    visitor_id: visitor,
    event_ts,
    event_type: "purchase",
    item_id: hostile,
    category: hostile,
    price: "1234567.8901",
    currency: "USD",
    url: `javascript:window.planted=1//${hostile}`,
    referrer: hostile,
    user_agent: hostile,
    properties: { [hostile]: hostile }
  })
  const events = [
    event(hostile, now - 1_000),
    event(hostile, now - 1_000),
    event("planted-late", now - 90 * minute),
    event("planted-future", now + 60 * minute),
    { event_id: "planted-broken", visitor_id: hostile }
  ]
  // Late is what lies behind the watermark of its partition, so there must be one.
  await until(
    async () =>
      (await server.sql<{ n: number }>("SELECT uniqExact(partition) AS n FROM events").catch(() => []))[0]?.n === 6 ||
      undefined,
    "events in all partitions"
  )
  const response = await fetch(`${server.collector}/collect`, { method: "POST", body: JSON.stringify(events) })
  assert.strictEqual(response.status, 202, await response.text())
  await until(
    async () =>
      (await server.sql<{ n: number }>(
          "SELECT (SELECT count() FROM late_events WHERE event_id = 'planted-late') + (SELECT count() FROM rejected_records) + " +
            "(SELECT count() FROM dead_letters) AS n"
        ).catch(() => []))[0]?.n === 3 || undefined,
    "the planted events"
  )
}

describe("over live traffic", () => {
  it("walks every page without a complaint, in dark and light, on wide and narrow windows, and runs nothing that was planted", async () => {
    const pictures = await pictureFolder()
    const id = encodeURIComponent(visitor)
    const [planted] = await server.sql<{ session_id: string }>(
      `SELECT session_id FROM sessions WHERE visitor_id = unhex('${Buffer.from(visitor).toString("hex")}')`
    )
    const places = new Map([
      ...await placesOf(server),
      ["planted-visitor", `?page=visitor&id=${id}`],
      ["planted-session", `?page=session&id=${planted!.session_id}`],
      ["planted-trace", `?page=trace&id=${encodeURIComponent(hostile)}`],
      ["planted-page", "?page=constructor"],
      ["planted-choice", `?page=${encodeURIComponent(hostile)}&date=${encodeURIComponent(hostile)}`]
    ])
    for (const look of looks) {
      const { complaints, page } = await openTab(browser, look)
      for (const [name, query] of places) {
        await page.goto(`${server.url}/${query}`)
        await settled(page)
        if (name === "live") {
          await page.waitForFunction(() => document.querySelector("[data-figure=rate]")?.textContent !== "–")
        }
        await page.screenshot({ path: join(pictures, `${name}-${look.scheme}-${look.width}.png`), fullPage: true })
        const at = `${name}, ${look.scheme}, ${look.width} px`
        assert.deepStrictEqual(await violations(page), [], at)
        assert.isAtMost(await overhang(page), 0, at)
        assert.deepStrictEqual(complaints(), [], at)
        assert.strictEqual(await page.evaluate(() => "planted" in window), false, at)
        assert.strictEqual(await page.locator("main img, main script, main [href^='javascript:']").count(), 0, at)
      }
      await page.context().close()
    }
    console.log(`pictures over live traffic: ${pictures}`)
  })

  it("shows planted markup as the text that it is, and amounts with all their digits", async () => {
    const { page } = await openTab(browser)
    await page.goto(`${server.url}/?page=visitor&id=${encodeURIComponent(visitor)}`)
    await settled(page)
    assert.strictEqual(await page.locator(".head .id").textContent(), visitor)
    assert.include(await page.locator(".pairs").textContent(), "1,234,567.8901 USD")
    await page.locator("tbody a.id").first().click()
    await settled(page)
    assert.include(await page.locator("tbody").last().textContent(), hostile)
    await page.goto(`${server.url}/?page=operations&view=dead`)
    await settled(page)
    assert.include(await page.locator("tbody code").first().textContent(), "<script>")
    await page.context().close()
  })

  it("says where each planted event went", async () => {
    const { page } = await openTab(browser)
    for (
      const [id, outcomes] of [
        [hostile, ["accepted", "duplicate"]],
        ["planted-late", ["late"]],
        ["planted-future", ["rejected"]],
        ["planted-broken", ["dead-lettered"]]
      ] as const
    ) {
      await page.goto(`${server.url}/?page=trace&id=${encodeURIComponent(id)}`)
      await settled(page)
      assert.deepStrictEqual(await page.locator("tbody .status").allTextContents(), [...outcomes])
    }
    await page.context().close()
  })

  it("counts what the checkpoints count, each second anew, and hears of new findings by itself", async () => {
    const { complaints, page } = await openTab(browser)
    const counted = async () =>
      (await server.sql<{ n: number }>(
        "SELECT sum(n) AS n FROM (SELECT max(counters['received']) AS n FROM checkpoints GROUP BY partition)"
      ))[0]!.n
    await page.goto(server.url)
    const shown = async (figure: string) =>
      Number((await page.locator(`[data-figure=${figure}]`).textContent())!.replaceAll(",", ""))
    await page.locator("[data-figure=received]").waitFor()
    for (let turn = 0; turn < 3; turn++) {
      const before = await counted()
      await until(async () => await shown("received") >= before || undefined, "what was counted before")
      const received = await shown("received")
      assert.isAtMost(received, await counted())
      await until(async () => await shown("received") > received || undefined, "more events")
    }
    const sum = await page.evaluate(() => {
      const figure = (name: string) =>
        Number(document.querySelector(`[data-figure=${name}]`)!.textContent!.replaceAll(",", ""))
      return ["accepted", "duplicate", "late", "rejected", "dead_lettered"].reduce(
        (all, name) => all + figure(name),
        0
      ) -
        figure("received")
    })
    assert.strictEqual(sum, 0)
    assert.isAtLeast(await shown("duplicate"), 1)
    await until(async () => await shown("rate") > 0 || undefined, "a rate")
    assert.isAbove(await page.locator("tbody tr").filter({ hasText: "bot-" }).count(), 0)
    assert.deepStrictEqual(complaints(), [])
    await page.context().close()
  })

  it("shows the figures of today, provisional, between what SQL counts before and after", async () => {
    const { page } = await openTab(browser)
    const [{ day }] = await server.sql<{ day: string }>(
      "SELECT toString(max(metric_date)) AS day FROM daily_metrics"
    ) as [{ day: string }]
    const clicks = async () =>
      (await server.sql<{ n: number }>(
        `SELECT countIf(event_type IN ('view', 'click')) AS n FROM events WHERE toDate(event_ts) = '${day}'`
      ))[0]!.n
    const before = await clicks()
    await page.goto(`${server.url}/?page=day&date=${day}`)
    await page.locator(".status.provisional").waitFor()
    const shown = async () =>
      Number((await page.locator("[data-metric=total_clicks]").textContent())!.replaceAll(",", ""))
    await until(async () => await shown() >= before || undefined, "the clicks that were there before", 120_000)
    assert.isAtMost(await shown(), await clicks())
    await page.getByRole("link", { name: "Flagged" }).click()
    await settled(page)
    await page.locator("[data-metric=total_clicks]").waitFor()
    assert.isAbove(await shown(), 0)
    await page.context().close()
  })
})
