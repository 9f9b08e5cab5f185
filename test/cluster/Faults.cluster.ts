import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { setTimeout as pause } from "node:timers/promises"
import { FaultPlace, until } from "./FaultPlace.ts"
import type { Serving } from "./FaultPlace.ts"

/** Long enough that group and cluster move on: who wakes then is a zombie. */
const frozenMs = 20_000

let place: FaultPlace

beforeAll(async () => {
  place = await FaultPlace.start()
  await place.startTraffic()
  await place.serve()
})

afterAll(() => place?.stop())

// Each fault is done once more than enough when it ended: what it broke shows in all that comes after.
afterEach(async ({ task }) => {
  if (task.result?.state === "fail") {
    for (const { output } of place.serving) console.log(output().slice(-2_000))
  }
})

const oldest = (): Serving => [...place.serving][0]!

/** A fault under traffic; afterwards records flow, and everything is exact. */
const fault = (what: string, cause: () => Promise<void>) =>
  it(what, async () => {
    await place.startTraffic()
    await place.flowing()
    const before = place.acknowledged
    const started = performance.now()
    await cause()
    await place.flowing()
    const seconds = (performance.now() - started) / 1000
    assert.deepStrictEqual(await place.verdict(), [])
    console.log(
      `${what}: ${place.acknowledged - before} acknowledged within ${seconds.toFixed(1)} s, none lost or twice`
    )
  })

describe("a log on three brokers stays exact", () => {
  it("when one pipeline becomes three, and two after a kill", async () => {
    assert.deepStrictEqual(await place.spread(), [6])
    await Promise.all([place.serve(), place.serve()])
    assert.deepStrictEqual(await place.spread(), [2, 2, 2])
    await place.flowing()
    await place.end([...place.serving].at(-1)!, "SIGKILL")
    assert.deepStrictEqual(await place.spread(), [3, 3])
    await place.flowing()
    assert.deepStrictEqual(await place.verdict(), [])
    const ends = (await place.ranges()).map(({ end }) => end as number)
    await until("lag tools see all as processed", async () => (await place.committed()).join() === ends.join())
  })

  fault("when the leader of a partition is killed", async () => {
    const leader = await place.leaderOf(0)
    await place.cluster.kill(leader)
    await place.flowing()
    await place.cluster.restart(leader)
  })

  fault("when the coordinator of the group is killed", async () => {
    const coordinator = await place.coordinator()
    await place.cluster.kill(coordinator)
    await place.flowing()
    await place.cluster.restart(coordinator)
  })

  fault("when the leader freezes", async () => {
    const leader = await place.leaderOf(1)
    place.cluster.pause(leader)
    await pause(frozenMs)
    place.cluster.resume(leader)
    await place.cluster.ready()
  })

  fault("when the coordinator freezes", async () => {
    const coordinator = await place.coordinator()
    place.cluster.pause(coordinator)
    await pause(frozenMs)
    place.cluster.resume(coordinator)
    await place.cluster.ready()
  })

  fault("when a pipeline is killed", async () => {
    await place.end(oldest(), "SIGKILL")
    await place.serve()
    await place.spread()
  })

  fault("when a pipeline freezes, loses its partitions and wakes as a zombie", async () => {
    const zombie = oldest()
    zombie.child.kill("SIGSTOP")
    await pause(frozenMs)
    await place.flowing()
    zombie.child.kill("SIGCONT")
    await place.flowing()
    await place.spread()
  })

  fault("when the warehouse is killed", async () => {
    process.kill(place.enginePid(), "SIGKILL")
  })

  fault("when the warehouse freezes", async () => {
    const pid = place.enginePid()
    process.kill(pid, "SIGSTOP")
    await pause(frozenMs)
    process.kill(pid, "SIGCONT")
  })

  fault("when all brokers are restarted one after another", async () => {
    for (const id of place.cluster.ids) await place.cluster.restart(id)
  })

  fault("in a storm of joins and leaves", async () => {
    for (const signal of ["SIGTERM", "SIGKILL", "SIGTERM"] as const) {
      const joining = await place.serve()
      await place.end(joining, signal)
    }
    await place.spread()
  })

  fault("when the registry is away and a pipeline starts", async () => {
    place.registry.pause()
    await place.end(oldest(), "SIGKILL")
    const starting = place.serve()
    await pause(5_000)
    place.registry.resume()
    await starting
    await place.spread()
  })

  it("when the log was trimmed past it: stops with a remedy, and the remedy lets it go on", async () => {
    await Promise.all([...place.serving].map((each) => place.end(each, "SIGTERM")))
    const received = await place.received()
    await place.startTraffic()
    const before = place.acknowledged
    await until("some are not processed", async () => place.acknowledged > before + 300)
    await place.pauseTraffic()
    assert.isAbove(await place.trim(), 0)
    const refused = await place.guardian("serve")
    assert.strictEqual(refused.code, 1)
    assert.match(refused.output, /records were trimmed before they were processed.*guardian log reset --to earliest/)
    await until("the group is empty", async () => (await place.guardian("log", "reset", "--to", "earliest")).code === 0)
    await place.startTraffic()
    const resumed = place.acknowledged
    await place.serve()
    await place.flowing()
    await place.pauseTraffic()
    const ends = (await place.ranges()).map(({ end }) => end)
    await until("everything is processed", async () => (await place.behind(ends)) === 0)
    assert.strictEqual(await place.received(), received + place.acknowledged - resumed)
  })
})
