import { Effect } from "effect"

const deadlineMs = 20_000

/** Waits until the check holds; a test never waits for time to pass. */
export const eventually = Effect.fnUntraced(function*<E, R>(
  what: string,
  check: Effect.Effect<boolean, E, R>,
  withinMs = deadlineMs
): Effect.fn.Return<void, E, R> {
  const deadline = Date.now() + withinMs
  while (!(yield* check)) {
    if (Date.now() > deadline) return yield* Effect.die(new Error(`not within ${withinMs} ms: ${what}`))
    yield* Effect.sleep(10)
  }
})
