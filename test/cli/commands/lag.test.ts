import { Effect } from "effect"
import { existsSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { ownPipeline, paths } from "../../../src/cli/Installation.ts"
import { run } from "../CommandRun.ts"
import type { SampleInstallation } from "../SampleInstallation.ts"
import { sampleInstallation, sampleLog } from "../SampleInstallation.ts"

interface Progress {
  readonly logStart: number
  readonly logEnd: number
  readonly nextOffset: number
  readonly lag: number
  readonly watermark: string | null
  readonly eventTimeAgeMs: number | null
}

interface Lag {
  readonly partitions: ReadonlyArray<Progress>
  readonly total: Progress
  readonly pipeline: { readonly running: boolean; readonly pid?: number }
}

const lag = async (dataDir: string): Promise<Lag> => {
  const { failure, stdout } = await run(["lag", "--json", "--data-dir", dataDir])
  expect(failure).toBeUndefined()
  return JSON.parse(stdout) as Lag
}

describe("guardian lag", () => {
  let sample: SampleInstallation
  beforeAll(async () => {
    sample = await sampleInstallation()
  })
  afterAll(() => sample.remove())

  it("counts what was appended since the last checkpoint, in its partition", async () => {
    const { partition } = sample.receipts.get("visitor-7/pending-1")!
    const { partitions, pipeline, total } = await lag(sample.dataDir)
    expect(partitions.map((each) => each.lag)).toEqual(
      Array.from({ length: sample.partitions }, (_, number) => number === partition ? 1 : 0)
    )
    expect(total).toMatchObject({ logStart: 0, logEnd: sample.drained + 1, nextOffset: sample.drained, lag: 1 })
    expect(Date.parse(total.watermark!)).toBe(Math.min(...partitions.map(({ watermark }) => Date.parse(watermark!))))
    expect(total.eventTimeAgeMs).toBeGreaterThan(0)
    expect(pipeline).toEqual({ running: false })
  })

  it("says who processes the log", async () => {
    const { pipeline } = await Effect.runPromise(
      Effect.scoped(Effect.andThen(ownPipeline(sample.dataDir), Effect.promise(() => lag(sample.dataDir))))
    )
    expect(pipeline).toEqual({ running: true, pid: process.pid })
  })

  it("prints a table for people", async () => {
    const { stdout } = await run(["lag", "--data-dir", sample.dataDir])
    const lines = stdout.trimEnd().split("\n")
    expect(lines).toHaveLength(1 + sample.partitions + 2)
    expect(lines[0]).toMatch(/^partition +log start +log end +next +lag +watermark +age$/)
    expect(lines.at(-2)).toMatch(/^total +0 +311 +310 +1 /)
    expect(lines.at(-1)).toBe("no pipeline is running")
  })

  it("takes everything for lag while there is no database, and makes none", async () => {
    const fresh = await sampleLog()
    const { partitions, total } = await lag(fresh.dataDir)
    expect(total).toMatchObject({ nextOffset: 0, lag: fresh.drained, watermark: null, eventTimeAgeMs: null })
    expect(partitions).toHaveLength(fresh.partitions)
    expect(existsSync(paths(fresh.dataDir).warehouse)).toBe(false)
    await fresh.remove()
  })
})
