/** The dashboard over history that stands still, on a server that wants keys: what it shows is what SQL says. */
import { createHash } from "node:crypto"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Browser, Page } from "playwright-core"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { guardian } from "../cli/GuardianProcess.ts"
import { launch, looks, openTab, overhang, pictureFolder, settled, violations } from "./Browser.ts"
import type { Look, Watched } from "./Browser.ts"
import { placesOf } from "./Places.ts"
import { fill, kpisDone, serve, until } from "./Server.ts"
import type { Server } from "./Server.ts"

const keys = { read: "read-key-of-the-test", admin: "admin-key-of-the-test" }
const hashOf = (key: string) => createHash("sha256").update(key).digest("hex")
const env = {
  GUARDIAN_API_READ_KEYS: `team=${hashOf(keys.read)}`,
  GUARDIAN_API_ADMIN_KEYS: `boss=${hashOf(keys.admin)}`
}

let dataDir: string
let server: Server
let browser: Browser
let day: string

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "guardian-browser-"))
  console.log(`history: ${await fill(dataDir)}`)
  const { code, stderr } = await guardian(["audit", "--data-dir", dataDir])
  assert.strictEqual(code, 0, stderr)
  server = await serve({ command: ["serve"], dataDir, env })
  await kpisDone(server)
  browser = await launch()
  day = (await server.sql<{ day: string }>(
    "SELECT toString(toDate(event_ts)) AS day FROM events GROUP BY day ORDER BY count() DESC, day LIMIT 1"
  ))[0]!.day
})

afterAll(async () => {
  await browser?.close()
  await server?.stop()
  await rm(dataDir, { recursive: true, force: true })
})

/** A tab that has given the read key. */
const openWithKey = async (look?: Look): Promise<Watched> => {
  const tab = await openTab(browser, look)
  await tab.page.goto(server.url)
  await tab.page.getByLabel("Read key", { exact: true }).fill(keys.read)
  await tab.page.getByRole("button", { name: "Use this key" }).click()
  await settled(tab.page)
  tab.complaints()
  return tab
}

const show = async (page: Page, query: string): Promise<void> => {
  await page.goto(`${server.url}/${query}`)
  await settled(page)
}

/** The text of each cell of a table by its caption. */
const cells = (page: Page, caption: string): Promise<ReadonlyArray<ReadonlyArray<string>>> =>
  page.locator("table").filter({ has: page.locator(`caption:text-is("${caption}")`) }).locator("tbody tr").evaluateAll(
    (rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent!.trim()))
  )

const grouped = (value: number | string): string => {
  const [whole, fraction] = String(value).split(".")
  return whole!.replaceAll(/\B(?=(\d{3})+$)/g, ",") + (fraction === undefined ? "" : `.${fraction}`)
}

