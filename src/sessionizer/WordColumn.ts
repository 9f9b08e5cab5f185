/**
 * A column of texts of which few differ: each distinct one is kept once, the column is numbers. Looked up by bytes, so no string
 * is made. It is what LowCardinality wants.
 */
import { TextColumn } from "./TextColumn.ts"

const rowsMin = 1 << 6
const slotsMin = 1 << 6

export class WordColumn {
  /** Distinct texts, in order of appearance. */
  readonly keys = new TextColumn()
  count = 0
  #indexes = new Uint32Array(rowsMin)
  /** Per key: its hash and its bytes. */
  #hashes = new Int32Array(slotsMin)
  /** Open addressing: key number + 1. */
  #slots = new Int32Array(slotsMin * 2)
  readonly #texts: Array<Buffer> = []

  /** The number of each row's key. */
  get indexes(): Uint32Array {
    return this.#indexes.subarray(0, this.count)
  }

  clear(): void {
    this.count = 0
    this.keys.clear()
    this.#texts.length = 0
    this.#slots.fill(0)
  }

  append(source: Buffer, view: DataView, start: number, length: number): void {
    if (this.count === this.#indexes.length) this.#indexes = grown(this.#indexes)
    this.#indexes[this.count++] = this.#key(source, view, start, length)
  }

  #key(source: Buffer, view: DataView, start: number, length: number): number {
    let hash = length
    let i = 0
    for (const whole = length & ~3; i < whole; i += 4) {
      hash = Math.imul(hash ^ view.getInt32(start + i, true), 0x9e3779b1)
      hash ^= hash >>> 15
    }
    for (; i < length; i++) hash = Math.imul(hash ^ source[start + i]!, 0x85ebca6b)
    hash ^= hash >>> 13
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (let found = this.#slots[slot]!; found !== 0; found = this.#slots[slot]!) {
      if (this.#hashes[found - 1] === hash && isSame(this.#texts[found - 1]!, source, start, length)) return found - 1
      slot = slot + 1 & mask
    }
    return this.#add(hash, slot, source, view, start, length)
  }

  #add(hash: number, slot: number, source: Buffer, view: DataView, start: number, length: number): number {
    const key = this.#texts.length
    this.#texts.push(Buffer.from(source.subarray(start, start + length)))
    this.keys.append(source, view, start, length)
    if (key === this.#hashes.length) {
      const hashes = new Int32Array(key * 2)
      hashes.set(this.#hashes)
      this.#hashes = hashes
      this.#slots = new Int32Array(key * 4)
      this.#hashes[key] = hash
      for (let each = 0; each <= key; each++) this.#place(each)
    } else {
      this.#hashes[key] = hash
      this.#slots[slot] = key + 1
    }
    return key
  }

  #place(key: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#hashes[key]! & mask
    while (this.#slots[slot] !== 0) slot = slot + 1 & mask
    this.#slots[slot] = key + 1
  }
}

const isSame = (text: Buffer, source: Buffer, start: number, length: number): boolean => {
  if (text.length !== length) return false
  for (let i = 0; i < length; i++) if (text[i] !== source[start + i]) return false
  return true
}

const grown = (column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> => {
  const larger = new Uint32Array(column.length * 2)
  larger.set(column)
  return larger
}
