/** The promise of the simulator as a property, and what to print when it is broken. */
import * as fc from "fast-check"
import { actions } from "./Actions.ts"
import { drafts, writeLog } from "./Histories.ts"
import type { Scenario } from "./Scenario.ts"
import { gapUnits, smallSettings } from "./Scenario.ts"
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

/** Lateness below, at and above the gap; some with windows longer than the gap. */
const settings = fc.oneof(
  { weight: 7, arbitrary: fc.constantFrom(10, gapUnits, 60, 100).map((lateness) => smallSettings(lateness)) },
  { weight: 2, arbitrary: fc.constantFrom(10, 60).map((lateness) => smallSettings(lateness, 80)) }
)

const scenario: fc.Arbitrary<Scenario> = fc.record({ settings, drafts, actions })
  .map(({ actions, drafts, settings }) => ({ settings, log: writeLog(drafts, settings), actions }))

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
