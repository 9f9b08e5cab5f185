import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Semaphore } from "effect"
import { runMutation } from "./MutationRun.ts"
import { mutations } from "./Mutations.ts"

const seed = 1
/** Each mutation is a process of its own; so many run at a time. */
const slots = Semaphore.makeUnsafe(2)
/** Waiting for a slot counts too. */
const timeout = 300_000

describe.concurrent("the simulator catches", () => {
  const took: Array<string> = []
  afterAll(() => console.log(`runs until caught, with seed ${seed}:\n${took.sort().join("\n")}`))

  for (const mutation of mutations) {
    it.live(mutation.mistake, () =>
      Effect.gen(function*() {
        const runs = yield* slots.withPermit(Effect.promise(() => runMutation(mutation, seed)))
        took.push(`${(mutation.scenario === undefined ? runs : "scenario").padStart(10)}  ${mutation.mistake}`)
        assert.notStrictEqual(runs, "none", `not caught in ${mutation.runs} runs`)
      }), { timeout })
  }
})
