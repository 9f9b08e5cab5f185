/**
 * The visitors in memory: rows of one cache line, found by the bytes of their ids. Typed memory instead of objects: at 15,000
 * events/s a process holds hundreds of thousands of visitors, an object of each costs several cache misses per event, and the
 * collector would trace them all again and again.
 *
 * A visitor is named by its row's number, which holds until it is deleted. A hit is verified byte by byte.
 */
import { readString } from "../domain/StringCache.ts"
import { partialWord } from "./Fingerprint.ts"
import type { TextColumn } from "./TextColumn.ts"

const rowWords = 16
/** Places within a row. */
const hashAt = 0
/** The id's length in bytes; 0: the row is free. */
const lengthAt = 1
const sessionAt = 2
const clickAt = 3
const clicksAtMostAt = 4
const bucketAt = 5
const idAt = 6
/** Bytes of an id that a row has room for: a UUID and some. */
const idBytesMax = (rowWords - idAt) * 4
const capacityMin = 64
/** Instead of the newest session: the visitor is deleted. */
const gone = -2
/** No row. */
export const nobody = -1
/** Of so many the one that was idle longest is evicted. */
const lookedAtOnce = 16
/** So many looks in vain, in rows that there are, mean that nobody is left who can be evicted. */
const roundsMax = 3

export class VisitorTable {
  #rows = new Int32Array(capacityMin * rowWords)
  /** Bytes of `#rows`. */
  #bytes = Buffer.from(this.#rows.buffer)
  /** Open addressing: hash, row number + 1 (0: free); at least half of it is free. */
  #index = new Int32Array(capacityMin * 4)
  /** Ids that have no room in their rows. */
  readonly #longIds = new Map<number, Buffer>()
  readonly #free: Array<number> = []
  readonly #deleted: Array<number> = []
  #rowsUsed = 0
  #size = 0
  /** Where `evict` goes on: a fraction of the rows, in units of 2^-32. */
  #hand = 0

  get size(): number {
    return this.#size
  }

  /** Loads where a search for this hash begins, so that a search soon after finds it in the cache. */
  touch(hash: number): number {
    return this.#index[(homeOf(hash) & (this.#index.length >> 1) - 1) * 2]!
  }

  hash(visitor: number): number {
    return this.#rows[visitor * rowWords + hashAt]!
  }

  /** Loads a visitor's row. */
  touchRow(visitor: number): number {
    return this.#rows[visitor * rowWords]!
  }

