import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { run } from "../CommandRun.ts"
import { guardian } from "../GuardianProcess.ts"
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
    for (
      const [args, expected] of [
        [["list", "--day", "yesterday"], "a day, as 2026-03-01"],
        [["list", "--limit", "0"], "1 or more"],
        [["amend", "--day", "2026-13-01"], "a day, as 2026-03-01"]
      ] as const
    ) {
      const { code, stderr, stdout } = await guardian(["late", ...args, "--data-dir", sample.dataDir])
      expect(code).toBe(2)
      expect(stdout + stderr).toContain(`"${args[2]}". Expected: ${expected}`)
    }
    expect(await failureOf("revert", "12345678")).toMatch(/no amendment 12345678/)
  })
})
