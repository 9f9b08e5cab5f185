/**
 * Visitors that the warehouse may know something of that still matters, but memory does not hold: after a start everyone, later
 * those who were evicted. They are read on first sight. A visitor is 31 bits of hash here; a collision costs a needless read and
 * loses nothing, since the entry then covers both.
 */
import { positiveMurmur2 } from "../domain/Murmur2.ts"

export class ColdVisitors {
  /** Hash -> index into the columns. */
  readonly #index = new Map<number, number>()
  #from: Array<number> = []
  #endedAt: Array<number> = []

  get size(): number {
    return this.#index.size
  }

  /**
   * @param hash `positiveMurmur2` of the visitor id
   * @param from events before it do not matter: start of the oldest session that may still grow, ms
   * @param endedAt end of the newest session, ms
   */
  add(hash: number, from: number, endedAt: number): void {
    const at = this.#index.get(hash)
    if (at === undefined) {
      this.#index.set(hash, this.#from.length)
      this.#from.push(from)
      this.#endedAt.push(endedAt)
    } else {
      if (from < this.#from[at]!) this.#from[at] = from
      if (endedAt > this.#endedAt[at]!) this.#endedAt[at] = endedAt
    }
  }

  /** From where the events of a visitor must be read, or undefined when nothing in the warehouse can matter. */
  readFrom(visitorId: string, reachable: number): number | undefined {
    const at = this.#index.get(positiveMurmur2(visitorId))
    return at === undefined || this.#endedAt[at]! < reachable ? undefined : this.#from[at]!
  }

  /** Forgets all that is out of reach. */
  sweep(reachable: number): void {
    const from: Array<number> = []
    const endedAt: Array<number> = []
    for (const [hash, at] of this.#index) {
      if (this.#endedAt[at]! < reachable) this.#index.delete(hash)
      else {
        this.#index.set(hash, from.length)
        from.push(this.#from[at]!)
        endedAt.push(this.#endedAt[at]!)
      }
    }
    this.#from = from
    this.#endedAt = endedAt
  }
}
