import { Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { changeKeys } from "../../../src/cli/WriteKeysFile.ts"
import { makeKey } from "../../../src/collector/WriteKeys.ts"
import { run } from "../CommandRun.ts"
import { exitCode, guardian, start } from "../GuardianProcess.ts"

const dataDir = mkdtempSync(join(tmpdir(), "guardian-keys-"))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

const keys = (...args: ReadonlyArray<string>) => run(["keys", ...args, "--data-dir", dataDir])
const file = join(dataDir, "write-keys.json")
const everywhere = ["serve", "--role", "collector", "--data-dir", dataDir, "--collector-host", "0.0.0.0"]

describe("guardian keys", () => {
  it("guards a collector that strangers can reach: none without a key, none with a revoked one", async () => {
    const refused = await guardian([...everywhere, "--collector-port", "0"])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain("guardian keys add")

    const { key } = JSON.parse((await keys("add", "shop", "--json")).stdout) as { key: string }
    expect(readFileSync(file, "utf8")).not.toContain(key)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect((await keys("add", "shop")).failure).toContain("revoke it first")
    expect((await keys("add", "a b")).failure).toContain("no name")

    const child = start([...everywhere, "--collector-port", "0"])
    try {
      const port = await new Promise<string>((resolve, reject) => {
        let said = ""
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          said += text
          const match = /Collector at http:\/\/[^ ]+:(\d+)/.exec(said)
          if (match !== null) resolve(match[1]!)
        })
        child.once("close", () => reject(new Error(said)))
      })
      const send = async (authorization: string) => {
        const body = `{"visitor_id":"v","event_ts":${Date.now()},"event_type":"view"}`
        return (await fetch(`http://127.0.0.1:${port}/collect`, { method: "POST", body, headers: { authorization } }))
          .status
      }
      expect(await send("")).toBe(401)
      expect(await send(`Bearer ${key}`)).toBe(200)
      expect((await keys("revoke", "shop")).failure).toBeUndefined()
      const deadline = Date.now() + 20_000
      while (await send(`Bearer ${key}`) !== 401) expect(Date.now()).toBeLessThan(deadline)
    } finally {
      child.kill("SIGTERM")
    }
    expect(await exitCode(child)).toBe(0)
    expect((await keys("list")).stdout).toMatch(/shop .*revoked/)
    expect((await keys("revoke", "shop")).failure).toContain("no key")
  }, 180_000)

  it("keeps every key of changes that are made at once", async () => {
    const names = Array.from({ length: 12 }, (_, i) => `at-once-${i}`)
    const add = (name: string) =>
      changeKeys(
        dataDir,
        (known) =>
          Effect.as(Effect.yieldNow, [...known, makeKey({ name, created_at: "2026-01-01T00:00:00.000Z" }).kept])
      )
    await Effect.runPromise(Effect.forEach(names, add, { concurrency: "unbounded" }))
    // And from other processes.
    const others = await Promise.all(
      ["p1", "p2", "p3"].map((name) => guardian(["keys", "add", name, "--data-dir", dataDir]))
    )
    expect(others.map(({ code }) => code)).toEqual([0, 0, 0])
    const kept = JSON.parse((await keys("list", "--json")).stdout) as ReadonlyArray<{ readonly name: string }>
    expect(kept.map(({ name }) => name)).toEqual(expect.arrayContaining([...names, "p1", "p2", "p3"]))
  }, 180_000)
})
