import { assert, describe, it } from "@effect/vitest"
import { randomInt } from "node:crypto"
import { namedScenarios } from "./NamedScenarios.ts"
import { checkScenarios, failureReport } from "./Property.ts"
import { simulate } from "./Simulation.ts"

const runs = 2_500

const hold = (result: ReturnType<typeof checkScenarios>): void => {
  const failure = failureReport(result)
  if (failure !== undefined) throw new Error(failure)
}

describe("whatever crashes, lost answers, repeats, zombies and evictions happen, the warehouse equals the oracle", () => {
  it(`in ${runs} histories that are the same each time`, () => {
    hold(checkScenarios({ runs, seed: 1 }))
  })

  it(`in ${runs} histories that nobody has seen before`, () => {
    const seed = randomInt(2 ** 31 - 1)
    console.log(`simulation seed ${seed}`)
    hold(checkScenarios({ runs, seed }))
  })

  for (const { name, scenario } of namedScenarios) {
    it(`when an owner ${name}`, () => {
      assert.deepStrictEqual(simulate(scenario), [])
    })
  }
})
