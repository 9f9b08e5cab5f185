/**
 * npm run simulation -- [--runs N] [--seed S] [--path P]
 *
 * Runs the named scenarios, then random ones until one breaks a promise; prints the shrunk scenario and the command that replays
 * it. With --count-until-failure it prints only the number of random runs that the first failure took, or "none"; with
 * --named NAME only "caught" when that scenario breaks a promise, or "none".
 *
 * npm run simulation -- --mutation TEXT [--runs N] [--seed S] [--seeds K]
 *
 * Plants each mutation whose mistake contains TEXT, and prints how many random runs it takes to catch it, with seeds S, S + 1, ...
 */
import { parseArgs } from "node:util"
import { runMutation } from "./MutationRun.ts"
import { mutations } from "./Mutations.ts"
import { namedScenarios } from "./NamedScenarios.ts"
import { checkScenarios, failureReport } from "./Property.ts"
import { simulate } from "./Simulation.ts"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5000" },
    seed: { type: "string", default: "1" },
    path: { type: "string" },
    named: { type: "string" },
    "count-until-failure": { type: "boolean", default: false },
    mutation: { type: "string" },
    seeds: { type: "string", default: "1" }
  }
})
const runs = Number(values.runs)
const seed = Number(values.seed)

const runAll = (): void => {
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

const runNamed = (wanted: string): void => {
  const scenario = namedScenarios.find(({ name }) => name === wanted)
  if (scenario === undefined) throw new Error(`no scenario is named ${wanted}`)
  console.log(simulate(scenario.scenario).length > 0 ? "caught" : "none")
}

const runMutations = async (text: string): Promise<void> => {
  const found = mutations.filter(({ mistake }) => mistake.includes(text))
  if (found.length === 0) throw new Error(`no mistake contains ${text}`)
  const questions = Array.from({ length: Number(values.seeds) }, (_, more) => ({ runs, seed: seed + more }))
  for (const mutation of found) {
    const took = await runMutation(mutation, questions)
    console.log(`${took.map((each) => each.padStart(6)).join(" ")}  ${mutation.mistake}`)
  }
}

if (values.mutation !== undefined) await runMutations(values.mutation)
else if (values.named !== undefined) runNamed(values.named)
else if (values["count-until-failure"]) {
  const result = checkScenarios({ runs, seed, endOnFailure: true })
  console.log(result.failed ? String(result.numRuns) : "none")
} else runAll()
