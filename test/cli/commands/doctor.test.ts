import { Effect } from "effect"
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { announcePort } from "../../../src/cli/CollectorPort.ts"
import type { Check } from "../../../src/cli/doctor/Check.ts"
import type { Setting } from "../../../src/cli/doctor/SettingsChecks.ts"
import { run } from "../CommandRun.ts"
import type { SampleInstallation } from "../SampleInstallation.ts"
import { sampleInstallation } from "../SampleInstallation.ts"

let sample: SampleInstallation
beforeAll(async () => {
  sample = await sampleInstallation()
})
afterAll(() => sample.remove())
afterEach(() => vi.unstubAllEnvs())

interface Report {
  readonly failure?: string
  readonly checks: ReadonlyArray<Check>
  readonly settings: ReadonlyArray<Setting>
}

const doctor = async (dataDir: string, env: Readonly<Record<string, string>> = {}): Promise<Report> => {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  const { stdout, ...ended } = await run(["doctor", "--json", "--data-dir", dataDir])
  return { ...ended, ...JSON.parse(stdout) as Omit<Report, "failure"> }
}

const check = ({ checks }: Report, area: string, name: string) =>
  checks.find((each) => each.area === area && each.name === name)

describe("guardian doctor", () => {
  it("finds a drained installation in order, but for the record that waits", async () => {
    const report = await doctor(sample.dataDir)
    expect(report.checks.filter(({ verdict }) => verdict === "FAIL")).toEqual([])
    expect(report.failure).toBeUndefined()
    expect(check(report, "versions", "chdb")?.detail).toBe("3.4.0")
    expect(check(report, "warehouse", "ClickHouse")?.detail).toMatch(/^\d+\.\d+/)
    expect(check(report, "warehouse", "runs")?.detail).toContain(`by process ${process.pid}`)
    expect(check(report, "warehouse", "parts")?.detail).toMatch(/^\d+ active/)
    expect(check(report, "log", "opens")?.detail).toContain("3 partitions")
    expect(check(report, "pipeline", "lag")).toMatchObject({
      verdict: "WARN",
      detail: expect.stringMatching(/^1 records/)
    })
    expect(check(report, "pipeline", "checkpoints")?.verdict).toBe("OK")
  })

  it("makes nothing where there is nothing, and sees whether a warehouse could start", async () => {
    const dataDir = `${sample.dataDir}/not/here`
    const report = await doctor(dataDir)
    expect(report.failure).toBeUndefined()
    expect(existsSync(`${sample.dataDir}/not`)).toBe(false)
    expect(check(report, "data directory", "place")?.detail).toContain("does not exist yet")
    expect(check(report, "warehouse", "runs")?.detail).toContain("one starts")
  })

  it("says where each setting came from, and fails on one that the database was not made with", async () => {
    const report = await doctor(sample.dataDir, { GUARDIAN_GAP_MS: "60000" })
    expect(report.settings.find(({ name }) => name === "GUARDIAN_GAP_MS")).toMatchObject({
      value: "60000",
      source: "environment"
    })
    expect(report.settings.find(({ name }) => name === "GUARDIAN_LATENESS_MS")).toMatchObject({
      value: "600000",
      source: "default"
    })
    expect(check(report, "pipeline", "checkpoints")).toMatchObject({
      verdict: "FAIL",
      detail: expect.stringContaining("gapMs was 1800000 and is 60000")
    })
    expect(report.failure).toMatch(/^\d of \d+ checks failed$/)
  })

  it("fails on a setting that cannot be", async () => {
    const report = await doctor(sample.dataDir, { GUARDIAN_GAP_MS: "soon", GUARDIAN_VISITORS_IN_MEMORY: "many" })
    expect(report.failure).toMatch(/^\d of \d+ checks failed$/)
    const failed = report.checks.filter(({ verdict }) => verdict === "FAIL").map(({ name }) => name)
    expect(failed).toEqual(["core", "GUARDIAN_VISITORS_IN_MEMORY"])
  })

  it("fails on a port that another program has", async () => {
    const listener = createServer()
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve))
    const { port } = listener.address() as AddressInfo
    const report = await doctor(sample.dataDir, { GUARDIAN_CLICKHOUSE_HTTP_PORT: String(port) })
    await new Promise((resolve) => listener.close(resolve))
    expect(check(report, "ports", "GUARDIAN_CLICKHOUSE_HTTP_PORT")?.verdict).toBe("FAIL")
    expect(report.failure).toMatch(/^\d of \d+ checks failed$/)
  })

  it("knows the port of the collector that runs here", async () => {
    const listener = createServer()
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve))
    const { port } = listener.address() as AddressInfo
    const verdict = async () => {
      const report = await doctor(sample.dataDir, { GUARDIAN_COLLECTOR_PORT: String(port) })
      return check(report, "ports", "GUARDIAN_COLLECTOR_PORT")?.verdict
    }
    expect(await verdict()).toBe("FAIL")
    const announced = Effect.andThen(announcePort(sample.dataDir, port), Effect.promise(verdict))
    expect(await Effect.runPromise(Effect.scoped(announced))).toBe("OK")
    expect(await verdict()).toBe("FAIL")
    await new Promise((resolve) => listener.close(resolve))
  })

  it("prints a report for people", async () => {
    const { failure, stdout } = await run(["doctor", "--data-dir", sample.dataDir])
    expect(failure).toBeUndefined()
    expect(stdout).toMatch(/^versions\n {2}OK {4}guardian /)
    expect(stdout).toMatch(/\n {8}GUARDIAN_GAP_MS +1800000 \(default\)/)
  })
})
