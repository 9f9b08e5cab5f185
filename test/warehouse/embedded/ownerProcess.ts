import { Deferred, Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

/** What `ownerMain.ts` says: it runs the warehouse, or another process does. */
export interface Said {
  readonly url?: string
  readonly enginePid?: number
  readonly owned?: number
  readonly message?: string
}

/** Starts a process that owns the directory or learns who does; ended with the scope. */
export const ownerProcess = Effect.fnUntraced(function*(directory: string) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [fileURLToPath(new URL("./ownerMain.ts", import.meta.url)), directory], {
        stdio: ["pipe", "pipe", "inherit"],
        env: { ...process.env, NODE_OPTIONS: "", NODE_NO_WARNINGS: "1" }
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const said = Deferred.makeUnsafe<Said, Error>()
  const ended = Deferred.makeUnsafe<void>()
  let output = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text
    const line = output.split("\n")[0]!
    if (output.includes("\n") && line.startsWith("{")) {
      Deferred.doneUnsafe(said, Effect.succeed(JSON.parse(line) as Said))
    }
  })
  child.once("close", () => {
    Deferred.doneUnsafe(ended, Effect.void)
    Deferred.doneUnsafe(said, Effect.fail(new Error(`the owner ended without a word: ${output}`)))
  })
  return {
    pid: child.pid!,
    said: Deferred.await(said),
    /** SIGKILL: nothing is cleaned up. */
    kill: Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended)),
    /** Ends its standard input, on which it stops in good order. */
    stop: Effect.andThen(Effect.sync(() => child.stdin.end()), Deferred.await(ended))
  }
})

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
