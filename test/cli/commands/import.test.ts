/** Imports as their users meet them: a wrong map, a kill, unknown types, bad lines. */
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { guardian, start } from "../GuardianProcess.ts"

const begin = 1_767_225_600
let folder: string
let dataDir: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "guardian-import-"))
  dataDir = join(folder, "data")
  file = join(folder, "clicks.csv")
})
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))

const write = (rows: number, typeOf: (row: number) => string, bad: ReadonlyArray<string> = []) =>
  writeFileSync(
    file,
    [
      "user,time,behavior,item",
      ...Array.from({ length: rows }, (_, i) => `u${i % 50},${begin + i},${typeOf(i)},i${i % 7}`),
      ...bad
    ]
      .join("\n")
  )

const importing = (unit: string, ...more: ReadonlyArray<string>) => [
  "import",
  file,
  "--map",
  `visitor_id=user,event_ts=time:${unit},event_type=behavior,item_id=item`,
  "--data-dir",
  dataDir,
  ...more
]

const asked = async (sql: string) => {
  const { code, stderr, stdout } = await guardian(["sql", sql, "--json", "--data-dir", dataDir])
  expect(code, stderr).toBe(0)
  return stdout.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe("guardian import", () => {
  it(
    "takes a file again of which a wrong map let nothing be accepted, whichever way its times were wrong",
    async () => {
      write(300, () => "view")
      // 1970: before what is taken.
      const tooOld = await guardian(importing("epoch_ms"))
      expect(tooOld.code, tooOld.stderr).toBe(0)
      expect(tooOld.stderr).toContain("no event was accepted")
      expect((await guardian(importing("epoch_ms"))).stderr).toContain("imported into")
      const right = await guardian(importing("epoch_s"))
      expect(right.code, right.stderr).toBe(0)
      expect(
        await asked("SELECT toUInt32(count()) AS n FROM events")
      )
        .toEqual([{ n: 300 }])
      expect((await guardian(importing("epoch_s"))).stderr).toContain("already")
      expect((await guardian(importing("epoch_us"))).stderr).toContain("already")
      expect((await guardian(["audit", "--data-dir", dataDir])).code).toBe(0)
    },
    120_000
  )

  it("does not let rejected times of the future move the log's time", async () => {
    write(300, () => "view")
    writeFileSync(file, readFileSync(file, "utf8").replaceAll(/,(\d{10}),/g, ",$1000,"))
    const wrong = await guardian(importing("epoch_s"))
    expect(wrong.stderr).toContain("no event was accepted")
    const right = await guardian(importing("epoch_ms"))
    expect(right.code, right.stderr).toBe(0)
    expect(await asked("SELECT toUInt32(count()) AS n FROM events")).toEqual([{ n: 300 }])
  }, 120_000)

  it("goes on after a SIGKILL before its records were processed, and counts each once", async () => {
    const rows = 40_000
    write(rows, () => "view")
    const child = start(importing("epoch_s"))
    const log = join(dataDir, "imports.json")
    await vi.waitFor(() => expect(existsSync(log)).toBe(true), { timeout: 30_000, interval: 1 })
    child.kill("SIGKILL")
    const [, signal] = await once(child, "close")
    expect(signal).toBe("SIGKILL")
    expect(JSON.parse(readFileSync(log, "utf8"))).toMatchObject([{ done: false }])
    const again = await guardian(importing("epoch_s", "--json"))
    expect(again.code, again.stderr).toBe(0)
    expect(JSON.parse(again.stdout).drained).toMatchObject({ received: rows, accepted: rows, duplicate: 0, late: 0 })
    expect(await asked("SELECT toUInt32(count()) AS n, toUInt32(uniqExact(visitor_id)) AS v FROM events"))
      .toEqual([{ n: rows, v: 50 }])
    expect((await guardian(importing("epoch_s"))).stderr).toContain("already")
  }, 120_000)

  it("says which event types no KPI counts and how to translate them; --strict minds bad lines", async () => {
    write(100, (i) => i % 10 === 0 ? "buy" : "pv", ["u1,not a time,pv,i1"])
    const { code, stderr, stdout } = await guardian(importing("epoch_s", "--strict"))
    expect(stderr).toContain("pv 90, buy 10")
    expect(stderr).toContain("event_type=behavior:{pv>view,buy>purchase}")
    expect(stdout).toContain("100 accepted")
    expect(stderr).toContain("1 lines were dead-lettered and 0 events rejected (--strict)")
    expect(code).toBe(1)
  }, 60_000)
})

describe("a second guardian serve and demo", () => {
  it("are refused before they say that they start", async () => {
    const first = start(["serve", "--data-dir", dataDir])
    try {
      await once(first.stdout, "data")
      const owner = () => readFileSync(join(dataDir, "pipeline.json"), "utf8")
      await vi.waitFor(() => expect(owner()).toBe(String(first.pid)), { timeout: 30_000 })
      for (const command of ["serve", "demo"]) {
        const second = await guardian([command, "--data-dir", dataDir])
        expect(second).toMatchObject({ code: 1, stdout: "" })
        expect(second.stderr).toContain(`(pid ${first.pid}) is processing`)
      }
    } finally {
      first.kill("SIGTERM")
      await once(first, "close")
    }
  }, 60_000)
})

describe("guardian dictionary", () => {
  it("needs no data directory", async () => {
    const { code, stderr, stdout } = await guardian(["dictionary", "--data-dir", dataDir])
    expect(code, stderr).toBe(0)
    expect(stdout).toBe(readFileSync(new URL("../../../clickhouse/DICTIONARY.md", import.meta.url), "utf8"))
    expect(existsSync(dataDir)).toBe(false)
  }, 60_000)
})
