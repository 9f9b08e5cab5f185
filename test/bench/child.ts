/** Parts of a benchmark that run in processes of their own. */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

/** Starts a file of this folder; it is killed with the scope. */
export const child = <Line>(
  file: string,
  args: ReadonlyArray<string>,
  take: (line: Line) => void
): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = fileURLToPath(new URL(file, import.meta.url))
      const started = spawn(process.execPath, [path, ...args], {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, NODE_NO_WARNINGS: "1" }
      })
      createInterface({ input: started.stdout }).on("line", (line) => {
        if (line.startsWith("{")) take(JSON.parse(line) as Line)
      })
      return started
    }),
    (started) =>
      Effect.callback<void>((resume) => {
        if (started.exitCode !== null || started.signalCode !== null) return resume(Effect.void)
        started.once("close", () => resume(Effect.void))
        started.kill("SIGKILL")
      })
  )
