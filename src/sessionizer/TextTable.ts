/**
 * Texts that rows share: addresses, referrers, user agents. Each is held once, as bytes, for as long as a row refers to it. Pages
 * that many visit cost a number a visitor; those that differ cost their bytes and some 40 more.
 */
import { murmur2, partialWord, TextBytes } from "./Fingerprint.ts"
import { noRow, RowIndex } from "./RowIndex.ts"
import type { TextColumn } from "./TextColumn.ts"

/** The number of the empty text, which nobody needs to hold. */
export const noText = 0

const rowWords = 4
/** Places within a row. */
const hashAt = 0
/** Where its bytes begin, in words. */
const startAt = 1
/** In bytes. */
const lengthAt = 2
/** How many refer to it; 0: the row is free; `unshared`: one does, and nobody finds it. */
const countAt = 3
const unshared = -1
const rowsMin = 64
const wordsMin = 1 << 10
/** The size of new memory by what is held. */
const room = 1.5
/** Whoever sends addresses of one hash does not make a search longer than this: the next ones are held once for each row. */
const searchMax = 64

export class TextTable {
  #rows = new Int32Array(rowsMin * rowWords)
  #rowsUsed = noText + 1
  readonly #free: Array<number> = []
  readonly #index = new RowIndex()
  #words = new Int32Array(wordsMin)
  #bytes = Buffer.from(this.#words.buffer)
  #view = new DataView(this.#words.buffer)
  /** Words in use, those of texts that are gone included. */
  #end = 0
  #gone = 0
  readonly #textBytes = new TextBytes()
  readonly #hashSeed: number

  /** @param hashSeed decides who lies beside whom, and no result: whoever sends addresses should not know it */
  constructor(hashSeed: number) {
    this.#hashSeed = hashSeed
  }

  /** Texts that are held. */
  get size(): number {
    return this.#rowsUsed - 1 - this.#free.length
  }

  /** Bytes of the texts, with those of texts that are gone and room for more. */
  get textBytes(): number {
    return this.#words.byteLength
  }

  /** The number of the text in `view[start, start + length)`, which is held once more. */
  hold(view: DataView, start: number, length: number): number {
    if (length === 0) return noText
    const hash = murmur2(view, start, length, this.#hashSeed)
    const index = this.#index
    let slot = index.home(hash)
    for (let looked = 0; looked < searchMax; looked++) {
      const row = index.row(slot)
      if (row === noRow) {
        const added = this.#add(hash, view, start, length, 1)
        index.add(hash, added)
        return added
      }
      if (index.hash(slot) === hash && this.#isText(row, view, start, length)) return this.holdAgain(row)
      slot = index.next(slot)
    }
    return this.#add(hash, view, start, length, unshared)
  }

  holdText(text: string): number {
    const bytes = this.#textBytes
    bytes.set(text)
    return this.hold(bytes.view, 0, bytes.length)
  }

  /** The number of the same text, held once more. */
  holdAgain(text: number): number {
    if (text === noText) return noText
    const at = text * rowWords
    if (this.#rows[at + countAt] === unshared) {
      return this.#add(
        this.#rows[at + hashAt]!,
        this.#view,
        this.#rows[at + startAt]! * 4,
        this.#rows[at + lengthAt]!,
        unshared
      )
    }
    this.#rows[at + countAt]!++
    return text
  }

  /** One that held the text does not any more; throws when nobody does. */
  release(text: number): void {
    if (text === noText) return
    const at = text * rowWords
    const count = this.#rows[at + countAt]!
    if (count > 1) {
      this.#rows[at + countAt] = count - 1
      return
    }
    if (count === 0) throw new Error(`nobody holds text ${text}`)
    if (count === 1) this.#index.remove(this.#rows[at + hashAt]!, text)
    this.#rows[at + countAt] = 0
    this.#gone += wordsOf(this.#rows[at + lengthAt]!)
    this.#free.push(text)
  }

  appendTo(column: TextColumn, text: number): void {
    const at = text * rowWords
    const length = text === noText ? 0 : this.#rows[at + lengthAt]!
    column.append(this.#bytes, this.#view, this.#rows[at + startAt]! * 4, length)
  }

  #isText(row: number, view: DataView, start: number, length: number): boolean {
    const at = row * rowWords
    if (this.#rows[at + lengthAt] !== length) return false
    let word = this.#rows[at + startAt]!
    let i = 0
    for (const whole = length & ~3; i < whole; i += 4) {
      if (this.#words[word++] !== view.getInt32(start + i, true)) return false
    }
    return i === length || this.#words[word] === partialWord(view, start + i, length - i)
  }

  #add(hash: number, view: DataView, start: number, length: number, count: number): number {
    const needed = wordsOf(length)
    if (this.#end + needed > this.#words.length) this.#move(needed)
    const row = this.#free.pop() ?? this.#rowsUsed++
    if ((row + 1) * rowWords > this.#rows.length) {
      const larger = new Int32Array(this.#rows.length * 2)
      larger.set(this.#rows)
      this.#rows = larger
    }
    const at = row * rowWords
    this.#rows[at + hashAt] = hash
    this.#rows[at + startAt] = this.#end
    this.#rows[at + lengthAt] = length
    this.#rows[at + countAt] = count
    for (let i = 0; i < length; i += 4) this.#words[this.#end++] = partialWord(view, start + i, length - i)
    return row
  }

  /** Into new memory, without what is gone. */
  #move(needed: number): void {
    const old = this.#words
    const held = this.#end - this.#gone + needed
    this.#words = new Int32Array(Math.max(wordsMin, Math.ceil(held * room)))
    this.#bytes = Buffer.from(this.#words.buffer)
    this.#view = new DataView(this.#words.buffer)
    this.#end = 0
    this.#gone = 0
    for (let row = noText + 1; row < this.#rowsUsed; row++) {
      const at = row * rowWords
      if (this.#rows[at + countAt] === 0) continue
      const start = this.#rows[at + startAt]!
      const end = start + wordsOf(this.#rows[at + lengthAt]!)
      this.#rows[at + startAt] = this.#end
      for (let word = start; word < end; word++) this.#words[this.#end++] = old[word]!
    }
  }
}

const wordsOf = (bytes: number): number => bytes + 3 >> 2
