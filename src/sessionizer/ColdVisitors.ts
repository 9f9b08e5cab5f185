/**
 * Visitors that the warehouse may know something of that still matters, but memory does not hold: after a start everyone, later
 * those who were evicted. They are read on first sight. A visitor is 31 bits of hash here; a collision costs a needless read and
 * loses nothing, since the entry then covers both.
 *
 * After a start under load these are millions: an open-addressing table of 20 bytes a slot.
 */
const capacityMin = 64
const loadMax = 0.6

export class ColdVisitors {
  /** The complement of each hash, which is never 0; 0: free. */
  #hashes = new Int32Array(capacityMin)
  #from = new Float64Array(capacityMin)
  #endedAt = new Float64Array(capacityMin)
  #size = 0
  /** False while recovery still reads who is cold: until then everybody may be. */
  isComplete = true

  get size(): number {
    return this.#size
  }

  /**
   * @param hash `positiveMurmur2` of the visitor id
   * @param from events before it do not matter: start of the oldest session that may still grow, ms
   * @param endedAt end of the newest session, ms
   */
  add(hash: number, from: number, endedAt: number): void {
    const at = this.#find(hash)
    if (this.#hashes[at] === 0) {
      this.#hashes[at] = ~hash
      this.#from[at] = from
      this.#endedAt[at] = endedAt
      if (++this.#size > this.#hashes.length * loadMax) this.#rebuild(this.#hashes.length * 2, -Infinity)
    } else {
      if (from < this.#from[at]!) this.#from[at] = from
      if (endedAt > this.#endedAt[at]!) this.#endedAt[at] = endedAt
    }
  }

  /** From where the events of a visitor must be read, or undefined when nothing in the warehouse can matter. */
  readFrom(hash: number, reachable: number): number | undefined {
    const at = this.#find(hash)
    return this.#hashes[at] === 0 || this.#endedAt[at]! < reachable ? undefined : this.#from[at]!
  }

  /** Forgets all that is out of reach. */
  sweep(reachable: number): void {
    let left = 0
    for (let at = 0; at < this.#hashes.length; at++) {
      if (this.#hashes[at] !== 0 && this.#endedAt[at]! >= reachable) left++
    }
    this.#rebuild(Math.max(capacityMin, 2 ** Math.ceil(Math.log2((left + 1) / loadMax))), reachable)
  }

  /** The slot of a hash, or the free one where it belongs. */
  #find(hash: number): number {
    const hashes = this.#hashes
    const mask = hashes.length - 1
    // Hashes of one partition share a remainder: spread them.
    let at = (Math.imul(hash, 0x9e3779b1) >>> 7) & mask
    while (hashes[at] !== 0 && hashes[at] !== ~hash) at = at + 1 & mask
    return at
  }

  #rebuild(capacity: number, reachable: number): void {
    const old = { hashes: this.#hashes, from: this.#from, endedAt: this.#endedAt }
    this.#hashes = new Int32Array(capacity)
    this.#from = new Float64Array(capacity)
    this.#endedAt = new Float64Array(capacity)
    this.#size = 0
    for (let each = 0; each < old.hashes.length; each++) {
      if (old.hashes[each] === 0 || old.endedAt[each]! < reachable) continue
      const at = this.#find(~old.hashes[each]!)
      this.#hashes[at] = old.hashes[each]!
      this.#from[at] = old.from[each]!
      this.#endedAt[at] = old.endedAt[each]!
      this.#size++
    }
  }
}
