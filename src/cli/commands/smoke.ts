import { Config, Effect, Option, Redacted } from "effect"
import { Command, Flag } from "effect/cli"
import { randomUUID } from "node:crypto"
import { smoke as runSmoke } from "../../operations/smoke/Smoke.ts"
import type { SmokeStep } from "../../operations/smoke/Smoke.ts"
import { processVariables, SettingsError, smokeVariables, wholeNumber } from "../Environment.ts"
import type { Variable } from "../Environment.ts"
import { json, print, printJson, UsageError } from "../Flags.ts"
import { InstallationError } from "../Installation.ts"

const addressFlag = (name: string, what: string) =>
  Flag.String(name).pipe(
    Flag.withDescription(`Address of the ${what}, such as https://${name}.shop.example`),
    Flag.optional
  )

const timeout = Flag.Finite("timeout").pipe(
  Flag.filter((seconds) => seconds > 0 && seconds <= 3_600, () => "a number of seconds above 0, at most 3600"),
  Flag.withDescription("All steps together, s"),
  Flag.withDefault(30)
)

/** One marked event through a running installation. It is live traffic: the log is taken for live from then on. */
export const smoke = Command.make(
  "smoke",
  { collector: addressFlag("collector", "collector"), api: addressFlag("api", "API"), timeout, json },
  Effect.fn(function*({ api, collector, json, timeout }) {
    const place = {
      collector: yield* addressOf("--collector", collector, processVariables.collectorPort),
      api: yield* addressOf("--api", api, processVariables.apiPort),
      writeKey: yield* keyOf(smokeVariables.writeKey),
      readKey: yield* keyOf(smokeVariables.readKey)
    }
    const report = yield* runSmoke(place, {
      id: randomUUID(),
      timeoutMs: timeout * 1_000,
      onStep: (step) => json ? Effect.void : print(lineOf(step))
    })
    if (json) yield* printJson(report)
    const failed = report.steps.find(({ ok }) => !ok)
    if (failed === undefined) return yield* json ? Effect.void : print(`it works: ${report.tookMs} ms from end to end`)
    return yield* new InstallationError({
      message: `smoke failed at ${failed.step}: ${failed.detail}. ${failed.advice ?? ""}`
    })
  })
).pipe(
  Command.withDescription(
    "Check a running installation from end to end with one marked event, which no KPI counts (keys: GUARDIAN_SMOKE_WRITE_KEY, GUARDIAN_SMOKE_READ_KEY)"
  )
)

const lineOf = ({ detail, ok, step, tookMs }: SmokeStep): string =>
  `${ok ? "ok  " : "FAIL"}  ${step.padEnd(9)}  ${String(tookMs).padStart(6)} ms  ${detail}`

/** Of the flag, or the port of this machine that the setting says. */
const addressOf = Effect.fnUntraced(function*(flag: string, given: Option.Option<string>, port: Variable) {
  const text = Option.isSome(given) ? given.value : `http://127.0.0.1:${(yield* wholeNumber(port)) ?? port.fallback}`
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    return yield* new UsageError({ message: `${flag} must be an address such as http://127.0.0.1:8080, not "${text}"` })
  }
  return text.replace(/\/+$/, "")
})

const keyOf = (variable: Variable): Effect.Effect<Redacted.Redacted | undefined, SettingsError> =>
  Config.String(variable.name).pipe(
    Config.withDefault(""),
    Effect.mapError((error) => new SettingsError({ message: error.message })),
    Effect.map((text) => text === "" ? undefined : Redacted.make(text))
  )
