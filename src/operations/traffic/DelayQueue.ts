/**
 * Things that are due at a time: a binary heap, earliest first. Equal times leave in the order they came, so that traffic is the
 * same for the same seed.
 */

export class DelayQueue<A> {
  readonly #dueAt: Array<number> = []
  readonly #order: Array<number> = []
  readonly #items: Array<A> = []
  #added = 0

  get size(): number {
    return this.#items.length
  }

  /** When the first is due; Infinity when there is none. */
  get nextAt(): number {
    return this.#dueAt.length === 0 ? Infinity : this.#dueAt[0]!
  }

  push(dueAt: number, item: A): void {
    let at = this.#items.length
    const order = this.#added++
    this.#dueAt.push(dueAt)
    this.#order.push(order)
    this.#items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#dueAt[parent]! <= dueAt) break
      this.#move(parent, at)
      at = parent
    }
    this.#put(at, dueAt, order, item)
  }

  /** Takes the first. The queue must not be empty. */
  pop(): A {
    const first = this.#items[0]!
    const dueAt = this.#dueAt.pop()!
    const order = this.#order.pop()!
    const item = this.#items.pop()!
    const size = this.#items.length
    if (size === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && this.#before(child + 1, child)) child++
      const childDueAt = this.#dueAt[child]!
      if (childDueAt > dueAt || (childDueAt === dueAt && this.#order[child]! > order)) break
      this.#move(child, at)
      at = child
    }
    this.#put(at, dueAt, order, item)
    return first
  }

  #before(one: number, other: number): boolean {
    const difference = this.#dueAt[one]! - this.#dueAt[other]!
    return difference < 0 || (difference === 0 && this.#order[one]! < this.#order[other]!)
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#dueAt[from]!, this.#order[from]!, this.#items[from]!)
  }

  #put(at: number, dueAt: number, order: number, item: A): void {
    this.#dueAt[at] = dueAt
    this.#order[at] = order
    this.#items[at] = item
  }
}
