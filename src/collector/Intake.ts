/**
 * The bounded place between requests and the log. Whoever comes when it is full is told so at once, with nothing kept: memory
 * does not depend on how many send.
 */
import { Clock, Effect } from "effect"
import type { EventLog, LogError, NewRecord, Receipt } from "../log/EventLog.ts"
import type { CollectorLimits } from "./CollectorSettings.ts"
import { Refusal } from "./Refusal.ts"

/** Bytes that one request occupies. */
export interface Lease {
  /** False: there is no room; what was taken before stays until `end`. */
  take(bytes: number): boolean
  end(): void
}

export class Intake {
  readonly #log: EventLog["Service"]
  readonly #limits: CollectorLimits
  #bytes = 0
  #records = 0
  /** Said once, not with every request. */
  #isAway = false
  /** Begin of each unanswered append, oldest first, epoch ms. */
  readonly #begun = new Set<{ readonly at: number }>()

  constructor(log: EventLog["Service"], limits: CollectorLimits) {
    this.#log = log
    this.#limits = limits
  }

  get bytesInFlight(): number {
    return this.#bytes
  }

  get recordsInFlight(): number {
    return this.#records
  }

  /** A cheap look before the body is read: too much is under way, or the log is too far behind. */
  isFull(nowMs: number): boolean {
    if (this.#bytes >= this.#limits.bytesInFlightMax || this.#records >= this.#limits.recordsInFlightMax) return true
    for (const oldest of this.#begun) return nowMs - oldest.at >= this.#limits.queueMsMax
    return false
  }

  lease(): Lease {
    let held = 0
    return {
      take: (bytes) => {
        if (this.#bytes + bytes > this.#limits.bytesInFlightMax) return false
        held += bytes
        this.#bytes += bytes
        return true
      },
      end: () => {
        this.#bytes -= held
        held = 0
      }
    }
  }

  /** Appends; answers when the log has it durably. What was refused or interrupted may be in the log all the same. */
  append(records: ReadonlyArray<NewRecord>): Effect.Effect<ReadonlyArray<Receipt>, Refusal> {
    return Effect.flatMap(Clock.currentTimeMillis, (at) => {
      // One request may always go when nothing else is under way.
      if (this.#records > 0 && this.#records + records.length > this.#limits.recordsInFlightMax) {
        return Effect.fail(Refusal.full)
      }
      const begun = { at }
      this.#begun.add(begun)
      this.#records += records.length
      return this.#log.append(records).pipe(
        Effect.timeoutOrElse({
          duration: this.#limits.appendMsMax,
          orElse: () => this.#away("it did not answer in time")
        }),
        Effect.catchTag("LogError", (error: LogError) => this.#away(error.message)),
        Effect.tap(() => this.#back),
        Effect.ensuring(Effect.sync(() => {
          this.#begun.delete(begun)
          this.#records -= records.length
        }))
      )
    })
  }

  #away(why: string): Effect.Effect<never, Refusal> {
    const refusal = new Refusal(503, "Log away", "The log takes nothing at the moment; send this again later.", {
      "retry-after": String(this.#limits.retryAwaySeconds)
    })
    return Effect.suspend(() => {
      if (this.#isAway) return Effect.fail(refusal)
      this.#isAway = true
      return Effect.andThen(Effect.logWarning(`collector: the log takes nothing: ${why}`), Effect.fail(refusal))
    })
  }

  readonly #back = Effect.suspend(() => {
    if (!this.#isAway) return Effect.void
    this.#isAway = false
    return Effect.logInfo("collector: the log takes events again")
  })
}