  /** The visitor with this hash and the id that stands in `view` from `start` on, or `nobody`. */
  find(hash: number, view: DataView, start: number, length: number): number {
    const index = this.#index
    const mask = (index.length >> 1) - 1
    for (let at = homeOf(hash) & mask;; at = at + 1 & mask) {
      const row = index[at * 2 + 1]! - 1
      if (row < 0) return nobody
      if (index[at * 2] === hash && this.#hasId(row, view, start, length)) return row
    }
  }

  /** Adds a visitor that `find` does not find. It has no session and no click. */
  add(hash: number, view: DataView, start: number, length: number): number {
    if ((this.#size + 1) * 4 > this.#index.length) this.#resizeIndex(this.#index.length * 2)
    const row = this.#free.pop() ?? this.#rowsUsed++
    if ((row + 1) * rowWords > this.#rows.length) this.#growRows()
    const rows = this.#rows
    const at = row * rowWords
    rows[at + hashAt] = hash
    rows[at + lengthAt] = length
    rows[at + sessionAt] = -1
    rows[at + clickAt] = -1
    rows[at + clicksAtMostAt] = 0
    rows[at + bucketAt] = 0
    for (let i = 0; i < idBytesMax; i += 4) rows[at + idAt + (i >> 2)] = partialWord(view, start + i, length - i)
    if (length > idBytesMax) {
      this.#longIds.set(row, Buffer.from(Buffer.from(view.buffer, view.byteOffset + start, length)))
    }
    this.#enter(hash, row)
    this.#size++
    return row
  }

  /** Takes a visitor out. Its id can still be asked for until `reclaim`: changes of its sessions may not have been taken yet. */
  delete(row: number): void {
    const index = this.#index
    const mask = (index.length >> 1) - 1
    const at = row * rowWords
    let hole = homeOf(this.#rows[at + hashAt]!) & mask
    while (index[hole * 2 + 1] !== row + 1) hole = hole + 1 & mask
    // Those that a search would no longer reach over the hole move up.
    for (let each = hole + 1 & mask; index[each * 2 + 1] !== 0; each = each + 1 & mask) {
      const home = homeOf(index[each * 2]!) & mask
      if ((each - home & mask) < (each - hole & mask)) continue
      index[hole * 2] = index[each * 2]!
      index[hole * 2 + 1] = index[each * 2 + 1]!
      hole = each
    }
    index[hole * 2 + 1] = 0
    this.#rows[at + sessionAt] = gone
    this.#deleted.push(row)
    this.#size--
  }

  /** Makes the rows of deleted visitors free. */
  reclaim(): void {
    for (const row of this.#deleted) {
      const at = row * rowWords + lengthAt
      if (this.#rows[at]! > idBytesMax) this.#longIds.delete(row)
      this.#rows[at] = 0
      this.#free.push(row)
    }
    this.#deleted.length = 0
  }

  /**
   * Hands over visitors until at most `sizeMax` are left: of each few that are looked at, the one that was idle longest. Nearly as good as
   * an order by idleness, and nobody has to keep one.
   * @param idleSince Infinity: the visitor must be held
   * @param evict deletes it
   */
  evict(sizeMax: number, idleSince: (visitor: number) => number, evict: (visitor: number) => void): void {
    for (let inVain = 0; this.#size > sizeMax && inVain < this.#rowsUsed * roundsMax;) {
      let idle = nobody
      let since = Infinity
      for (let i = 0; i < lookedAtOnce; i++) {
        const row = this.#nextRow()
        if (!this.isHeld(row)) continue
        const its = idleSince(row)
        if (its >= since) continue
        idle = row
        since = its
      }
      if (idle === nobody) inVain += lookedAtOnce
      else {
        inVain = 0
        evict(idle)
      }
    }
  }

  /** Rows far apart, one after the other: neighbours came at one time. Multiples of the golden ratio leave no gap for long. */
  #nextRow(): number {
    this.#hand = this.#hand + 0x9e3779b1 >>> 0
    return Math.floor(this.#hand / 2 ** 32 * this.#rowsUsed)
  }

  isHeld(visitor: number): boolean {
    return this.#rows[visitor * rowWords + lengthAt] !== 0 && this.#rows[visitor * rowWords + sessionAt] !== gone
  }

  /** The newest session's row, or -1. */
  session(visitor: number): number {
    return this.#rows[visitor * rowWords + sessionAt]!
  }

  setSession(visitor: number, session: number): void {
    this.#rows[visitor * rowWords + sessionAt] = session
  }

  /** Lower 32 bits of the newest click's place in the partition's `ClickRing`; means nothing while there is no click. */
  click(visitor: number): number {
    return this.#rows[visitor * rowWords + clickAt]!
  }

  setClick(visitor: number, click: number): void {
    this.#rows[visitor * rowWords + clickAt] = click
  }

  /** Clicks since they were last counted exactly: at least as many as are recent. */
  clicksAtMost(visitor: number): number {
    return this.#rows[visitor * rowWords + clicksAtMostAt]!
  }

  setClicksAtMost(visitor: number, clicks: number): void {
    this.#rows[visitor * rowWords + clicksAtMostAt] = clicks
  }

  /** The bucket of `Expiry` in which the visitor is looked at again. */
  bucket(visitor: number): number {
    return this.#rows[visitor * rowWords + bucketAt]!
  }

  setBucket(visitor: number, bucket: number): void {
    this.#rows[visitor * rowWords + bucketAt] = bucket
  }

  id(visitor: number): string {
    const length = this.#rows[visitor * rowWords + lengthAt]!
    return length > idBytesMax ?
      this.#longIds.get(visitor)!.toString("utf8") :
      readString(this.#bytes, (visitor * rowWords + idAt) * 4, length)
  }

  appendId(visitor: number, column: TextColumn): void {
    const length = this.#rows[visitor * rowWords + lengthAt]!
    if (length > idBytesMax) column.appendText(this.id(visitor))
    else column.append(this.#bytes, this.#view, (visitor * rowWords + idAt) * 4, length)
  }

  #view = new DataView(this.#rows.buffer)

  #hasId(row: number, view: DataView, start: number, length: number): boolean {
    const rows = this.#rows
    const at = row * rowWords
    if (rows[at + lengthAt] !== length) return false
    const compared = length < idBytesMax ? length : idBytesMax
    const whole = compared & ~3
    let i = 0
    for (; i < whole; i += 4) if (rows[at + idAt + (i >> 2)] !== view.getInt32(start + i, true)) return false
    if (i < compared && rows[at + idAt + (i >> 2)] !== partialWord(view, start + i, compared - i)) return false
    if (length <= idBytesMax) return true
    return this.#longIds.get(row)!.equals(Buffer.from(view.buffer, view.byteOffset + start, length))
  }

  #enter(hash: number, row: number): void {
    const index = this.#index
    const mask = (index.length >> 1) - 1
    let at = homeOf(hash) & mask
    while (index[at * 2 + 1] !== 0) at = at + 1 & mask
    index[at * 2] = hash
    index[at * 2 + 1] = row + 1
  }

  #resizeIndex(length: number): void {
    const old = this.#index
    this.#index = new Int32Array(length)
    for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) this.#enter(old[at]!, old[at + 1]! - 1)
  }

  #growRows(): void {
    const larger = new Int32Array(this.#rows.length * 2)
    larger.set(this.#rows)
    this.#rows = larger
    this.#bytes = Buffer.from(larger.buffer)
    this.#view = new DataView(larger.buffer)
  }
}

/** Hashes of one partition share a remainder: spread them. */
const homeOf = (hash: number): number => Math.imul(hash, 0x9e3779b1) >>> 7
