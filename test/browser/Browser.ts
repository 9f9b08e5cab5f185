/** Debian's Chromium, driven by playwright-core; and pages that tell of every complaint. */
import axe from "axe-core"
import { existsSync } from "node:fs"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { chromium } from "playwright-core"
import type { Browser, Page } from "playwright-core"

/** How long a page may take to show what it was asked for, ms: the machine may be busy with other tests. */
export const patienceMs = 60_000

/** Where the system keeps it; `GUARDIAN_CHROMIUM` names another. */
const executable = (): string => {
  const places = (process.env["PATH"] ?? "").split(delimiter)
  const found = [
    process.env["GUARDIAN_CHROMIUM"] ?? "",
    ...["chromium", "chromium-browser", "google-chrome"].flatMap((name) => places.map((place) => join(place, name)))
  ].find((path) => path !== "" && existsSync(path))
  if (found === undefined) {
    throw new Error("no Chromium: apt-get install chromium, or say where it is in GUARDIAN_CHROMIUM")
  }
  return found
}

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: executable(),
    // Its sandbox does not work for root, who runs tests in containers.
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : []
  })

export interface Look {
  readonly scheme: "light" | "dark"
  readonly width: number
}

export const looks: ReadonlyArray<Look> = [
  { scheme: "light", width: 1_440 },
  { scheme: "dark", width: 1_440 },
  { scheme: "light", width: 390 },
  { scheme: "dark", width: 390 }
]

export interface Watched {
  readonly page: Page
  /** What the console, scripts and requests complained of since it was asked last. */
  readonly complaints: () => ReadonlyArray<string>
}

/** A new tab in a session of its own. */
export const openTab = async (browser: Browser, look: Look = looks[0]!): Promise<Watched> => {
  const context = await browser.newContext({
    colorScheme: look.scheme,
    viewport: { width: look.width, height: 900 },
    locale: "en-GB",
    timezoneId: "America/New_York",
    acceptDownloads: true
  })
  const page = await context.newPage()
  page.setDefaultTimeout(patienceMs)
  const found: Array<string> = []
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") found.push(`${message.type()}: ${message.text()}`)
  })
  page.on("pageerror", (error) => found.push(`script: ${error.stack ?? error.message}`))
  page.on("dialog", (dialog) => {
    found.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on("response", (response) => {
    if (response.status() >= 400) found.push(`${response.status()}: ${response.url()}`)
  })
  return { page, complaints: () => found.splice(0) }
}

/** Waits until nothing of the page is still loading. */
export const settled = (page: Page): Promise<unknown> =>
  page.waitForFunction(() => document.querySelector("h1") !== null && document.querySelector(".loading") === null)

/** What axe-core finds wrong, one line each. */
export const violations = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe.source)
  const found = await page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run()
    return violations.map(({ help, id, nodes }) =>
      `${id}: ${help}: ${nodes.map(({ html }) => html).slice(0, 3).join(" ")}`
    )
  })
  return found
}

/** How far the page reaches beyond the window sideways, px. */
export const overhang = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)

export const pictureFolder = (): Promise<string> => mkdtemp(join(tmpdir(), "guardian-screenshots-"))
