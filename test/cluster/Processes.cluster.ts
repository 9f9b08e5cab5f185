/** `serve --role pipeline` any number of times: partitions move when one joins, dies or leaves, under traffic, and nothing is lost or twice. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { FaultPlace, until } from "./FaultPlace.ts"
import type { Serving } from "./FaultPlace.ts"

let place: FaultPlace

beforeAll(async () => {
  place = await FaultPlace.start()
})

afterAll(() => place?.stop())

const exited = ({ child }: Serving): Promise<number | null> =>
  new Promise((resolve) => child.once("exit", (code) => resolve(code)))

/** From now until what is acknowledged now is processed, ms. */
const processedAfter = async (): Promise<number> => {
  const began = performance.now()
  const ends = (await place.ranges()).map(({ end }) => end)
  await until("what was there is processed", async () => (await place.behind(ends)) === 0)
  return Math.round(performance.now() - began)
}

/** The tool's view agrees with the log and the checkpoints: `lag` records are behind, all together. */
const toolSays = async (lag: number, members: number): Promise<void> => {
  const ends = (await place.ranges()).map(({ end }) => end as number)
  await until(`kafka-consumer-groups says ${lag} behind`, async () => {
    const lines = await place.consumerGroup()
    return lines.length === ends.length && lines.reduce((sum, line) => sum + line.lag, 0) === lag &&
      new Set(lines.map(({ consumer }) => consumer).filter((name) => name !== "-")).size === members
  })
  const lines = await place.consumerGroup()
  assert.deepStrictEqual(lines.map(({ logEndOffset }) => logEndOffset), ends)
  for (const line of lines) {
    assert.strictEqual(line.lag, line.logEndOffset - line.currentOffset)
    // Never ahead of what is in the warehouse.
    const behind = ends.map((end, partition) => partition === line.partition ? line.currentOffset : Math.min(0, end))
    assert.strictEqual(await place.behind(behind), 0)
  }
}

describe("pipelines that share a log", () => {
  it("are one, three and two, by joins, a kill and a clean leave, and stay exact", async () => {
    await place.startTraffic()
    const first = await place.serve()
    assert.deepStrictEqual(await place.spread(), [6])
    await place.flowing()

    await Promise.all([place.serve(), place.serve()])
    assert.deepStrictEqual(await place.spread(), [2, 2, 2])
    await place.flowing()
    assert.strictEqual(first.partitions()?.length, 2)

    const killed = [...place.serving].at(-1)!
    await place.end(killed, "SIGKILL")
    const afterKill = await processedAfter()
    assert.deepStrictEqual(await place.spread(), [3, 3])
    await place.flowing()

    await place.serve()
    assert.deepStrictEqual(await place.spread(), [2, 2, 2])
    await place.flowing()
    const code = exited(first)
    await place.end(first, "SIGTERM")
    assert.strictEqual(await code, 0, first.output())
    const afterLeave = await processedAfter()
    assert.deepStrictEqual(await place.spread(), [3, 3])
    await place.flowing()

    assert.deepStrictEqual(await place.verdict(), [])
    assert.strictEqual(await place.outcomes(), place.acknowledged)
    assert.isAbove(place.acknowledged, 300)
    console.log(
      `${place.acknowledged} acknowledged = in the log = by outcome; what was there when one was killed was processed ` +
        `${afterKill} ms later, when one left ${afterLeave} ms later`
    )
  })

  it("show their lag to kafka-consumer-groups", async () => {
    await toolSays(0, 2)
    await Promise.all([...place.serving].map((each) => place.end(each, "SIGTERM")))
    const before = place.acknowledged
    await place.startTraffic()
    await until("there is something to do", async () => place.acknowledged >= before + 90)
    await place.pauseTraffic()
    await toolSays(place.acknowledged - before, 0)
    await place.serve()
    await place.spread()
    await processedAfter()
    await toolSays(0, 1)
    assert.deepStrictEqual(await place.verdict(), [])
  })

  it("do not share it with a pipeline of another database", async () => {
    const other = await mkdtemp(join(tmpdir(), "guardian-other-"))
    try {
      const stranger = place.start(other)
      assert.strictEqual(await exited(stranger), 1, stranger.output())
      assert.match(stranger.output(), /group \S+ is at work for another database \(pipelines running: 1\)/)
      assert.include(stranger.output(), "GUARDIAN_KAFKA_GROUP")
      place.serving.delete(stranger)
    } finally {
      await rm(other, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
    }
    await toolSays(0, 1)
  })
})
