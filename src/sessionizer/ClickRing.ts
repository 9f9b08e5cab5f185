/**
 * The recent clicks of all visitors of a partition, in one ring of columns: 16 bytes a click and nothing for the collector to
 * trace. Each visitor's clicks are a chain, newest first. Only a visitor with enough of them for some rule gets more than this.
 */

const capacityMin = 64
/** How much larger a full ring becomes: all of it is used sooner or later. */
const growth = 1.5
const wordMax = 0xffff_ffff

export class ClickRing {
  /** event_ts relative to `#base`. */
  #times = new Uint32Array(capacityMin)
  #base = 0
  /** `ItemHash` numbers. */
  #items = new Float64Array(capacityMin)
  /** How far before it in the ring the same visitor's click before is; 0: there is none. */
  #back = new Uint32Array(capacityMin)
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
   * @param item `itemHash` of the item
   * @param previous what `add` gave for the visitor's click before, or -1
   * @param forgetBefore event time before which no rule needs a click
   * @returns the click's sequence number
   */
  add(eventTs: number, item: number, previous: number, forgetBefore: number): number {
    const capacity = this.#times.length
    while (this.#oldest < this.#next && this.#base + this.#times[this.#oldest % capacity]! < forgetBefore) {
      this.#oldest++
    }
    if (this.#next - this.#oldest === capacity) this.#resize(Math.ceil(capacity * growth))
    if (eventTs < this.#base || eventTs > this.#base + wordMax) this.#rebase(eventTs, forgetBefore)
    const at = this.#next % this.#times.length
    this.#times[at] = eventTs - this.#base
    this.#items[at] = item
    this.#back[at] = previous < this.#oldest ? 0 : this.#next - previous
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
  each(newest: number, visit: (eventTs: number, item: number) => void): void {
    const capacity = this.#times.length
    for (let sequence = newest, back = 1; back !== 0 && sequence >= this.#oldest; sequence -= back) {
      const at = sequence % capacity
      visit(this.#base + this.#times[at]!, this.#items[at]!)
      back = this.#back[at]!
    }
  }

  /** How many clicks of a chain lie at or after `from`. */
  count(newest: number, from: number): number {
    const capacity = this.#times.length
    let count = 0
    for (let sequence = newest, back = 1; back !== 0 && sequence >= this.#oldest; sequence -= back) {
      const at = sequence % capacity
      if (this.#base + this.#times[at]! >= from) count++
      back = this.#back[at]!
    }
    return count
  }

  #resize(capacity: number): void {
    const old = { times: this.#times, items: this.#items, back: this.#back }
    const oldCapacity = old.times.length
    this.#times = new Uint32Array(capacity)
    this.#items = new Float64Array(capacity)
    this.#back = new Uint32Array(capacity)
    for (let sequence = this.#oldest; sequence < this.#next; sequence++) {
      const from = sequence % oldCapacity
      const to = sequence % capacity
      this.#times[to] = old.times[from]!
      this.#items[to] = old.items[from]!
      this.#back[to] = old.back[from]!
    }
  }

  /** Makes an event time representable. What is older than any rule needs may become younger, but not so young. */
  #rebase(eventTs: number, forgetBefore: number): void {
    const from = Number.isFinite(forgetBefore) ? forgetBefore : eventTs - wordMax / 2
    const base = Math.floor(Math.min(eventTs, from - 1))
    const shift = this.#base - base
    this.#base = base
    for (let sequence = this.#oldest; sequence < this.#next; sequence++) {
      const at = sequence % this.#times.length
      this.#times[at] = Math.max(0, this.#times[at]! + shift)
    }
  }
}
