/**
 * A column of texts that grows by copying bytes: each as its length (unsigned LEB128) and its UTF-8 bytes, which is how
 * ClickHouse's Native format lays strings out, so that a flush writes the column as it is.
 */
import { isUtf8 } from "node:buffer"
import type { NativeText } from "../domain/NativeText.ts"

const bytesMin = 1 << 8
/** Bytes of the longest length: texts stay below 2^35. */
const lengthBytesMax = 5
/** From here on a call into native code is cheaper than a loop over words. */
const byHandMax = 256

export class TextColumn {
  count = 0
  /** Bytes in use. */
  length = 0
  #bytes: Buffer = Buffer.allocUnsafeSlow(bytesMin)
  #view = new DataView(this.#bytes.buffer)

  static of(texts: ReadonlyArray<string>): TextColumn {
    const column = new TextColumn()
    for (const text of texts) column.appendText(text)
    return column
  }

  /** So many empty texts. */
  static empty(count: number): TextColumn {
    const column = new TextColumn()
    column.#bytes = Buffer.alloc(Math.max(bytesMin, count))
    column.#view = new DataView(column.#bytes.buffer)
    column.length = count
    column.count = count
    return column
  }

  clear(): void {
    this.count = 0
    this.length = 0
  }

  /** The encoded column: a view, valid until the next `append`. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  /** Appends the UTF-8 text in `source[start, start + length)`; `view` is over the same bytes. What is no UTF-8 becomes U+FFFD. */
  append(source: Buffer, view: DataView, start: number, length: number): void {
    if (this.length + lengthBytesMax + length > this.#bytes.length) this.#grow(lengthBytesMax + length)
    const bytes = this.#bytes
    const at = this.#putLength(this.length, length)
    let every: number
    if (length > byHandMax) {
      source.copy(bytes, at, start, start + length)
      every = -1
    } else {
      every = 0
      const target = this.#view
      let i = 0
      for (const whole = length & ~3; i < whole; i += 4) {
        const word = view.getInt32(start + i, true)
        target.setInt32(at + i, word, true)
        every |= word
      }
      for (; i < length; i++) every |= bytes[at + i] = source[start + i]!
    }
    if ((every & 0x80808080) !== 0 && !isUtf8(source.subarray(start, start + length))) {
      this.appendText(source.toString("utf8", start, start + length))
      return
    }
    this.length = at + length
    this.count++
  }

  appendText(text: string): void {
    if (this.length + lengthBytesMax + 3 * text.length > this.#bytes.length) {
      this.#grow(lengthBytesMax + 3 * text.length)
    }
    // Written where it belongs if it is ASCII, moved when its length needs another number of bytes.
    const at = this.length
    const guess = lengthBytes(text.length)
    const length = (this.#bytes as unknown as NativeText).utf8Write(text, at + guess, 3 * text.length)
    const needed = lengthBytes(length)
    if (needed !== guess) this.#bytes.copyWithin(at + needed, at + guess, at + guess + length)
    this.length = this.#putLength(at, length) + length
    this.count++
  }

  /** Appends 16 bytes, those of four words, as 32 hex digits. */
  appendHex(words: Int32Array, from: number): void {
    if (this.length + 33 > this.#bytes.length) this.#grow(33)
    const view = this.#view
    this.#bytes[this.length] = 32
    let at = this.length + 1
    for (let i = from; i < from + 4; i++) {
      const word = words[i]!
      view.setUint16(at, hexDigits[word & 255]!, true)
      view.setUint16(at + 2, hexDigits[word >>> 8 & 255]!, true)
      view.setUint16(at + 4, hexDigits[word >>> 16 & 255]!, true)
      view.setUint16(at + 6, hexDigits[word >>> 24]!, true)
      at += 8
    }
    this.length = at
    this.count++
  }

  #putLength(start: number, length: number): number {
    let at = start
    let rest = length
    while (rest > 127) {
      this.#bytes[at++] = rest & 127 | 128
      rest >>>= 7
    }
    this.#bytes[at++] = rest
    return at
  }

  /** The texts, decoded. */
  *[Symbol.iterator](): Iterator<string> {
    const bytes = this.#bytes
    for (let at = 0; at < this.length;) {
      let length = 0
      for (let shift = 0;; shift += 7) {
        const byte = bytes[at++]!
        length |= (byte & 127) << shift
        if (byte < 128) break
      }
      yield bytes.toString("utf8", at, at + length)
      at += length
    }
  }

  #grow(needed: number): void {
    if (this.length + needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.length + needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.length)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

const lengthBytes = (length: number): number =>
  length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x200000 ? 3 : length < 0x10000000 ? 4 : lengthBytesMax

/** The two hex digits of a byte, as two bytes, first one low. */
const hexDigits = Uint16Array.from({ length: 256 }, (_, byte) => {
  const text = byte.toString(16).padStart(2, "0")
  return text.charCodeAt(0) | text.charCodeAt(1) << 8
})
