import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { memoryText } from "../../operations/load/Memory.ts"
import { highestHeld } from "../../operations/load/Search.ts"
import type { LoadStep } from "../../operations/load/Step.ts"
import { json, print, printJson, rateFlag } from "../Flags.ts"
import { findHeldRate } from "../load/Load.ts"
import { logKind } from "../LogChoice.ts"
import { finishing } from "../RunMain.ts"

const rate = rateFlag.pipe(Flag.withDescription("Events per second of the first step"), Flag.withDefault(5_000))
const seconds = Flag.Finite("seconds").pipe(
  Flag.filter((each) => each >= 1 && each <= 3_600, () => "1 to 3600"),
  Flag.withDescription("How long each step is measured"),
  Flag.withDefault(15)
)
const warm = Flag.Finite("warm").pipe(
  Flag.filter((each) => each >= 0 && each <= 600, () => "0 to 600"),
  Flag.withDescription(
    "Seconds of traffic before each step is measured; three fresh brokers on two cores need some 45"
  ),
  Flag.withDefault(10)
)
const through = Flag.Literals("through", ["log", "collector"]).pipe(
  Flag.withDescription("Append to the log, or send by HTTP"),
  Flag.withDefault("log" as const)
)
const seed = Flag.Int("seed").pipe(Flag.withDescription("Of the traffic"), Flag.withDefault(1))
const only = Flag.Boolean("only").pipe(
  Flag.withDescription("Measure this rate alone, and look for no higher one"),
  Flag.withDefault(false)
)

/** Loads installations of its own, with everything on this machine, until one does not keep up. */
export const load = Command.make(
  "load",
  { rate, warm, seconds, through, seed, only, json },
  Effect.fn(function*({ json, only, rate, seconds, seed, through, warm }) {
    const log = yield* logKind
    if (!json) yield* print(`through the ${through}, log on ${log}; each step ${seconds} s in a new installation`)
    const measuring = findHeldRate({
      log,
      through,
      recordsPerSecond: rate,
      warmSeconds: warm,
      seconds,
      seed,
      only,
      onStep: (step) => json ? Effect.void : print(lineOf(step))
    })
    const steps = yield* finishing(measuring, json ? "Nothing was shown" : "Steps that are not shown were not measured")
    const held = highestHeld(steps)
    if (json) return yield* printJson({ log, through, seconds, held: held ?? null, steps })
    yield* print(held === undefined ? "no rate was held" : `held: ${held.toLocaleString("en")} events/s`)
  })
).pipe(Command.withDescription("Find the highest rate of events that this machine holds, by steps"))

const lineOf = (step: LoadStep): string => {
  const count = (value: number) => Math.round(value).toLocaleString("en")
  return `${count(step.recordsPerSecond).padStart(9)}/s ${step.isHeld ? "held    " : "NOT HELD"} ` +
    `${count(step.acknowledgedPerSecond)}/s acknowledged; waiting ${count(step.lagMiddle)}, then ${
      count(step.lagEnd)
    }; ` +
    `visible after p50 ${count(step.visibleP50Ms)}, p95 ${count(step.visibleP95Ms)}, p99 ${
      count(step.visibleP99Ms)
    } ms; ` +
    (step.shownP95Ms === undefined ?
      "" :
      `in the API after p50 ${count(step.shownP50Ms!)}, p95 ${count(step.shownP95Ms)} ms; `) +
    `appends p95 ${count(step.appendP95Ms)} ms; ${memoryText(step.memory)}`
}
