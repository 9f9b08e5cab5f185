import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { clientLayer, warehouseLayer } from "../../../src/cli/Installation.ts"
import { Warehouse } from "../../../src/warehouse/Warehouse.ts"
import { run } from "../CommandRun.ts"
import { guardian } from "../GuardianProcess.ts"
import type { SampleInstallation } from "../SampleInstallation.ts"
import { sampleInstallation } from "../SampleInstallation.ts"

let sample: SampleInstallation
beforeAll(async () => {
  sample = await sampleInstallation()
})
afterAll(() => sample.remove())

const audit = (...more: ReadonlyArray<string>) => run(["audit", "--data-dir", sample.dataDir, ...more])
const day = new Date(Math.floor(Date.now() / 60_000) * 60_000 - 60 * 60_000).toISOString().slice(0, 10)

describe("guardian audit", () => {
  it("prints each check with its count, and stores the result", async () => {
    const { failure, stdout } = await audit("--all")
    expect(failure).toBeUndefined()
    expect(stdout).toMatch(/^ok {4}sessions: 31 examined\. Every session is what/m)
    expect(stdout).toMatch(/^ok {4}aliases: 1 examined\./m)
    const auditId = /audit (\S+) of everything, 3 partitions/.exec(stdout)![1]
    const stored = await run([
      "sql",
      `SELECT count(), sum(differences) FROM audits WHERE audit_id = '${auditId}'`,
      "--data-dir",
      sample.dataDir,
      "--format",
      "TSV"
    ])
    expect(stored.stdout).toBe(`${stdout.match(/^ok/gm)!.length}\t0\n`)
  })

  it("takes one day, and prints JSON", async () => {
    const [whole, empty] = [await audit("--day", day, "--json"), await audit("--day", "2001-01-01", "--json")]
    expect(JSON.parse(whole.stdout)).toMatchObject({ scope: day, failed: 0 })
    const examined = JSON.parse(empty.stdout).checks.find(({ name }: { name: string }) => name === "sessions").examined
    expect(examined).toBe(0)
  })

  it("refuses a day that there is not, and two scopes", async () => {
    const ended = await Promise.all(
      [["--day", "2026-02-31"], ["--day", day, "--all"]].map((more) =>
        guardian(["audit", "--data-dir", sample.dataDir, ...more])
      )
    )
    expect(ended.map(({ code }) => code)).toEqual([2, 2])
  })

  it("ends with exit code 1 and the rows that differ when something is wrong", async () => {
    await change(
      "ALTER TABLE sessions_raw UPDATE clicks = clicks + 1 WHERE visitor_id = 'visitor-2' SETTINGS mutations_sync = 1"
    )
    const { code, stderr, stdout } = await guardian(["audit", "--data-dir", sample.dataDir])
    expect(stdout).toMatch(
      /^FAIL {2}sessions: 1 differ of 31 examined\..*\n.*"stored":\{"visitor_id":"visitor-2".*"clicks":"11".*"clicks":"10"/m
    )
    // The KPIs, which nobody has told, still have the clicks that its events make; so has the quarter of an hour that they are merged from.
    expect(stdout).toMatch(/^FAIL {2}quarters: 1 differ/m)
    expect(stdout).toMatch(/^FAIL {2}kpis: 2 differ/m)
    expect(stderr).toBe(`guardian: 3 of ${stdout.match(/^(ok|FAIL) /gm)!.length} checks found 4 differences\n`)
    expect(code).toBe(1)
  })

  it("needs a log and a database", async () => {
    expect((await run(["audit", "--data-dir", `${sample.dataDir}/nothing`])).failure).toMatch(
      /There is no (log|database)/
    )
  })
})

const change = (statement: string): Promise<void> =>
  Warehouse.use((warehouse) => warehouse.command(statement)).pipe(
    Effect.provide(clientLayer("writer")),
    Effect.provide(warehouseLayer(sample.dataDir)),
    Effect.runPromise
  )

describe("guardian serve", () => {
  it("refuses an hour of the nightly audit that no day has", async () => {
    const { code, stderr } = await guardian(["serve", "--data-dir", sample.dataDir], {
      env: { GUARDIAN_AUDIT_HOUR: "25" }
    })
    expect(stderr).toContain('GUARDIAN_AUDIT_HOUR must be a whole number from 0 to 24, not "25"')
    expect(code).toBe(2)
  })

  it("refuses an address that strangers can reach without keys, as a wrong setting", async () => {
    const { code, stderr } = await guardian(["serve", "--role", "api", "--data-dir", sample.dataDir], {
      env: { GUARDIAN_API_HOST: "0.0.0.0", GUARDIAN_API_READ_KEYS: "" }
    })
    expect(stderr).toContain("GUARDIAN_API_READ_KEYS")
    expect(code).toBe(2)
  })
})
