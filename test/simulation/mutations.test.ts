import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Semaphore } from "effect"
import type { Question } from "./MutationRun.ts"
import { runMutation } from "./MutationRun.ts"
import type { Mutation } from "./Mutations.ts"
import { mutations } from "./Mutations.ts"

const seed = 1
/** Each mutation is a process of its own; so many run at a time. */
const slots = Semaphore.makeUnsafe(2)
/** Waiting for a slot counts too. */
const timeout = 300_000

const questionsOf = ({ runs, scenario }: Mutation): ReadonlyArray<Question> => [
  ...(runs === undefined ? [] : [{ runs, seed }]),
  ...(scenario === undefined ? [] : [{ scenario }])
]

describe.concurrent("the simulator catches", () => {
  const took: Array<string> = []
  afterAll(() => console.log(`random runs until caught, with seed ${seed}:\n${took.sort().join("\n")}`))

  for (const mutation of mutations) {
    it.live(mutation.mistake, () =>
      Effect.gen(function*() {
        const answers = yield* slots.withPermit(Effect.promise(() => runMutation(mutation, questionsOf(mutation))))
        const runs = mutation.runs === undefined ? `(${mutation.randomRuns})` : answers[0]!
        took.push(
          `${runs.padStart(8)}  ${mutation.mistake}${mutation.scenario === undefined ? "" : "; by a scenario, too"}`
        )
        assert.isNotEmpty(answers)
        assert.notInclude(answers, "none", `not caught in ${mutation.runs} runs, or by its scenario`)
      }), { timeout })
  }
})
