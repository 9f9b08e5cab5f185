import { describe, expect, it } from "vitest"
import { exitCode, guardian, start } from "../GuardianProcess.ts"

describe("guardian load", () => {
  it("measures a rate in an installation of its own: how much was held, how soon it was visible, how much memory it took", async () => {
    const { code, stderr, stdout } = await guardian(
      ["load", "--only", "--rate", "200", "--seconds", "4", "--warm", "0", "--json"]
    )
    expect(stderr).not.toContain("guardian:")
    expect(code).toBe(0)
    const { held, log, steps } = JSON.parse(stdout)
    expect(log).toBe("sqlite")
    expect(steps).toHaveLength(1)
    const [{ acknowledgedPerSecond, isHeld, memory, visibleP50Ms, visibleP95Ms }] = steps
    expect(acknowledgedPerSecond).toBeGreaterThan(0)
    expect(held).toBe(isHeld ? 200 : null)
    expect(visibleP50Ms).toBeGreaterThan(0)
    expect(visibleP95Ms).toBeGreaterThanOrEqual(visibleP50Ms)
    expect(memory[0].residentBytes).toBeGreaterThan(50_000_000)
  })

  it("that is stopped before it measured anything does not look like done", async () => {
    const child = start(["load", "--only", "--rate", "200", "--seconds", "600"])
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => said += text)
    child.stdout.once("data", () => child.kill("SIGINT"))
    expect(await exitCode(child)).toBe(130)
    expect(said).toContain("stopped before the end")
  })
})
