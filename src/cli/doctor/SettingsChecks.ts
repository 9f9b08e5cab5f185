/** Every setting with its value and where it came from. */
import { Effect, Result } from "effect"
import type { CoreSettings } from "../../domain/Settings.ts"
import { coreSettings, reportingSettings, variables } from "../Environment.ts"
import type { Variable } from "../Environment.ts"
import { environmentFaults, unknownVariables } from "../EnvironmentCheck.ts"
import type { Check } from "./Check.ts"
import { checksOf } from "./Check.ts"

export interface Setting {
  readonly name: string
  readonly value: string
  readonly source: "environment" | "default"
  readonly meaning: string
}

export const settings = (): ReadonlyArray<Setting> =>
  variables.map(
    ({ fallback, meaning, name, secret = false }: Variable) => {
      const set = secret && process.env[name] ? "(set)" : process.env[name] ?? ""
      return set === "" ?
        { name, value: fallback, source: "default", meaning } :
        { name, value: set, source: "environment", meaning }
    }
  )

const { fail, ok, warn } = checksOf("settings")

/** Also the core's settings, when they can be. */
export const settingsChecks: Effect.Effect<{
  readonly core: CoreSettings | undefined
  readonly checks: ReadonlyArray<Check>
}> = Effect.gen(function*() {
  const core = yield* Effect.result(coreSettings)
  const checks: Array<Check> = []
  if (Result.isFailure(core)) checks.push(fail("core", core.failure.message))
  const reporting = yield* Effect.result(reportingSettings)
  if (Result.isFailure(reporting)) checks.push(fail("reporting", reporting.failure.message))
  for (const fault of environmentFaults(process.env)) checks.push(fail(fault.slice(0, fault.indexOf(" ")), fault))
  for (const text of unknownVariables(process.env)) checks.push(warn("names", text))
  const changed = settings().filter(({ source }) => source === "environment").length
  if (checks.length === 0) checks.push(ok("values", `${changed} from the environment, the others by default`))
  return { core: Result.isSuccess(core) ? core.success : undefined, checks }
})
