/** How an outage of warehouse, log or registry is waited out, and said. */
import { Effect, Schedule } from "effect"
import type { PipelineStatus } from "./PipelineStatus.ts"

/** Waits from 50 ms to 1 s between attempts, jittered, as long as waiting can heal it. */
const outageSchedule = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")]).pipe(
  Schedule.jittered
)

/**
 * Tries again while the error says that waiting can heal it (`retryable`), and says so in the status; what the status said before
 * holds again afterwards. What is tried must be safe to repeat.
 */
export const waitingOut =
  (status: Pick<PipelineStatus, "state" | "waitingFor">) =>
  <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    let stateBefore: PipelineStatus["state"] | undefined
    return effect.pipe(
      Effect.tapError((error) =>
        Effect.suspend(() => {
          if (!isRetryable(error)) return Effect.void
          const isNews = stateBefore === undefined || status.waitingFor !== error.message
          if (stateBefore === undefined) stateBefore = status.state === "waiting" ? "running" : status.state
          status.state = "waiting"
          status.waitingFor = error.message
          return isNews ? Effect.logWarning(`waiting: ${error.message}${advice(error.message)}`) : Effect.void
        })
      ),
      Effect.retry({ schedule: outageSchedule, while: isRetryable }),
      Effect.tap(() =>
        Effect.suspend(() => {
          if (stateBefore === undefined) return Effect.void
          status.state = stateBefore
          stateBefore = undefined
          status.waitingFor = ""
          return Effect.logInfo("going on")
        })
      )
    )
  }

/** The same for work that has no status of its own. */
export const waitedOut = <A, E extends { readonly message: string }, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.suspend(() => waitingOut({ state: "running", waitingFor: "" })(effect))

const isRetryable = (error: object): boolean => "retryable" in error && error.retryable === true

/** What a person can do about it; most outages heal without anybody. */
const advice = (message: string): string =>
  /no space left|not enough space|NOT_ENOUGH_SPACE|disk is full/i.test(message) ?
    " Make room on that disk: nothing is lost, and it goes on by itself." :
    ""
