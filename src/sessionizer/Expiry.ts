/**
 * When to look at a visitor again: visitors in buckets by the time at which lateness puts them out of reach. A visitor that has
 * moved on meanwhile goes into a later bucket, so each is looked at once per bucket life and no batch scans them all.
 */
export class Expiry {
  readonly #buckets = new Map<number, Array<number>>()
  readonly #widthMs: number
  #sweptTo = -Infinity

  /** @param widthMs width of a bucket: how long a visitor may stay longer than needed. */
  constructor(widthMs: number) {
    this.#widthMs = Math.max(1, widthMs)
  }

  /**
   * @param at event time after which the visitor may be out of reach.
   * @returns the number of its bucket
   */
  schedule(visitor: number, at: number): number {
    const bucket = Math.floor(at / this.#widthMs) + 1
    const visitors = this.#buckets.get(bucket)
    if (visitors === undefined) this.#buckets.set(bucket, [visitor])
    else visitors.push(visitor)
    return bucket
  }

  /** Hands over every visitor whose bucket lies wholly before `now` (event time), with the bucket. */
  sweep(now: number, due: (visitor: number, bucket: number) => void): void {
    const current = Math.floor(now / this.#widthMs)
    if (current <= this.#sweptTo) return
    this.#sweptTo = current
    // The number of buckets is bounded by (gap + lateness) / width, whatever the watermark jumps over.
    for (const [bucket, visitors] of this.#buckets) {
      if (bucket >= current) continue
      this.#buckets.delete(bucket)
      for (const visitor of visitors) due(visitor, bucket)
    }
  }
}
