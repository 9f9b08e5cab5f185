/**
 * npm run simulation -- [--runs N] [--seed S] [--path P]
 *
 * Runs scenarios until one breaks a promise; prints the shrunk scenario and the command that replays it.
 * With --count-until-failure it prints only the number of runs that the first failure took, or "none".
 */
import * as fc from "fast-check"
import { parseArgs } from "node:util"
import { scenario } from "./Scenario.ts"
import { simulate } from "./Simulation.ts"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5000" },
    seed: { type: "string", default: "1" },
    path: { type: "string" },
    "count-until-failure": { type: "boolean", default: false }
  }
})

const seed = Number(values.seed)
const counting = values["count-until-failure"]
const started = performance.now()
const result = fc.check(
  fc.property(scenario, (each) => {
    const violations = simulate(each)
    if (violations.length > 0) throw new Error(violations.slice(0, 5).join("\n"))
  }),
  {
    numRuns: Number(values.runs),
    seed,
    endOnFailure: counting,
    ...(values.path !== undefined && { path: values.path })
  }
)
const seconds = ((performance.now() - started) / 1000).toFixed(1)

if (counting) console.log(result.failed ? String(result.numRuns) : "none")
else if (result.failed) {
  console.log(fc.stringify(result.counterexample?.[0]))
  console.log(String(result.errorInstance))
  console.log(
    `failed after ${result.numRuns} runs; replay: npm run simulation -- --seed ${seed} --path ${result.counterexamplePath}`
  )
  process.exitCode = 1
} else console.log(`${result.numRuns} runs with seed ${seed} in ${seconds} s: every promise held`)
