/**
 * Reads blocks of ClickHouse's Native format, as HTTP gives it (no revision), column by column in the order in which they were
 * selected. For results of many rows: a column of numbers is copied as a whole, and a repeated text is read once.
 *
 * Format: https://clickhouse.com/docs/interfaces/formats/Native; LowCardinality: SerializationLowCardinality.cpp.
 */
import { readString } from "../domain/StringCache.ts"

/** A column of texts that repeat: row `i` has `texts[indexes[i]]`. */
export interface Dictionary {
  readonly texts: ReadonlyArray<string>
  readonly indexes: ArrayLike<number>
}

export class NativeReader {
  readonly #bytes: Buffer
  #at = 0
  /** Rows of the block that is being read. */
  rows = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Goes on to the next block that has rows; false at the end. */
  next(): boolean {
    this.rows = 0
    while (this.rows === 0 && this.#at < this.#bytes.length) {
      const columns = this.#varint()
      this.rows = this.#varint()
      for (let i = 0; this.rows === 0 && i < columns; i++) this.#header()
    }
    return this.rows > 0
  }

  uint8(): Uint8Array {
    return new Uint8Array(this.#column("UInt8", 1))
  }

  /** UInt32, with the bits of signed words. */
  words(): Int32Array {
    return new Int32Array(this.#column("UInt32", 4))
  }

  float64(): Float64Array {
    return new Float64Array(this.#column("Float64", 8))
  }

  /** LowCardinality(String). */
  dictionary(): Dictionary {
    this.#expect("LowCardinality(String)")
    this.#at += 8 // version of the serialization
    const width = 1 << (this.#bytes[this.#at]! & 0xff)
    this.#at += 8
    const texts = Array.from({ length: this.#count() }, () => this.#string())
    this.#count()
    const indexes = this.#copy(width)
    if (width > 4) throw new RangeError(`indexes of ${width} bytes in a dictionary`)
    return {
      texts,
      indexes: width === 1 ? new Uint8Array(indexes) : width === 2 ? new Uint16Array(indexes) : new Uint32Array(indexes)
    }
  }

  #column(type: string, width: number): ArrayBuffer {
    this.#expect(type)
    return this.#copy(width)
  }

  /** A copy, so that it is aligned. */
  #copy(width: number): ArrayBuffer {
    const size = this.rows * width
    const copy = new ArrayBuffer(size)
    new Uint8Array(copy).set(this.#bytes.subarray(this.#at, this.#at + size))
    this.#at += size
    return copy
  }

  #expect(type: string): void {
    const found = this.#header()
    if (found !== type) throw new TypeError(`a column of ${type} was expected, the server sent ${found}`)
  }

  /** Passes a column's name; returns its type. */
  #header(): string {
    this.#string()
    return this.#string()
  }

  #string(): string {
    const length = this.#varint()
    this.#at += length
    return readString(this.#bytes, this.#at - length, length)
  }

  /** A UInt64 that is small. */
  #count(): number {
    this.#at += 8
    return Number(this.#bytes.readBigUInt64LE(this.#at - 8))
  }

  #varint(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = this.#bytes[this.#at++]!
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 128
    }
  }
}
