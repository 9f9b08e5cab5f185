/** Commands inside the test's own process: what they print and how they end, without the time that a process takes to start. */
import { NodeServices } from "@effect/platform-node"
import { Cause, ConfigProvider, Effect, Exit } from "effect"
import { Command } from "effect/cli"
import { vi } from "vitest"
import { audit } from "../../src/cli/commands/audit.ts"
import { doctor } from "../../src/cli/commands/doctor.ts"
import { drain } from "../../src/cli/commands/drain.ts"
import { keys } from "../../src/cli/commands/keys.ts"
import { lag } from "../../src/cli/commands/lag.ts"
import { late } from "../../src/cli/commands/late.ts"
import { sql } from "../../src/cli/commands/sql.ts"
import { tail } from "../../src/cli/commands/tail.ts"
import { trace } from "../../src/cli/commands/trace.ts"
import { verdict } from "../../src/cli/commands/verdict.ts"

export interface Ran {
  readonly stdout: string
  /** The message of the error that it ended with. */
  readonly failure?: string
}

const guardian = Command.make("guardian").pipe(
  Command.withSubcommands([audit, doctor, drain, keys, lag, late, sql, tail, trace, verdict])
)

/** One at a time: there is one standard output. */
export const run = async (args: ReadonlyArray<string>): Promise<Ran> => {
  let stdout = ""
  const write = vi.spyOn(process.stdout, "write").mockImplementation((chunk, ...more) => {
    stdout += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString()
    for (const done of more) if (typeof done === "function") done()
    return true
  })
  try {
    const exit = await Effect.runPromiseExit(
      Command.runWith(guardian, { version: "0" })(args).pipe(
        Effect.provide(NodeServices.layer),
        // The default one is a copy from the process's beginning.
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv())
      )
    )
    return Exit.isSuccess(exit) ? { stdout } : { stdout, failure: (Cause.squash(exit.cause) as Error).message }
  } finally {
    write.mockRestore()
  }
}
