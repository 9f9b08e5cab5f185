import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Layer } from "effect"
import { inTerms } from "../../src/cli/Terms.ts"
import type { Offset, Partition } from "../../src/domain/Identifiers.ts"
import { noOutcomes } from "../../src/domain/Outcome.ts"
import type { Assignment, PartitionGroup } from "../../src/log/PartitionGroup.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"
import type { Checkpoint } from "../../src/warehouse/StateStore.ts"
import { StateStore } from "../../src/warehouse/StateStore.ts"
import { WarehouseError } from "../../src/warehouse/Warehouse.ts"

/** A group that assigns what it is told to, runs that note what they are, and checkpoints of whoever writes them. */
const makePlace = Effect.gen(function*() {
  const news = yield* Latch.make(false)
  const assignments: Array<Assignment> = []
  const group: PartitionGroup = {
    after: (term) =>
      Effect.gen(function*() {
        for (;;) {
          const newest = assignments.at(-1)
          if (newest !== undefined && newest.term > term) return newest
          yield* news.close
          yield* news.await
        }
      }),
    advise: () => undefined
  }
  /** Goes on when the place looks as expected: so many runs, so many of them over, and so many times that checkpoints were asked for. */
  const assign = (partitions: ReadonlyArray<number>, runs: number, asked: number, over = runs - 1) =>
    Effect.suspend(() => {
      assignments.push({ term: assignments.length + 1, partitions: partitions as ReadonlyArray<Partition> })
      return Effect.andThen(
        news.open,
        Effect.repeat(Effect.sleep(5), {
          until: () =>
            place.runs.length === runs && place.asked === asked &&
            place.runs.filter(({ isOver }) => isOver).length === over
        })
      )
    })
  const checkpoints = new Map<number, Checkpoint>()
  const place = { runs: [] as Array<{ runId: string; partitions: string; isOver: boolean }>, outages: 0, asked: 0 }
  const write = (runId: string, ...partitions: ReadonlyArray<number>): void => {
    for (const partition of partitions) {
      const position = { offset: 1 as Offset, watermark: 0, counts: noOutcomes(), decisionHash: 0n }
      checkpoints.set(partition, {
        partition: partition as Partition,
        position,
        recordHash: "",
        logId: "log",
        partitions: 6,
        settings: "{}",
        coreVersion: 1,
        runId
      })
    }
  }
  const store = Layer.mock(StateStore, {
    checkpoints: Effect.suspend(() => {
      place.asked++
      return place.outages-- > 0 ?
        Effect.fail(new WarehouseError({ message: "away", retryable: true, code: 0 })) :
        Effect.sync(() => [...checkpoints.values()])
    })
  })
  const stop = yield* Deferred.make<void>()
  const running = yield* inTerms({
    group,
    status: new PipelineStatus(),
    stop,
    once: (stopTerm, runId, partitions) =>
      Effect.gen(function*() {
        const run = { runId, partitions: partitions.join(), isOver: false }
        place.runs.push(run)
        yield* Deferred.await(stopTerm)
        run.isOver = true
      })
  }).pipe(Effect.provide(store), Effect.forkScoped)
  const end = Effect.andThen(Deferred.succeed(stop, undefined), Fiber.join(running))
  return { assign, end, place, write }
})

const shapes = (runs: ReadonlyArray<{ readonly partitions: string; readonly isOver: boolean }>) =>
  runs.map(({ isOver, partitions }) => `${partitions}${isOver ? " over" : ""}`)

describe("terms of a group", () => {
  it.live("with the same partitions are one run, as long as nobody else has written of them", () =>
    Effect.gen(function*() {
      const { assign, end, place, write } = yield* makePlace
      yield* assign([0, 1], 1, 0)
      write(place.runs[0]!.runId, 0, 1)
      // Somebody else's partition is none of our business.
      write("another", 2)
      yield* assign([0, 1], 1, 1)
      place.outages = 1
      yield* assign([0, 1], 1, 3)
      yield* assign([0, 1], 1, 4)
      assert.deepStrictEqual(shapes(place.runs), ["0,1"])
      write("another", 1)
      yield* assign([0, 1], 2, 5)
      assert.deepStrictEqual(shapes(place.runs), ["0,1 over", "0,1"])
      assert.notStrictEqual(place.runs[0]!.runId, place.runs[1]!.runId)
      yield* end
      assert.deepStrictEqual(shapes(place.runs), ["0,1 over", "0,1 over"])
    }).pipe(Effect.scoped))

  it.live("with others are another run, and so are those after which checkpoints are a run's before", () =>
    Effect.gen(function*() {
      const { assign, end, place, write } = yield* makePlace
      yield* assign([0, 1], 1, 0)
      write(place.runs[0]!.runId, 0, 1)
      yield* assign([0, 1, 2], 2, 0)
      yield* assign([], 2, 0, 2)
      yield* assign([0, 1, 2], 3, 0)
      // Nothing of this run is written yet.
      yield* assign([0, 1, 2], 4, 1)
      assert.deepStrictEqual(shapes(place.runs), ["0,1 over", "0,1,2 over", "0,1,2 over", "0,1,2"])
      yield* end
    }).pipe(Effect.scoped))
})
