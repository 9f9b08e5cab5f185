/** A command whose engine is killed at whatever it is doing: starting, migrating, flushing, waiting for KPIs. It waits, and ends as if nothing had been. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach, beforeEach, expect, it } from "vitest"
import { exitCode, guardian, start } from "./GuardianProcess.ts"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "guardian-engine-killed-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))

/** The engine that `parent` runs now. */
const engineOf = (parent: number): number | undefined => {
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8")
      const parentOf = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
      if (parentOf === parent && readFileSync(`/proc/${entry}/cmdline`, "utf8").includes("engineMain")) {
        return Number(entry)
      }
    } catch {
      // Gone meanwhile.
    }
  }
  return undefined
}

/** After so many ms of its life each engine is killed; those after the last one live. */
const lives = [0, 150, 1_000, 1_300, 1_700, 2_100, 2_600, 3_000, 3_300, 3_700]

it("imports all of a file while the engine is killed again and again", async () => {
  const file = join(folder, "clicks.csv")
  const dataDir = join(folder, "data")
  const begin = 1_767_225_600
  const lines = Array.from({ length: 30_000 }, (_, i) => `v${i % 500},${begin + i * 7},view,item-${i % 40}`)
  writeFileSync(file, `visitor_id,event_ts,event_type,item_id\n${lines.join("\n")}\n`)
  const child = start(["import", file, "--data-dir", dataDir])
  let stderr = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
  child.stdout.resume()
  const ended = exitCode(child).then((code) => ({ code }))
  const kills: Array<number> = []
  const killing = (async () => {
    for (const life of lives) {
      let engine: number | undefined
      while (engine === undefined || kills.includes(engine)) {
        if (child.exitCode !== null) return
        engine = engineOf(child.pid!)
        await sleep(10)
      }
      await sleep(life)
      if (child.exitCode !== null) return
      process.kill(engine, "SIGKILL")
      kills.push(engine)
    }
  })()
  const { code } = await ended
  await killing
  expect(code, stderr).toBe(0)
  expect(kills.length).toBeGreaterThan(4)
  const audit = await guardian(["audit", "--all", "--data-dir", dataDir])
  expect(audit.code, audit.stdout + audit.stderr).toBe(0)
  const { stdout } = await guardian(["sql", "SELECT count() FROM events", "--data-dir", dataDir])
  expect(stdout.trim().split("\n").at(-1)).toBe("30000")
}, 180_000)
