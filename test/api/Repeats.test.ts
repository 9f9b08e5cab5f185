/** Duplicates in a trace: they have no row, only a record in the log. */
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { exitCode, start } from "../cli/GuardianProcess.ts"
import type { SampleInstallation } from "../cli/SampleInstallation.ts"
import { sampleInstallation } from "../cli/SampleInstallation.ts"

let sample: SampleInstallation
let api: ChildProcessWithoutNullStreams
let url: string

beforeAll(async () => {
  sample = await sampleInstallation()
  api = start(["serve", "--role", "api", "--data-dir", sample.dataDir])
  url = await new Promise((resolve, reject) => {
    let said = ""
    api.stdout.setEncoding("utf8").on("data", (text: string) => {
      const found = /API and dashboard at (\S+)/.exec(said += text)
      if (found !== null) resolve(found[1]!)
    })
    api.once("exit", () => reject(new Error(`the API ended: ${said}`)))
  })
})

afterAll(async () => {
  api.kill("SIGTERM")
  await exitCode(api)
  await sample.remove()
})

const trace = async (id: string) => {
  const response = await fetch(`${url}/api/v1/events/${id}/trace`)
  const { data } = await response.json() as { data: ReadonlyArray<Record<string, unknown>> }
  return { status: response.status, data }
}

describe("a trace by HTTP", () => {
  it("finds the duplicate behind the accepted event", async () => {
    const { data } = await trace("event-3-5")
    const { offset, partition } = sample.receipts.get("visitor-3/event-3-5")!
    assert.deepStrictEqual(data.map((row) => [row["outcome"], row["partition"]]), [
      ["accepted", partition],
      ["duplicate", partition]
    ])
    assert.strictEqual(data[0]!["offset"], offset)
    assert.isAbove(data[1]!["offset"] as number, offset)
    assert.include(data[1]!["why"] as string, `offset ${offset}`)
    assert.strictEqual(data[1]!["session_id"], null)
  })

  it("takes the same id of another visitor for no duplicate", async () => {
    const { data } = await trace("shared-1")
    assert.deepStrictEqual(data.map(({ outcome }) => outcome), ["accepted", "accepted"])
  })

  it("says nothing of a record that is not processed yet", async () => {
    assert.strictEqual((await trace("pending-1")).status, 404)
  })
})
