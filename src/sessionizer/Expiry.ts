/**
 * When to look at a visitor again: visitors in buckets by the time at which lateness puts them out of reach. A visitor that has
 * moved on meanwhile goes into a later bucket, so each is looked at once per bucket life and no batch scans them all.
 */
export class Expiry {
  readonly #buckets = new Map<number, VisitorList>()
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
    let visitors = this.#buckets.get(bucket)
    if (visitors === undefined) this.#buckets.set(bucket, visitors = new VisitorList())
    visitors.add(visitor)
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
      visitors.each((visitor) => due(visitor, bucket))
    }
  }
}

const roomMin = 8
const growth = 1.5

/** Numbers of visitors, 4 bytes each: some are in several buckets, and an evicted one stays in its own. */
class VisitorList {
  #visitors = new Int32Array(roomMin)
  #count = 0

  add(visitor: number): void {
    if (this.#count === this.#visitors.length) {
      const larger = new Int32Array(Math.floor(this.#count * growth))
      larger.set(this.#visitors)
      this.#visitors = larger
    }
    this.#visitors[this.#count++] = visitor
  }

  each(visit: (visitor: number) => void): void {
    for (let i = 0; i < this.#count; i++) visit(this.#visitors[i]!)
  }
}
