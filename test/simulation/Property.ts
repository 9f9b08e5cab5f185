/** The promise of the simulator as a property, and what to print when it is broken. */
import * as fc from "fast-check"
import type { Scenario } from "./Scenario.ts"
import { scenario } from "./Scenario.ts"
import { simulate } from "./Simulation.ts"

export interface RunOptions {
  readonly runs: number
  readonly seed: number
  /** Where in the tree of shrunk scenarios to start: from an earlier report. */
  readonly path?: string | undefined
  /** Stop at the first failure, unshrunk. */
  readonly endOnFailure?: boolean
}

const violationsShown = 5

/** Runs scenarios until one breaks a promise. */
export const checkScenarios = ({ endOnFailure = false, path, runs, seed }: RunOptions): fc.RunDetails<[Scenario]> =>
  fc.check(
    fc.property(scenario, (each) => {
      const violations = simulate(each)
      if (violations.length > 0) throw new Error(violations.slice(0, violationsShown).join("\n"))
    }),
    { numRuns: runs, seed, endOnFailure, ...(path !== undefined && { path }) }
  )

/** The broken promises, the shrunk scenario and the command that replays it; undefined when every promise held. */
export const failureReport = (result: fc.RunDetails<[Scenario]>): string | undefined =>
  result.failed ?
    [
      fc.stringify(result.counterexample?.[0]),
      String(result.errorInstance),
      `failed after ${result.numRuns} runs; replay: npm run simulation -- --seed ${result.seed} --path ${result.counterexamplePath}`
    ].join("\n") :
    undefined
