/**
 * Visitors that the warehouse may know something of that still matters, but memory does not hold: after a start everyone, later
 * those who were evicted. They are read on first sight. A visitor is 31 bits of hash here; a collision costs a needless read and
 * loses nothing, since the entry then covers both. Times are whole seconds, rounded so that an entry covers more, never less.
 *
 * Under load these are millions: an open-addressing table of 12 bytes a slot. Who is out of reach goes when the table would have to
 * grow, so its size follows those in reach.
 */
const capacityMin = 64
const loadMax = 0.75

export class ColdVisitors {
  /** The complement of each hash, which is never 0; 0: free. */
  #hashes = new Int32Array(capacityMin)
  /** Seconds since 1970. */
  #from = new Uint32Array(capacityMin)
  #endedAt = new Uint32Array(capacityMin)
  #size = 0
  /** False while recovery still reads who is cold: until then everybody may be. */
  isComplete = true

  /** Those in the table, some of them out of reach by now. */
  get size(): number {
    return this.#size
  }

  /**
   * @param hash `positiveMurmur2` of the visitor id
   * @param from events before it do not matter: start of the oldest session that may still grow, ms
   * @param endedAt end of the newest session, ms
   * @param reachable sessions that ended before it are out of reach, ms
   */
  add(hash: number, from: number, endedAt: number, reachable: number): void {
    const start = Math.floor(from / 1_000)
    const end = Math.ceil(endedAt / 1_000)
    let at = this.#find(hash)
    if (this.#hashes[at] !== 0) {
      if (start < this.#from[at]!) this.#from[at] = start
      if (end > this.#endedAt[at]!) this.#endedAt[at] = end
      return
    }
    if (this.#size + 1 > this.#hashes.length * loadMax) {
      this.sweep(reachable)
      at = this.#find(hash)
    }
    this.#put(at, ~hash, start, end)
  }

  /** From where the events of a visitor must be read, ms, or undefined when nothing in the warehouse can matter. */
  readFrom(hash: number, reachable: number): number | undefined {
    const at = this.#find(hash)
    return this.#hashes[at] === 0 || this.#endedAt[at]! * 1_000 < reachable ? undefined : this.#from[at]! * 1_000
  }

  /** Forgets all that is out of reach. What is left fills half of the new table. */
  sweep(reachable: number): void {
    const old = { hashes: this.#hashes, from: this.#from, endedAt: this.#endedAt }
    let left = 0
    for (let at = 0; at < old.hashes.length; at++) {
      if (old.hashes[at] !== 0 && old.endedAt[at]! * 1_000 >= reachable) left++
    }
    const capacity = Math.max(capacityMin, left * 2)
    this.#hashes = new Int32Array(capacity)
    this.#from = new Uint32Array(capacity)
    this.#endedAt = new Uint32Array(capacity)
    this.#size = 0
    for (let each = 0; each < old.hashes.length; each++) {
      if (old.hashes[each] === 0 || old.endedAt[each]! * 1_000 < reachable) continue
      this.#put(this.#find(~old.hashes[each]!), old.hashes[each]!, old.from[each]!, old.endedAt[each]!)
    }
  }

  #put(at: number, hashed: number, from: number, endedAt: number): void {
    this.#hashes[at] = hashed
    this.#from[at] = from
    this.#endedAt[at] = endedAt
    this.#size++
  }

  /** The slot of a hash, or the free one where it belongs. */
  #find(hash: number): number {
    const hashes = this.#hashes
    // Hashes of one partition share a remainder: spread them.
    let at = Math.floor((Math.imul(hash, 0x9e3779b1) >>> 0) / 2 ** 32 * hashes.length)
    while (hashes[at] !== 0 && hashes[at] !== ~hash) if (++at === hashes.length) at = 0
    return at
  }
}
