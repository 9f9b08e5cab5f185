/**
 * The visitors in memory: rows of one cache line, found by the bytes of their ids. Typed memory instead of objects: at 15,000
 * events/s a process holds hundreds of thousands of visitors, an object of each costs several cache misses per event, and the
 * collector would trace them all again and again.
 *
 * A visitor is named by its row's number, which holds until it is deleted. A hit is verified byte by byte.
 */
import { readString } from "../domain/NativeText.ts"
import { partialWord } from "./Fingerprint.ts"
import { noRow, RowIndex } from "./RowIndex.ts"
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
  readonly #index = new RowIndex()
  /** Ids that have no room in their rows. */
  readonly #longIds = new Map<number, Buffer>()
  readonly #free: Array<number> = []
  readonly #deleted: Array<number> = []
  #rowsUsed = 0
  /** Where `evict` goes on: a fraction of the rows, in units of 2^-32. */
  #hand = 0

  get size(): number {
    return this.#index.size
  }

  /** Loads where a search for this hash begins, so that a search soon after finds it in the cache. */
  touch(hash: number): number {
    return this.#index.touch(hash)
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
    for (let slot = index.home(hash);; slot = index.next(slot)) {
      const row = index.row(slot)
      if (row === noRow) return nobody
      if (index.hash(slot) === hash && this.#hasId(row, view, start, length)) return row
    }
  }

  /** Adds a visitor that `find` does not find. It has no session and no click. */
  add(hash: number, view: DataView, start: number, length: number): number {
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
    this.#index.add(hash, row)
    return row
  }

  /** Takes a visitor out. Its id can still be asked for until `reclaim`: changes of its sessions may not have been taken yet. */
  delete(row: number): void {
    const at = row * rowWords
    this.#index.remove(this.#rows[at + hashAt]!, row)
    this.#rows[at + sessionAt] = gone
    this.#deleted.push(row)
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
    for (let inVain = 0; this.size > sizeMax && inVain < this.#rowsUsed * roundsMax;) {
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

  #growRows(): void {
    const larger = new Int32Array(this.#rows.length * 2)
    larger.set(this.#rows)
    this.#rows = larger
    this.#bytes = Buffer.from(larger.buffer)
    this.#view = new DataView(larger.buffer)
  }
}
