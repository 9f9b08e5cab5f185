/**
 * The distinct items of sessions, as 53-bit hashes: the first few in the session's own row, more in a set aside. Two items of one
 * session have one hash in one of 10^16 cases, and would then count as one.
 */
import { textHash } from "./Fingerprint.ts"

/** The last hash: its upper word counts with 21 bits, so that both make a safe integer. */
const hashed = new Int32Array(2)
const highMask = 0x1fffff

/** Words that a row must have: a count (or `inSet`), one unused, and the hashes, two words each. */
export const itemWords = 10
const inRowMax = 4
const hashesAt = 2
/** A count that says: in a set aside. */
const inSet = -1

export class ItemSets {
  readonly #sets = new Map<number, Set<number>>()

  /** Adds the item whose id stands in `view`. The row's item words begin at `words[at]`. */
  add(session: number, words: Int32Array, at: number, view: DataView, start: number, length: number): void {
    textHash(view, start, length, hashed, 0)
    this.#add(session, words, at, hashed[0]! & highMask, hashed[1]!)
  }

  addText(session: number, words: Int32Array, at: number, item: string): void {
    const bytes = Buffer.from(item)
    this.add(session, words, at, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)
  }

  /** Adds all items of another session. */
  addAll(session: number, other: number, words: Int32Array, at: number, otherAt: number): void {
    const set = this.#sets.get(other)
    if (set !== undefined) {
      for (const each of set) this.#add(session, words, at, Math.floor(each / 2 ** 32), each | 0)
    } else {
      for (let i = 0; i < words[otherAt]!; i++) {
        this.#add(session, words, at, words[otherAt + hashesAt + 2 * i]!, words[otherAt + hashesAt + 2 * i + 1]!)
      }
    }
  }

  size(session: number, words: Int32Array, at: number): number {
    const count = words[at]!
    return count === inSet ? this.#sets.get(session)!.size : count
  }

  clear(session: number): void {
    this.#sets.delete(session)
  }

  #add(session: number, words: Int32Array, at: number, high: number, low: number): void {
    const count = words[at]!
    if (count === inSet) {
      this.#sets.get(session)!.add(joined(high, low))
      return
    }
    for (let i = at + hashesAt; i < at + hashesAt + 2 * count; i += 2) {
      if (words[i] === high && words[i + 1] === low) return
    }
    if (count < inRowMax) {
      words[at + hashesAt + 2 * count] = high
      words[at + hashesAt + 2 * count + 1] = low
      words[at] = count + 1
      return
    }
    const set = new Set<number>([joined(high, low)])
    for (let i = at + hashesAt; i < at + hashesAt + 2 * count; i += 2) set.add(joined(words[i]!, words[i + 1]!))
    this.#sets.set(session, set)
    words[at] = inSet
  }
}

const joined = (high: number, low: number): number => high * 2 ** 32 + (low >>> 0)
