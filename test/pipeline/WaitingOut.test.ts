import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"
import { waitingOut } from "../../src/pipeline/WaitingOut.ts"
import { WarehouseError } from "../../src/warehouse/Warehouse.ts"

const failure = (retryable: boolean) => new WarehouseError({ message: "away", code: 0, retryable })

/** Fails so many times before it goes well. */
const failing = (times: number, retryable: boolean) => {
  let left = times
  return Effect.suspend(() => left-- > 0 ? Effect.fail(failure(retryable)) : Effect.succeed("done"))
}

describe("waiting out", () => {
  it.effect("tries until it goes well, and the status says what is waited for, and then what it said before", () =>
    Effect.gen(function*() {
      const status: Pick<PipelineStatus, "state" | "waitingFor"> = { state: "starting", waitingFor: "" }
      const fiber = yield* Effect.forkChild(waitingOut(status)(failing(20, true)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(status, { state: "waiting", waitingFor: "away" })
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual(yield* Fiber.join(fiber), "done")
      assert.deepStrictEqual(status, { state: "starting", waitingFor: "" })
    }))

  it.effect("gives up at once what no waiting can heal", () =>
    Effect.gen(function*() {
      const status: Pick<PipelineStatus, "state" | "waitingFor"> = { state: "running", waitingFor: "" }
      const error = yield* Effect.flip(waitingOut(status)(failing(1, false)))
      assert.isFalse(error.retryable)
      assert.strictEqual(status.state, "running")
    }))
})