describe("over history", () => {
  it("asks for a key, keeps it in the tab and out of the address", async () => {
    const { page } = await openTab(browser)
    await page.goto(`${server.url}/?page=day`)
    await page.getByLabel("Read key", { exact: true }).fill("a wrong key")
    await page.keyboard.press("Enter")
    await page.getByText("The key that was given does not fit.").waitFor()
    assert.deepStrictEqual(await violations(page), [])
    await page.getByLabel("Read key", { exact: true }).fill(keys.read)
    await page.keyboard.press("Enter")
    await page.locator("[data-metric=sessions]").waitFor()
    assert.notInclude(page.url(), keys.read)
    assert.strictEqual(await page.evaluate(() => sessionStorage.getItem("guardian.key")), keys.read)
    assert.strictEqual(await page.evaluate(() => JSON.stringify(localStorage)), "{}")
    await page.getByRole("button", { name: "Forget the key" }).click()
    await page.getByLabel("Read key", { exact: true }).waitFor()
    await page.context().close()
  })

  it("walks every page without a complaint, in dark and light, on wide and narrow windows", async () => {
    const pictures = await pictureFolder()
    const places = await placesOf(server)
    for (const look of looks) {
      const { complaints, page } = await openWithKey(look)
      for (const [name, query] of places) {
        await show(page, query)
        await page.screenshot({ path: join(pictures, `${name}-${look.scheme}-${look.width}.png`), fullPage: true })
        const at = `${name}, ${look.scheme}, ${look.width} px`
        assert.deepStrictEqual(await violations(page), [], at)
        assert.isAtMost(await overhang(page), 0, at)
        assert.deepStrictEqual(complaints(), [], at)
        assert.include(await page.locator(".foot").textContent(), "All times in UTC")
      }
      await page.context().close()
    }
    console.log(`pictures over history: ${pictures}`)
  })

  it("shows the figures of a day that SQL counts from events and sessions", async () => {
    const { page } = await openWithKey()
    await show(page, `?page=day&date=${day}`)
    const [events] = await server.sql<Record<string, number | string>>(
      `SELECT countIf(event_type IN ('view', 'click')) AS total_clicks, countIf(event_type = 'purchase') AS total_purchases,
        uniqExact(visitor_id) AS unique_visitors, uniqExactIf(item_id, item_id != '') AS unique_items,
        toDecimalString(sumIf(toDecimal128(price, 4) * quantity, event_type = 'purchase' AND currency IN ('', 'USD')), 2) AS total_revenue
      FROM events WHERE toDate(event_ts) = '${day}'`
    )
    const [sessions] = await server.sql<Record<string, number>>(
      `SELECT count() AS sessions, countIf(purchases > 0) / count() AS conversion_rate, countIf(s.events = 1) / count() AS bounce_rate,
        avg(clicks) AS avg_clicks_per_session FROM sessions AS s WHERE toDate(started_at) = '${day}'`
    )
    const shown = async (metric: string) => (await page.locator(`[data-metric=${metric}]`).textContent())!
    for (const metric of ["total_clicks", "total_purchases", "unique_visitors", "unique_items"]) {
      assert.strictEqual(await shown(metric), grouped(events![metric]!), metric)
    }
    assert.isAbove(Number(events!["total_purchases"]), 0)
    assert.strictEqual(await shown("total_revenue"), `${grouped(events!["total_revenue"]!)} USD`)
    assert.strictEqual(await shown("sessions"), grouped(sessions!["sessions"]!))
    assert.strictEqual(await shown("conversion_rate"), `${(sessions!["conversion_rate"]! * 100).toFixed(2)} %`)
    assert.strictEqual(await shown("bounce_rate"), `${(sessions!["bounce_rate"]! * 100).toFixed(2)} %`)
    assert.strictEqual(await shown("avg_clicks_per_session"), sessions!["avg_clicks_per_session"]!.toFixed(2))
    const stages = await server.sql<{ VIEW: number; PURCHASE: number }>(
      `SELECT countIf(clicks >= 1) AS VIEW, countIf(purchases >= 1) AS PURCHASE FROM sessions WHERE toDate(started_at) = '${day}'`
    )
    assert.strictEqual(await page.locator("[data-stage=VIEW]").textContent(), grouped(stages[0]!.VIEW))
    assert.strictEqual(await page.locator("[data-stage=PURCHASE]").textContent(), grouped(stages[0]!.PURCHASE))
    await page.getByText("Hours as a table").click()
    const hours = await server.sql<Record<string, string>>(
      `SELECT formatDateTime(toStartOfHour(event_ts), '%H:00') AS hour, toString(countIf(event_type IN ('view', 'click'))) AS clicks,
        toString(countIf(event_type = 'purchase')) AS purchases, toString(uniqExact(visitor_id)) AS visitors
      FROM events WHERE toDate(event_ts) = '${day}' GROUP BY hour ORDER BY hour`
    )
    assert.deepStrictEqual(
      (await cells(page, "Traffic by hour")).map((row) => row.slice(0, 4)),
      hours.map((row) => Object.values(row).map((value, at) => at === 0 ? value : grouped(value)))
    )
    await page.context().close()
  })

  it("shows days of a range, their exact sums, and the same as CSV", async () => {
    const { page } = await openWithKey()
    await show(page, "?page=range")
    const rows = await server.sql<Record<string, string>>(
      `SELECT toString(d.day) AS day, toDecimalString(revenue, 2) AS revenue, purchases, clicks, n AS sessions FROM (
        SELECT toDate(event_ts) AS day, countIf(event_type IN ('view', 'click')) AS clicks, countIf(event_type = 'purchase') AS purchases,
          sumIf(toDecimal128(price, 4) * quantity, event_type = 'purchase' AND currency IN ('', 'USD')) AS revenue FROM events GROUP BY day
      ) AS d LEFT JOIN (SELECT toDate(started_at) AS day, count() AS n FROM sessions GROUP BY day) AS s ON s.day = d.day
      WHERE d.day > (SELECT max(toDate(event_ts)) FROM events) - 30 ORDER BY d.day DESC`
    )
    const shown = await cells(page, "Figures by day, newest first")
    assert.deepStrictEqual(
      shown.map((row) => [row[0], row[2], row[3], row[8], row[6]]),
      rows.map((row) => [
        row["day"],
        `${grouped(row["revenue"]!)} USD`,
        grouped(row["purchases"]!),
        grouped(row["clicks"]!),
        grouped(row["sessions"]!)
      ])
    )
    const cents = rows.reduce((sum, { revenue }) => sum + BigInt(revenue!.replace(".", "")), 0n)
    const sum = String(cents).padStart(3, "0").replace(/(..)$/, ".$1")
    assert.strictEqual(await page.locator("tfoot td").nth(2).textContent(), `${grouped(sum)} USD`)
    const download = page.waitForEvent("download")
    await page.getByRole("button", { name: "Save as CSV" }).click()
    const csv = await readFile(await (await download).path(), "utf8")
    assert.strictEqual(csv.trim().split("\n").length, rows.length + 1)
    assert.match(csv, /^"metric_date","segment","total_clicks"/)
    await page.context().close()
  })

  it("shows items, sessions, a session's events, its trace and the offsets as SQL has them", async () => {
    const { page } = await openWithKey()
    await show(page, `?page=items&date=${day}`)
    const items = await server.sql<{ item_id: string; visitors: string }>(
      `SELECT item_id, toString(uniqExact(visitor_id)) AS visitors FROM events WHERE toDate(event_ts) = '${day}' AND item_id != ''
      GROUP BY item_id ORDER BY sumIf(price * quantity, event_type = 'purchase') DESC, countIf(event_type IN ('view', 'click')) DESC, item_id
      LIMIT 50`
    )
    assert.deepStrictEqual(
      (await cells(page, "Popular items")).map((row) => [row[1], row[7]]),
      items.map(({ item_id, visitors }) => [item_id, grouped(visitors)])
    )
    await show(page, "?page=sessions&view=sessions&min_purchases=1")
    const sessions = await server.sql<{ session_id: string; events: string }>(
      "SELECT session_id, toString(events) AS events FROM sessions WHERE purchases >= 1 ORDER BY session_id DESC LIMIT 50"
    )
    const listed = await page.locator("tbody a.id").evaluateAll((links) =>
      links.map((link) => link.getAttribute("title"))
    )
    assert.deepStrictEqual(listed, sessions.map(({ session_id }) => session_id))
    assert.deepStrictEqual((await cells(page, "Sessions")).map((row) => row[3]), sessions.map(({ events }) => events))
    const nextDay = new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10)
    await show(page, `?page=sessions&view=sessions&min_purchases=1&from=${day}&to=${nextDay}`)
    const ofDay = await server.sql<{ session_id: string }>(
      `SELECT session_id FROM sessions WHERE purchases >= 1 AND toDate(started_at) = '${day}' ORDER BY session_id DESC LIMIT 50`
    )
    assert.isNotEmpty(ofDay)
    assert.deepStrictEqual(
      await page.locator("tbody a.id").evaluateAll((links) => links.map((link) => link.getAttribute("title"))),
      ofDay.map(({ session_id }) => session_id)
    )
    await show(page, "?page=sessions&view=sessions&min_purchases=1")
    await page.locator("tbody a.id").first().click()
    await settled(page)
    const events = await server.sql<{ time: string; event_id: string }>(
      `SELECT toString(event_ts) AS time, event_id FROM events WHERE session_id = '${
        sessions[0]!.session_id
      }' ORDER BY event_ts, offset`
    )
    assert.deepStrictEqual(
      (await cells(page, "Events of this session")).map(([time]) => time),
      events.map(({ time }) => time)
    )
    const linked = await page.locator("tbody a.id").evaluateAll((links) =>
      links.map((link) => link.getAttribute("title"))
    )
    assert.deepStrictEqual(linked, events.map(({ event_id }) => event_id))
    assert.strictEqual(await page.locator(".event-axis .mark").count(), events.length)
    await page.locator("tbody a.id").first().click()
    await settled(page)
    const [trace] = await cells(page, "Records with this id")
    const [stored] = await server.sql<{ place: string }>(
      `SELECT concat(toString(partition), ':', toString(offset)) AS place FROM events WHERE event_id = '${
        events[0]!.event_id
      }'`
    )
    assert.deepStrictEqual([trace![0], `${trace![2]}:${trace![3]}`], ["accepted", stored!.place])
    await show(page, "?page=operations")
    const offsets = await server.sql<{ partition: string; offset: string }>(
      "SELECT toString(partition) AS partition, toString(max(offset)) AS offset FROM checkpoints GROUP BY partition ORDER BY partition"
    )
    assert.deepStrictEqual(
      (await cells(page, "Progress by partition")).map((row) => row.slice(0, 2)),
      offsets.map(({ offset, partition }) => [partition, grouped(offset)])
    )
    await show(page, "?page=operations&view=audits")
    const [checks] = await server.sql<{ n: number }>("SELECT count() AS n FROM audits FINAL")
    assert.strictEqual((await cells(page, "Checks of the newest audits")).length, checks!.n)
    assert.isAbove(checks!.n, 5)
    await page.context().close()
  })

  it("goes everywhere by keys alone, and back", async () => {
    const { complaints, page } = await openWithKey()
    await show(page, "?page=day")
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "")
    await page.keyboard.press("Tab")
    assert.strictEqual(await focused(), "To the figures")
    await page.keyboard.press("Enter")
    assert.strictEqual(await page.evaluate(() => document.activeElement?.id), "main")
    await page.reload()
    await settled(page)
    for (let presses = 0; (await focused()) !== "Range"; presses++) {
      assert.isBelow(presses, 12)
      await page.keyboard.press("Tab")
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)
      assert.strictEqual(outline, "solid", `focus on ${await focused()} is not to be seen`)
    }
    await page.keyboard.press("Enter")
    await page.waitForURL(/page=range/)
    await settled(page)
    // Whoever arrives is told where, and goes on from the top.
    assert.strictEqual(await focused(), "Range of days")
    assert.strictEqual(await page.title(), "Range · Clickstream Guardian")
    await page.getByRole("combobox", { name: "Figure" }).focus()
    await page.keyboard.type("Sessions")
    await page.waitForURL(/metric=sessions/)
    await page.goBack()
    await page.waitForURL((url) => !url.search.includes("metric"))
    await page.goBack()
    await page.waitForURL(/page=day/)
    await settled(page)
    await page.getByRole("link", { name: "Clean" }).focus()
    await page.keyboard.press("Enter")
    await page.waitForURL(/segment=clean/)
    // A link says all: a new tab shows the same.
    await page.reload()
    await settled(page)
    assert.strictEqual(await page.getByRole("link", { name: "Clean" }).getAttribute("aria-current"), "true")
    assert.deepStrictEqual(complaints(), [])
    await page.context().close()
  })

  it("draws what is missing: no such session, no such event, no such day, a server that does not answer", async () => {
    const { page } = await openWithKey()
    await show(page, `?page=session&id=${"0".repeat(32)}`)
    assert.include(await page.getByRole("alert").textContent(), "There is no session")
    await show(page, "?page=trace&id=nobody")
    await page.getByText("No stored record").waitFor()
    await show(page, "?page=day&date=2001-01-01")
    await page.getByText("No events of this day").waitFor()
    assert.deepStrictEqual(await violations(page), [])
    await page.route("**/api/v1/items/**", (route) => route.fulfill({ status: 503, body: "{}" }))
    await show(page, `?page=items&date=${day}`)
    assert.strictEqual(await page.getByRole("button", { name: "Try again" }).count(), 3)
    assert.deepStrictEqual(await violations(page), [])
    await page.unroute("**/api/v1/items/**")
    await page.getByRole("button", { name: "Try again" }).first().click()
    await page.locator("table").first().waitFor()
    // Who cannot learn which days there are must not say that there are none.
    await page.route("**/api/v1/stats", (route) => route.abort())
    await page.goto(`${server.url}/?page=day`)
    await page.getByRole("alert").waitFor()
    assert.include(await page.getByRole("alert").textContent(), "The API does not answer.")
    assert.deepStrictEqual(await violations(page), [])
    await page.unroute("**/api/v1/stats")
    await page.locator("[data-metric=sessions]").waitFor()
    const released = Promise.withResolvers<void>()
    await page.route("**/api/v1/runs*", async (route) => {
      await released.promise
      await route.continue()
    })
    await page.goto(`${server.url}/?page=operations&view=runs`)
    await page.locator(".panel .loading").waitFor()
    assert.deepStrictEqual(await violations(page), [])
    released.resolve()
    await page.locator("table").waitFor()
    await page.context().close()
  })

  it("says that figures are stale when the API goes away, and goes on by itself when it is back", async () => {
    const { page } = await openWithKey()
    await show(page, `?page=day&date=${day}`)
    const clicks = await page.locator("[data-metric=total_clicks]").textContent()
    await server.stop()
    await page.locator(".state.stale").first().waitFor()
    await page.locator(".lamp.lost").waitFor()
    assert.strictEqual(await page.locator("[data-metric=total_clicks]").textContent(), clicks)
    assert.deepStrictEqual(await violations(page), [])
    server = await serve({ command: ["serve", "--api-port", new URL(server.url).port], dataDir, env })
    await page.locator(".lamp.open").waitFor()
    await page.locator(".state.stale").waitFor({ state: "detached" })
    assert.strictEqual(await page.locator("[data-metric=total_clicks]").textContent(), clicks)
    await page.context().close()
  })

  it("records a verdict with an admin key, shows the reopened day, and clears it again", async () => {
    const { page } = await openWithKey()
    const [session] = await server.sql<{ session_id: string; visitor_id: string; day: string }>(
      `SELECT session_id, visitor_id, toString(toDate(started_at)) AS day FROM sessions WHERE toDate(started_at) = '${day}' ORDER BY clicks DESC, session_id LIMIT 1`
    )
    const flagged = async () =>
      (await server.sql<{ n: number }>(
        `SELECT count() AS n FROM flagged_sessions WHERE session_id = '${session!.session_id}'`
      ))[0]!.n
    await show(page, `?page=session&id=${session!.session_id}`)
    await page.getByText("Clean: no rule").waitFor()
    const record = async (verdict: string) => {
      await page.getByRole("combobox", { name: "Verdict" }).selectOption(verdict)
      await page.getByLabel("Reason").fill("<b>looked</b> at it")
      await page.getByLabel("Your name").fill("the test")
      await page.getByRole("button", { name: "Record" }).click()
    }
    await record("bot")
    await page.getByLabel("Admin key", { exact: true }).fill(keys.admin)
    await page.keyboard.press("Enter")
    await record("bot")
    await page.getByText("Flagged: a person said so.").waitFor({ timeout: 180_000 })
    assert.include(await page.locator(".standing").textContent(), "says the test of this session")
    assert.include(await page.locator(".standing").textContent(), "<b>looked</b> at it")
    // The page knows at once, the KPIs a little later; after a start they stand still for up to a minute.
    await kpisDone(server)
    assert.strictEqual(await flagged(), 1)
    await show(page, `?page=day&date=${day}&segment=flagged`)
    await until(
      async () => (await page.locator("[data-metric=sessions]").textContent()) === "1" || undefined,
      "the flagged session"
    )
    await show(page, `?page=day&date=${day}`)
    assert.include(await page.locator(".day-status").textContent(), "Reopened by the test")
    await show(page, `?page=session&id=${session!.session_id}`)
    await page.getByText("Flagged: a person said so.").waitFor()
    await record("clear")
    await page.getByText("Clean: no rule").waitFor({ timeout: 180_000 })
    await kpisDone(server)
    assert.strictEqual(await flagged(), 0)
    await show(page, "?page=operations&view=verdicts")
    assert.strictEqual((await cells(page, "Verdicts of persons")).length, 2)
    await page.context().close()
  })
})
