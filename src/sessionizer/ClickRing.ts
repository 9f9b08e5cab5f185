/**
 * The recent clicks of all visitors of a partition, in one ring of columns: 20 bytes a click and nothing for the collector to
 * trace. Each visitor's clicks are a chain, newest first. Only a visitor with enough of them for some rule gets more than this.
 */

const capacityMin = 64

export class ClickRing {
  #times = new Float64Array(capacityMin)
  #items: Array<string> = Array.from<string>({ length: capacityMin }).fill("")
  /** Sequence number of the same visitor's click before, or -1. */
  #previous = new Float64Array(capacityMin)
  /** Sequence numbers of the oldest click that is held and of the next one. They grow for ever: safe integers, not words. */
  #oldest: number
  #next: number

  /** @param first the first sequence number */
  constructor(first = 0) {
    this.#oldest = first
    this.#next = first
  }

  get size(): number {
    return this.#next - this.#oldest
  }

  /**
   * @param previous what `add` gave for the visitor's click before, or -1
   * @param forgetBefore event time before which no rule needs a click
   * @returns the click's sequence number
   */
  add(eventTs: number, item: string, previous: number, forgetBefore: number): number {
    while (this.#oldest < this.#next && this.#times[this.#oldest % this.#times.length]! < forgetBefore) {
      this.#items[this.#oldest % this.#times.length] = ""
      this.#oldest++
    }
    if (this.#next - this.#oldest === this.#times.length) this.#grow()
    const at = this.#next % this.#times.length
    this.#times[at] = eventTs
    this.#items[at] = item
    this.#previous[at] = previous
    return this.#next++
  }

  /**
   * The sequence number of which only the lower 32 bits are known. It must be one of the last 2^32, which it is as long as its
   * visitor is held: nobody is for so many clicks.
   */
  sequenceOf(lowerBits: number): number {
    return this.#next - ((this.#next - lowerBits) >>> 0)
  }

  /** The clicks of a chain, newest first. */
  each(newest: number, visit: (eventTs: number, item: string) => void): void {
    for (let sequence = newest; sequence >= this.#oldest;) {
      const at = sequence % this.#times.length
      visit(this.#times[at]!, this.#items[at]!)
      sequence = this.#previous[at]!
    }
  }

  /** How many clicks of a chain lie at or after `from`. */
  count(newest: number, from: number): number {
    let count = 0
    for (let sequence = newest; sequence >= this.#oldest;) {
      const at = sequence % this.#times.length
      if (this.#times[at]! >= from) count++
      sequence = this.#previous[at]!
    }
    return count
  }

  #grow(): void {
    const old = { times: this.#times, items: this.#items, previous: this.#previous }
    const oldCapacity = old.times.length
    const capacity = oldCapacity * 2
    this.#times = new Float64Array(capacity)
    this.#items = Array.from<string>({ length: capacity }).fill("")
    this.#previous = new Float64Array(capacity)
    for (let sequence = this.#oldest; sequence < this.#next; sequence++) {
      const from = sequence % oldCapacity
      const to = sequence % capacity
      this.#times[to] = old.times[from]!
      this.#items[to] = old.items[from]!
      this.#previous[to] = old.previous[from]!
    }
  }
}
