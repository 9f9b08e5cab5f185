import { createInterface } from "node:readline"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { run } from "../CommandRun.ts"
import { exitCode, start } from "../GuardianProcess.ts"
import type { SampleInstallation } from "../SampleInstallation.ts"
import { append, newEvent, recordOf, sampleLog } from "../SampleInstallation.ts"

let sample: SampleInstallation
beforeAll(async () => {
  sample = await sampleLog()
})
afterAll(() => sample.remove())

const tail = (...more: ReadonlyArray<string>) => run(["tail", "--data-dir", sample.dataDir, ...more])
const parsed = (stdout: string) => stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as Line)

interface Line {
  readonly partition: number
  readonly offset: number
  readonly appendedAt: string
  readonly event?: { readonly event_id: string }
  readonly deadLetter?: { readonly reason: string; readonly detail: string; readonly valueBase64: string }
}

describe("guardian tail", () => {
  it("prints the newest records by append time, dead letters as what they are", async () => {
    const { stdout } = await tail("--json", "-n", "1000")
    const lines = parsed(stdout)
    expect(lines).toHaveLength(sample.drained)
    expect(lines.map(({ appendedAt }) => appendedAt)).toEqual(lines.map(({ appendedAt }) => appendedAt).toSorted())
    const dead = lines.flatMap(({ deadLetter }) => deadLetter ?? [])
    expect(dead.map(({ reason }) => reason).toSorted()).toEqual(["bad_line", "undecodable"])
    const line = dead.find(({ reason }) => reason === "bad_line")!
    expect(line.detail).toBe("line 7 is no JSON")
    expect(Buffer.from(line.valueBase64, "base64").toString()).toContain("broken-1")
  })

  it("prints ten lines for people", async () => {
    const { stdout } = await tail()
    const lines = stdout.trimEnd().split("\n")
    expect(lines).toHaveLength(10)
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\S+Z {2}\d:\d+ {2}/)
  })

  it("follows what other processes append until it is stopped, then ends well", async () => {
    const child = start(["tail", "--follow", "-n", "1", "--json", "--data-dir", sample.dataDir])
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const first = JSON.parse((await lines.next()).value!) as Line
    await append(sample.dataDir, (schemaId) => [recordOf(schemaId, newEvent("visitor-1", "followed-1"))])
    const second = JSON.parse((await lines.next()).value!) as Line
    expect(second.event?.event_id).toBe("followed-1")
    expect(second.appendedAt >= first.appendedAt).toBe(true)
    child.kill("SIGTERM")
    expect(await exitCode(child)).toBe(0)
  })

  it("refuses a data directory without a log", async () => {
    const { failure } = await run(["tail", "--data-dir", `${sample.dataDir}/none`])
    expect(failure).toContain("There is no log")
  })
})
