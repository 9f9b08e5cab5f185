import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { run } from "../CommandRun.ts"
import type { SampleInstallation } from "../SampleInstallation.ts"
import { sampleInstallation } from "../SampleInstallation.ts"

let sample: SampleInstallation
beforeAll(async () => {
  sample = await sampleInstallation()
})
afterAll(() => sample.remove())

const late = async (...args: ReadonlyArray<string>) => {
  const { failure, stdout } = await run(["late", ...args, "--data-dir", sample.dataDir])
  expect(failure).toBeUndefined()
  return stdout
}

describe("guardian late", () => {
  it("lists what came too late, and folds in and takes out what can be", async () => {
    const rows = JSON.parse(await late("list", "--json")) as ReadonlyArray<Record<string, unknown>>
    expect(rows).toMatchObject([{ eventId: "late-1", visitorId: "visitor-4", isRepeat: false, amendment: "" }])
    const receipt = sample.receipts.get("visitor-4/late-1")!
    expect(rows[0]).toMatchObject({ partition: receipt.partition, offset: receipt.offset })
    const day = String(rows[0]!["day"])
    expect(await late("list", "--day", day)).toContain(`${receipt.partition}/${receipt.offset}`)
    // The traffic is an hour old and has not gone on, so its session can still grow.
    expect(await late("amend", "--day", day, "--dry-run")).toMatch(/0 late events would be folded in, 1 wait/)
    expect(await late("amend", "--day", day, "--reason", "why not")).toMatch(/no late event to fold in; 1 wait/)
    expect(await late("amendments")).toBe("no day was amended\n")
    const traced = await run(["trace", "late-1", "--data-dir", sample.dataDir])
    expect(traced.stdout).toContain("late")
  })

  it("refuses what is no day, no limit or no amendment", async () => {
    const failureOf = async (...args: ReadonlyArray<string>) =>
      (await run(["late", ...args, "--data-dir", sample.dataDir])).failure
    expect(await failureOf("list", "--day", "yesterday")).toMatch(/is no day/)
    expect(await failureOf("list", "--limit", "0")).toMatch(/--limit must be 1 or more/)
    expect(await failureOf("amend", "--day", "2026-13-01")).toMatch(/is no day/)
    expect(await failureOf("revert", "12345678")).toMatch(/no amendment 12345678/)
  })
})
