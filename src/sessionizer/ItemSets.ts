/**
 * The distinct items of sessions, as `ItemHash` numbers: the first few in the session's own row, some more in a block of a slab, and
 * only those of very few sessions in a set of their own.
 */
/** Words that a row must have: a count (or `inSet`), the number of a block, and the first hashes, two words each. */
export const itemWords = 10
const inRowMax = 4
const hashesAt = 2
/** Hashes in a block, besides those in the row. */
const blockMax = 16
const blocksMin = 16
/** A count that says: in a set aside. */
const inSet = -1

export class ItemSets {
  #blocks = new Float64Array(blocksMin * blockMax)
  #blocksUsed = 0
  readonly #freeBlocks: Array<number> = []
  readonly #sets = new Map<number, Set<number>>()

  /** Adds an item by its hash. The row's item words begin at `words[at]`. */
  add(session: number, words: Int32Array, at: number, item: number): void {
    this.#add(session, words, at, Math.floor(item / 2 ** 32), item | 0)
  }

  /** Adds all items of another session. */
  addAll(session: number, other: number, words: Int32Array, at: number, otherAt: number): void {
    for (const each of this.#each(other, words, otherAt)) this.add(session, words, at, each)
  }

  size(session: number, words: Int32Array, at: number): number {
    const count = words[at]!
    return count === inSet ? this.#sets.get(session)!.size : count
  }

  /** Gives back what the session has besides its row. */
  clear(session: number, words: Int32Array, at: number): void {
    if (words[at] === inSet) this.#sets.delete(session)
    else if (words[at]! > inRowMax) this.#freeBlocks.push(words[at + 1]!)
    words[at] = 0
  }

  #add(session: number, words: Int32Array, at: number, high: number, low: number): void {
    const count = words[at]!
    if (count === inSet) {
      this.#sets.get(session)!.add(joined(high, low))
      return
    }
    const rowEnd = at + hashesAt + 2 * Math.min(count, inRowMax)
    for (let i = at + hashesAt; i < rowEnd; i += 2) if (words[i] === high && words[i + 1] === low) return
    if (count < inRowMax) {
      words[rowEnd] = high
      words[rowEnd + 1] = low
      words[at] = count + 1
    } else this.#addToBlock(session, words, at, joined(high, low))
  }

  #addToBlock(session: number, words: Int32Array, at: number, hash: number): void {
    const count = words[at]!
    if (count === inRowMax) words[at + 1] = this.#freeBlocks.pop() ?? this.#newBlock()
    const block = words[at + 1]! * blockMax
    const end = block + count - inRowMax
    for (let i = block; i < end; i++) if (this.#blocks[i] === hash) return
    if (count < inRowMax + blockMax) {
      this.#blocks[end] = hash
      words[at] = count + 1
      return
    }
    const set = new Set(this.#each(session, words, at))
    this.clear(session, words, at)
    this.#sets.set(session, set.add(hash))
    words[at] = inSet
  }

  *#each(session: number, words: Int32Array, at: number): Iterable<number> {
    const count = words[at]!
    if (count === inSet) return yield* this.#sets.get(session)!
    for (let i = 0; i < count; i++) {
      yield i < inRowMax ?
        joined(words[at + hashesAt + 2 * i]!, words[at + hashesAt + 2 * i + 1]!) :
        this.#blocks[words[at + 1]! * blockMax + i - inRowMax]!
    }
  }

  #newBlock(): number {
    if ((this.#blocksUsed + 1) * blockMax > this.#blocks.length) {
      const larger = new Float64Array(this.#blocks.length * 2)
      larger.set(this.#blocks)
      this.#blocks = larger
    }
    return this.#blocksUsed++
  }
}

const joined = (high: number, low: number): number => high * 2 ** 32 + (low >>> 0)
