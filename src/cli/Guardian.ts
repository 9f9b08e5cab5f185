/** guardian: the command line. Every command is a file of its own under `commands/`. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { audit } from "./commands/audit.ts"
import { chaos } from "./commands/chaos.ts"
import { demo } from "./commands/demo.ts"
import { dictionary } from "./commands/dictionary.ts"
import { doctor } from "./commands/doctor.ts"
import { drain } from "./commands/drain.ts"
import { importCommand } from "./commands/import.ts"
import { keys } from "./commands/keys.ts"
import { lag } from "./commands/lag.ts"
import { late } from "./commands/late.ts"
import { load } from "./commands/load.ts"
import { log } from "./commands/log.ts"
import { migrate } from "./commands/migrate.ts"
import { serve } from "./commands/serve.ts"
import { setup } from "./commands/setup.ts"
import { simulate } from "./commands/simulate.ts"
import { smoke } from "./commands/smoke.ts"
import { sql } from "./commands/sql.ts"
import { tail } from "./commands/tail.ts"
import { trace } from "./commands/trace.ts"
import { verdict } from "./commands/verdict.ts"
import { SettingsError } from "./Environment.ts"
import { environmentFaults, unknownVariables } from "./EnvironmentCheck.ts"
import { LogFlag } from "./LogChoice.ts"
import { runMain } from "./RunMain.ts"
import { telemetry } from "./Telemetry.ts"
import { version } from "./Version.ts"

const guardian = Command.make("guardian").pipe(
  Command.withDescription(
    "Clickstream Guardian: exact sessions and findings from a log of click events, in ClickHouse"
  ),
  Command.withSubcommands([
    demo,
    serve,
    importCommand,
    drain,
    simulate,
    sql,
    tail,
    lag,
    log,
    trace,
    audit,
    dictionary,
    verdict,
    late,
    keys,
    setup,
    migrate,
    doctor,
    smoke,
    chaos,
    load
  ]),
  Command.withGlobalFlags([LogFlag])
)

/** Of all commands; doctor tells it with everything else. */
const checkedEnvironment = Effect.suspend(() => {
  if (process.argv.some((word) => word === "doctor" || word === "--help" || word === "--version")) return Effect.void
  for (const text of unknownVariables(process.env)) process.stderr.write(`guardian: ${text}\n`)
  const faults = environmentFaults(process.env)
  return faults.length === 0 ? Effect.void : Effect.fail(new SettingsError({ message: faults.join("\nguardian: ") }))
})

runMain(
  Effect.andThen(checkedEnvironment, Command.runWith(guardian, { version })(process.argv.slice(2))).pipe(
    Effect.provide(Layer.merge(NodeServices.layer, telemetry))
  )
)
