/**
 * Runs a command as a process: SIGINT or SIGTERM ends it in order, a second one at once. Exit codes: 0 done, 1 failed, 2 called
 * in a way that makes no sense, 130 ended at once by a second signal, or in order but before its work was done.
 */
import { Cause, Effect, Exit, Fiber } from "effect"
import { CliError } from "effect/cli"

/** How long an orderly end may take, ms: what was read is flushed in it. */
export const stopMsMax = 4_500

/** What is to be said of work that has an end and has not reached it: whoever waits for the exit code must not take it for done. */
let unfinished: string | undefined

/**
 * Marks work that has an end. When it is stopped before, that is said, and the exit code is 130; a server is never unfinished.
 * @param words what becomes of what was done so far
 */
export const finishing = <A, E, R>(
  work: Effect.Effect<A, E, R>,
  words = "What was done is kept; run it again and it goes on"
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    unfinished = words
    return Effect.tap(work, () =>
      Effect.sync(() => {
        unfinished = undefined
      }))
  })

/** What is left to put right outside of this process, each in words that say how: an orderly end takes as long as that takes. */
const owed = new Set<string>()

/** Until `settle` is called with the same words, an orderly end waits, and an end at once says them. */
export const owe = (words: string): void => void owed.add(words)
export const settle = (words: string): void => void owed.delete(words)

const interruptedCode = (): number => {
  if (unfinished === undefined) return 0
  process.stderr.write(`guardian: stopped before the end. ${unfinished}\n`)
  return 130
}

export const runMain = <E>(program: Effect.Effect<void, E>): void => {
  let stopping = false
  const stop = (): void => {
    if (stopping) {
      for (const words of owed) process.stderr.write(`guardian: ${words}\n`)
      process.exit(130)
    }
    stopping = true
    const giveUp = (): void => {
      if (owed.size > 0) return void setTimeout(giveUp, stopMsMax).unref()
      const after = unfinished === undefined ? " Nothing is lost: the next start goes on" : ""
      process.stderr.write(`guardian: not done in time; ended all the same.${after}\n`)
      process.exit(interruptedCode())
    }
    setTimeout(giveUp, stopMsMax).unref()
    Effect.runFork(Fiber.interrupt(fiber))
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  // The terminal was closed.
  process.on("SIGHUP", stop)
  // A reader that went away (guardian tail | head) is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))
  // Signals are heard before anything begins: its first steps are made at once.
  const fiber = Effect.runFork(program)
  fiber.addObserver((exit) => {
    const code = exitCode(exit)
    if (process.stdout.writableLength > 0) process.stdout.once("drain", () => process.exit(code))
    else process.exit(code)
  })
}

const exitCode = (exit: Exit.Exit<void, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return interruptedCode()
  const error = Cause.squash(exit.cause)
  if (CliError.isCliError(error)) {
    if (error._tag !== "ShowHelp") process.stderr.write(`guardian: ${error.message}\n`)
    return error._tag === "ShowHelp" && error.errors.length === 0 ? 0 : 2
  }
  process.stderr.write(`guardian: ${describe(error, exit.cause)}\n`)
  return isUsage(error) ? 2 : 1
}

/** What only another call can mend, like a --map that does not fit its file or a variable that makes no sense. */
const usageErrors: ReadonlySet<string> = new Set(["KeysError", "MappingError", "SettingsError", "UsageError"])

const isUsage = (error: unknown): boolean =>
  error instanceof Error && "_tag" in error && usageErrors.has(String(error._tag))

/** Expected errors by their message; bugs with all there is. */
const describe = (error: unknown, cause: Cause.Cause<unknown>): string =>
  error instanceof Error && "_tag" in error && !Cause.hasDies(cause) ? error.message : Cause.pretty(cause)
