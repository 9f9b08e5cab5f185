/** `guardian chaos` as its users have it: it breaks its own cluster, proves, and leaves nothing behind. */
import { describe, expect, it } from "vitest"
import { guardian } from "../cli/GuardianProcess.ts"

describe("guardian chaos", () => {
  it("kills the only pipeline and shows that nothing is lost or counted twice", async () => {
    const { code, stderr, stdout } = await guardian([
      "chaos",
      "--fault",
      "kill-pipeline",
      "--rate",
      "500",
      "--seconds",
      "10",
      "--json"
    ])
    expect(code, stderr + stdout).toBe(0)
    const report = JSON.parse(stdout) as Readonly<Record<string, unknown>>
    expect(report).toMatchObject({ lost: 0, uncounted: 0, countedTwice: 0, differences: [] })
    expect(report["acknowledged"]).toBeGreaterThan(5_000)
  })

  it("wants to be told what to break", async () => {
    const { code, stderr } = await guardian(["chaos"])
    expect(code).toBe(2)
    expect(stderr).toContain("--fault")
  })
})
