/**
 * Rows by the hash of their key: open addressing, a hash and a row number a slot, at least half of the slots free. Whoever looks
 * compares the keys: several rows may have one hash.
 *
 * @example
 * for (let slot = index.home(hash);; slot = index.next(slot)) {
 *   const row = index.row(slot)
 *   if (row === noRow || (index.hash(slot) === hash && isSame(row))) return row
 * }
 */
export const noRow = -1

const slotsMin = 128

export class RowIndex {
  /** Hash, row number + 1 (0: free). */
  #slots = new Int32Array(slotsMin * 2)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Loads where a search for this hash begins, so that a search soon after finds it in the cache. */
  touch(hash: number): number {
    return this.#slots[this.home(hash) * 2]!
  }

  /** Where a search begins. It ends at `noRow`. */
  home(hash: number): number {
    // Hashes of one partition share a remainder: spread them.
    return Math.imul(hash, 0x9e3779b1) >>> 7 & (this.#slots.length >> 1) - 1
  }

  next(slot: number): number {
    return slot + 1 & (this.#slots.length >> 1) - 1
  }

  row(slot: number): number {
    return this.#slots[slot * 2 + 1]! - 1
  }

  hash(slot: number): number {
    return this.#slots[slot * 2]!
  }

  /** Adds a row that is not there. */
  add(hash: number, row: number): void {
    if ((this.#size + 1) * 4 > this.#slots.length) this.#resize(this.#slots.length * 2)
    this.#put(hash, row)
    this.#size++
  }

  /** Takes a row out; throws when it is not there. */
  remove(hash: number, row: number): void {
    const slots = this.#slots
    const mask = (slots.length >> 1) - 1
    let hole = this.home(hash)
    while (slots[hole * 2 + 1] !== row + 1) {
      if (slots[hole * 2 + 1] === 0) throw new Error(`row ${row} is not in the index`)
      hole = hole + 1 & mask
    }
    // Those that a search would no longer reach over the hole move up.
    for (let each = hole + 1 & mask; slots[each * 2 + 1] !== 0; each = each + 1 & mask) {
      if ((each - this.home(slots[each * 2]!) & mask) < (each - hole & mask)) continue
      slots[hole * 2] = slots[each * 2]!
      slots[hole * 2 + 1] = slots[each * 2 + 1]!
      hole = each
    }
    slots[hole * 2 + 1] = 0
    this.#size--
  }

  #put(hash: number, row: number): void {
    let slot = this.home(hash)
    while (this.row(slot) !== noRow) slot = this.next(slot)
    this.#slots[slot * 2] = hash
    this.#slots[slot * 2 + 1] = row + 1
  }

  #resize(length: number): void {
    const old = this.#slots
    this.#slots = new Int32Array(length)
    for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) this.#put(old[at]!, old[at + 1]! - 1)
  }
}
