import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { run } from "../CommandRun.ts"
import type { SampleInstallation } from "../SampleInstallation.ts"
import { sampleInstallation } from "../SampleInstallation.ts"

let sample: SampleInstallation
beforeAll(async () => {
  sample = await sampleInstallation()
})
afterAll(() => sample.remove())

const verdict = async (...args: ReadonlyArray<string>) => {
  const { failure, stdout } = await run(["verdict", ...args, "--json", "--data-dir", sample.dataDir])
  expect(failure).toBeUndefined()
  return JSON.parse(stdout) as unknown
}

describe("guardian verdict", () => {
  it("sets, lists and clears, and keeps who and why", async () => {
    expect(await verdict("list")).toEqual([])
    const set = await verdict("set", "visitor", "visitor-3", "bot", "--reason", "scrapes", "--author", "grace")
    expect(set).toMatchObject({ scope: "visitor", id: "visitor-3", verdict: "bot", reason: "scrapes", author: "grace" })
    expect(await verdict("list")).toMatchObject([{ id: "visitor-3", verdict: "bot", author: "grace", holds: true }])
    await verdict("clear", "visitor", "visitor-3", "--reason", "a mistake", "--author", "linus")
    expect(await verdict("list")).toEqual([])
    expect(await verdict("list", "--visitor", "visitor-3", "--history")).toMatchObject([
      { verdict: "cleared", reason: "a mistake", author: "linus" },
      { verdict: "bot", reason: "scrapes", author: "grace" }
    ])
  })

  it("says what it did to people, and by whom it was asked", async () => {
    const dataDir = ["--data-dir", sample.dataDir]
    const { stdout } = await run(["verdict", "set", "visitor", "nobody", "human", "--reason", "our own", ...dataDir])
    expect(stdout).toMatch(/^visitor nobody: human \(.+: our own\); /)
    expect((await run(["verdict", "list", ...dataDir])).stdout).toContain("nobody")
  })

  it("refuses a verdict without a reason, on no session, or on nothing", async () => {
    const failureOf = async (...args: ReadonlyArray<string>) =>
      (await run(["verdict", ...args, "--data-dir", sample.dataDir])).failure
    expect(await failureOf("set", "visitor", "visitor-3", "bot", "--reason", " ")).toMatch(/needs a --reason/)
    expect(await failureOf("set", "session", "0".repeat(32), "bot", "--reason", "x")).toMatch(/no session/)
    expect(await failureOf("clear", "visitor", "visitor-4", "--reason", "x")).toMatch(/No verdict of a person stands/)
  })
})

describe("guardian drain", () => {
  it("leaves the KPIs up to date", async () => {
    const asked = await run([
      "sql",
      "SELECT sum(total_clicks) AS clicks, sum(sessions) AS sessions FROM daily_metrics WHERE segment = 'all'",
      "--json",
      "--data-dir",
      sample.dataDir
    ])
    const counted = await run([
      "sql",
      "SELECT (SELECT count() FROM events WHERE event_type = 'view') AS clicks, (SELECT count() FROM sessions) AS sessions",
      "--json",
      "--data-dir",
      sample.dataDir
    ])
    expect(JSON.parse(asked.stdout)).toEqual(JSON.parse(counted.stdout))
  })
})
