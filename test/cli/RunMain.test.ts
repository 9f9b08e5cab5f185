/** How a process ends that has broken something outside of it. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { stopMsMax } from "../../src/cli/RunMain.ts"

const root = join(import.meta.dirname, "..", "..")

/** Mends for longer than an orderly end may usually take. */
const program = `
import { Effect } from "effect"
import { owe, runMain, settle } from "./src/cli/RunMain.ts"
const words = "left broken: a-1. Mend it with: docker start a-1"
const say = (text) => Effect.sync(() => console.log(text))
const mend = say("mending").pipe(
  Effect.andThen(Effect.sleep(${stopMsMax + 1_500})),
  Effect.andThen(Effect.sync(() => settle(words))),
  Effect.andThen(say("mended"))
)
const breaking = Effect.sleep(1).pipe(Effect.andThen(Effect.sync(() => owe(words))), Effect.andThen(say("broken")))
runMain(breaking.pipe(Effect.andThen(Effect.sleep("1 hour")), Effect.onExit(() => mend)))
`

const broken = async () => {
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program]
  const child = spawn(process.execPath, args, { cwd: root, env: { ...process.env, NODE_OPTIONS: "" } })
  let said = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => said += text)
  }
  const says = async (word: string) => {
    while (!said.includes(word)) await once(child.stdout, "data")
  }
  await says("broken")
  return { child, said: () => said, says }
}

describe("Ctrl-C while something is broken", () => {
  it("waits until it is mended, as long as that takes", async () => {
    const { child, said } = await broken()
    child.kill("SIGINT")
    await once(child, "close")
    expect(said()).toContain("mended")
    expect(said()).not.toContain("not done in time")
  })

  it("a second time ends at once, and says what is left to do", async () => {
    const { child, said, says } = await broken()
    const ended = once(child, "close")
    child.kill("SIGINT")
    await says("mending")
    child.kill("SIGINT")
    expect((await ended)[0]).toBe(130)
    expect(said()).toContain("docker start a-1")
    expect(said()).not.toContain("mended")
  })
})
