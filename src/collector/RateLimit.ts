/**
 * Events per second of each key: a bucket that fills at the rate, up to two seconds' worth. A request is let in while anything is
 * in the bucket and may overdraw it, since its size is known only once it was read; the debt is paid before the next one.
 */
import { Refusal } from "./Refusal.ts"

const burstSeconds = 2

interface Bucket {
  tokens: number
  filledAt: number
}

export class RateLimit {
  readonly #buckets = new Map<string, Bucket>()

  /** Undefined: go on. Else how long to wait. */
  check(name: string, eventsPerSecond: number, nowMs: number): Refusal | undefined {
    const { tokens } = this.#filled(name, eventsPerSecond, nowMs)
    if (tokens > 0) return undefined
    const seconds = Math.max(1, Math.ceil(-tokens / eventsPerSecond))
    return new Refusal(
      429,
      "Rate limit",
      `This write key may send ${eventsPerSecond} events/s; send this again in ${seconds} s.`,
      { "retry-after": String(seconds) }
    )
  }

  spend(name: string, eventsPerSecond: number, nowMs: number, events: number): void {
    this.#filled(name, eventsPerSecond, nowMs).tokens -= events
  }

  #filled(name: string, eventsPerSecond: number, nowMs: number): Bucket {
    const most = eventsPerSecond * burstSeconds
    const bucket = this.#buckets.get(name)
    if (bucket === undefined) {
      const full = { tokens: most, filledAt: nowMs }
      this.#buckets.set(name, full)
      return full
    }
    const seconds = Math.max(0, nowMs - bucket.filledAt) / 1_000
    bucket.tokens = Math.min(most, bucket.tokens + seconds * eventsPerSecond)
    bucket.filledAt = nowMs
    return bucket
  }
}
