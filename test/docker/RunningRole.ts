/** A `guardian serve` as a process, and what it said; ended in order with the scope. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { exitCode, start } from "../cli/GuardianProcess.ts"
import { eventually } from "../warehouse/embedded/eventually.ts"

export interface RunningRole {
  /** All of it so far. */
  readonly output: () => string
  /** The port in what it said of itself, such as "Collector at http://0.0.0.0:1234". */
  port(said: RegExp): Effect.Effect<number>
}

export const runningRole = (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>
): Effect.Effect<RunningRole, never, Scope.Scope> =>
  Effect.gen(function*() {
    let output = ""
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = start(args, { env })
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding("utf8").on("data", (text: string) => output += text)
        }
        return child
      }),
      (child) =>
        Effect.promise(async () => {
          if (child.exitCode !== null || child.signalCode !== null) return
          const ended = exitCode(child)
          child.kill("SIGTERM")
          await ended
        })
    )
    const port = (said: RegExp) =>
      eventually(`${args.join(" ")} says ${said.source}`, Effect.sync(() => said.test(output)), 60_000).pipe(
        Effect.tapDefect(() => Effect.sync(() => process.stderr.write(output))),
        Effect.map(() => Number(said.exec(output)![1]))
      )
    return { output: () => output, port }
  })
