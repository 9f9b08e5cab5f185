/**
 * The event ids that still count as seen: an open-addressing table of 16-byte slots (96-bit fingerprint, relative event_ts).
 *
 * An id counts as seen exactly while the event_ts of the event accepted under it is >= watermark - lateness. That is decided
 * at look-up, from the slot's time; slots that are past it are reused or swept out when the table is rebuilt, so memory never
 * decides. A rebuild costs one pass and happens after at least a quarter as many insertions as there are live ids: O(1) amortised.
 */
import type { EpochMillis } from "../domain/Identifiers.ts"

const slotWords = 4
const capacityMin = 256
/** Linear probing stays short below this load. */
const loadMax = 0.8
/** Times are kept relative to `base` in 32 bits, +1 so that 0 means empty: 49 days. */
const relativeMax = 0xffff_fffe

export class SeenIds {
  #slots = new Int32Array(capacityMin * slotWords)
  #capacity = capacityMin
  #used = 0
  /** What times are relative to; NaN before the first. */
  #base = NaN

  /** Slots in use, expired ones included. */
  get size(): number {
    return this.#used
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#slots.byteLength
  }

  /** Loads the slot in which a search for this fingerprint begins, so that a search soon after finds it in the cache. */
  touch(word: number): number {
    return this.#slots[this.#home(word)]!
  }

  /**
   * True when the id counts as seen; otherwise remembers it as accepted at `eventTs` and answers false.
   * @param prints the id's fingerprint stands here, from `at` on
   * @param seenFrom watermark - lateness: an id whose event_ts is before it is forgotten.
   */
  seen(prints: Int32Array, at: number, eventTs: EpochMillis, seenFrom: number): boolean {
    const slot = this.#find(prints, at)
    const slots = this.#slots
    const relative = slots[slot + 3]! >>> 0
    if (relative !== 0) {
      if (this.#base + relative - 1 >= seenFrom) return true
    } else this.#used++
    this.#write(slot, eventTs, seenFrom)
    return false
  }

  /** Remembers an id that was accepted before (recovery). The newest time wins, as it did when it was accepted. */
  remember(prints: Int32Array, at: number, eventTs: EpochMillis, seenFrom: number): void {
    const slot = this.#find(prints, at)
    const relative = this.#slots[slot + 3]! >>> 0
    if (relative === 0) this.#used++
    else if (this.#base + relative - 1 >= eventTs) return
    this.#write(slot, eventTs, seenFrom)
  }

  /** Makes room for so many more ids, so that taking them in rebuilds nothing on the way. */
  reserve(count: number, seenFrom: number): void {
    if (this.#used + count > this.#capacity * loadMax) this.#rebuild(seenFrom, seenFrom, count)
  }

  #home(word: number): number {
    return Math.floor(((word >>> 0) * this.#capacity) / 4_294_967_296) * slotWords
  }

  #find(prints: Int32Array, at: number): number {
    const a = prints[at]!
    const b = prints[at + 1]!
    const c = prints[at + 2]!
    const slots = this.#slots
    const end = this.#capacity * slotWords
    let slot = this.#home(a)
    while (slots[slot + 3] !== 0) {
      if (slots[slot] === a && slots[slot + 1] === b && slots[slot + 2] === c) return slot
      slot += slotWords
      if (slot === end) slot = 0
    }
    slots[slot] = a
    slots[slot + 1] = b
    slots[slot + 2] = c
    return slot
  }

  #write(slot: number, eventTs: EpochMillis, seenFrom: number): void {
    if (Number.isNaN(this.#base)) this.#base = Math.floor(Math.min(eventTs, seenFrom > 0 ? seenFrom : eventTs))
    let relative = eventTs - this.#base + 1
    if (relative > 0 && relative <= relativeMax) this.#slots[slot + 3] = relative
    else {
      // More than 49 days on, or before the base: move the base. The new id must survive the sweep, so it goes in by hand.
      const words = [this.#slots[slot]!, this.#slots[slot + 1]!, this.#slots[slot + 2]!] as const
      this.#slots[slot + 3] = 0
      this.#rebuild(relative > 0 ? Math.max(seenFrom, eventTs - relativeMax / 2) : seenFrom, eventTs)
      relative = eventTs - this.#base + 1
      this.#place(words[0], words[1], words[2], relative)
    }
    if (this.#used > this.#capacity * loadMax) this.#rebuild(seenFrom, eventTs)
  }

  #place(a: number, b: number, c: number, relative: number): void {
    const slots = this.#slots
    const end = this.#capacity * slotWords
    let slot = this.#home(a)
    while (slots[slot + 3] !== 0) {
      slot += slotWords
      if (slot === end) slot = 0
    }
    slots[slot] = a
    slots[slot + 1] = b
    slots[slot + 2] = c
    slots[slot + 3] = relative
    this.#used++
  }

  /** Keeps what is still seen, in a table that has room for a quarter more. */
  #rebuild(seenFrom: number, eventTs: number, more = 0): void {
    const old = this.#slots
    const oldBase = this.#base
    let live = 0
    for (let slot = 3; slot < old.length; slot += slotWords) {
      const relative = old[slot]! >>> 0
      if (relative !== 0 && oldBase + relative - 1 >= seenFrom) live++
    }
    this.#capacity = Math.max(capacityMin, Math.ceil((live + more + 1) * 1.6))
    this.#slots = new Int32Array(this.#capacity * slotWords)
    this.#used = 0
    this.#base = Math.floor(Math.min(eventTs, seenFrom > 0 ? seenFrom : eventTs))
    for (let slot = 0; slot < old.length; slot += slotWords) {
      const relative = old[slot + 3]! >>> 0
      if (relative === 0 || oldBase + relative - 1 < seenFrom) continue
      this.#place(old[slot]!, old[slot + 1]!, old[slot + 2]!, oldBase + relative - this.#base)
    }
  }
}
