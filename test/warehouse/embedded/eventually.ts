import { Effect } from "effect"

const deadlineMs = 20_000

/** Waits until the check holds; a test never waits for time to pass. */
export const eventually = Effect.fnUntraced(function*<E, R>(
  what: string,
  check: Effect.Effect<boolean, E, R>
): Effect.fn.Return<void, E, R> {
  const deadline = Date.now() + deadlineMs
  while (!(yield* check)) {
    if (Date.now() > deadline) return yield* Effect.die(new Error(`not within ${deadlineMs} ms: ${what}`))
    yield* Effect.sleep(10)
  }
})
