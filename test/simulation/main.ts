/**
 * npm run simulation -- [--runs N] [--seed S] [--path P]
 *
 * Runs the named scenarios, then random ones until one breaks a promise; prints the shrunk scenario and the command that replays
 * it. With --count-until-failure it prints only the number of random runs that the first failure took, or "none"; with
 * --named NAME only "caught" when that scenario breaks a promise, or "none".
 */
import { parseArgs } from "node:util"
import { namedScenarios } from "./NamedScenarios.ts"
import { checkScenarios, failureReport } from "./Property.ts"
import { simulate } from "./Simulation.ts"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5000" },
    seed: { type: "string", default: "1" },
    path: { type: "string" },
    named: { type: "string" },
    "count-until-failure": { type: "boolean", default: false }
  }
})
const runs = Number(values.runs)
const seed = Number(values.seed)

if (values.named !== undefined) {
  const scenario = namedScenarios.find(({ name }) => name === values.named)
  if (scenario === undefined) throw new Error(`no scenario is named ${values.named}`)
  console.log(simulate(scenario.scenario).length > 0 ? "caught" : "none")
} else if (values["count-until-failure"]) {
  const result = checkScenarios({ runs, seed, endOnFailure: true })
  console.log(result.failed ? String(result.numRuns) : "none")
} else {
  const started = performance.now()
  for (const { name, scenario } of namedScenarios) {
    const violations = simulate(scenario)
    if (violations.length > 0) {
      console.log(`${name}:\n${violations.join("\n")}`)
      process.exitCode = 1
    }
  }
  const result = checkScenarios({ runs, seed, path: values.path })
  const failure = failureReport(result)
  if (failure !== undefined) process.exitCode = 1
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(failure ?? `${result.numRuns} runs with seed ${seed} in ${seconds} s: every promise held`)
}
