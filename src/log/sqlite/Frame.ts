/**
 * The bytes of one stored batch: its records one after another, each as
 *
 *     varint key length, varint headers length, varint value length, key (UTF-8), headers (JSON, absent: 0 bytes), value
 *
 * Varints are unsigned LEB128. Nothing else is in there: partition, base offset, count, append time and checksum are columns
 * of the row. A reader finds all records in one pass over the lengths, without touching the values.
 */

/** Largest value, bytes. */
export const valueBytesMax = 64 * 1024 * 1024

/** Places per record in an index: start of key, of headers, of value, and the value's end. */
export const indexStride = 4

/** Bytes of the three lengths at most (keys and headers included in `valueBytesMax`'s order of magnitude). */
const lengthsMax = 15

/** Collects records into one frame. The bytes are handed over by `take`, after which the writer is done. */
export class FrameWriter {
  count = 0
  length = 0
  #bytes: Buffer<ArrayBuffer>

  constructor(bytesExpected: number) {
    this.#bytes = Buffer.allocUnsafeSlow(bytesExpected)
  }

  add(key: string, value: Uint8Array, headers: Readonly<Record<string, string>> | undefined): void {
    const headersText = headers === undefined ? "" : JSON.stringify(headers)
    this.#reserve(lengthsMax + 3 * (key.length + headersText.length) + value.length)
    const start = this.length
    const bytes = this.#bytes
    const headersLength = headersText === "" ? 0 : Buffer.byteLength(headersText)
    let at = writeLengths(bytes, start, key.length, headersLength, value.length)
    let i = 0
    for (; i < key.length; i++) {
      const code = key.charCodeAt(i)
      if (code > 127) break
      bytes[at + i] = code
    }
    if (i === key.length) at += i
    else {
      at = writeLengths(bytes, start, Buffer.byteLength(key), headersLength, value.length)
      at += bytes.write(key, at)
    }
    if (headersLength > 0) at += bytes.write(headersText, at)
    bytes.set(value, at)
    this.length = at + value.length
    this.count++
  }

  /** The buffer that holds the frame in its first `length` bytes; the rest is slack. */
  take(): ArrayBuffer {
    return this.#bytes.buffer
  }

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.length + bytes))
    this.#bytes.copy(grown, 0, 0, this.length)
    this.#bytes = grown
  }
}

/** Where the wanted records of a frame lie, once scanned. */
export interface Span {
  readonly start: number
  readonly end: number
}

/**
 * Finds records `first` (inclusive) to `last` (exclusive) and writes their places into `index`, from record `indexAt` on,
 * as if the span's first byte lay at `shiftTo`. Returns the span. Throws RangeError on a frame that does not add up.
 */
export const scanFrame = (
  bytes: Uint8Array,
  first: number,
  last: number,
  index: Uint32Array,
  indexAt: number,
  shiftTo: number
): Span => {
  let at = 0
  let start = 0
  let shift = 0
  let slot = indexAt * indexStride
  for (let i = 0; i < last; i++) {
    if (i === first) {
      start = at
      shift = shiftTo - start
    }
    let key = bytes[at++]!
    if (key > 127) {
      key &= 127
      for (let bits = 7, next = 128; next > 127; bits += 7) key |= ((next = bytes[at++]!) & 127) << bits
    }
    let headers = bytes[at++]!
    if (headers > 127) {
      headers &= 127
      for (let bits = 7, next = 128; next > 127; bits += 7) headers |= ((next = bytes[at++]!) & 127) << bits
    }
    let value = bytes[at++]!
    if (value > 127) {
      value &= 127
      for (let bits = 7, next = 128; next > 127; bits += 7) value |= ((next = bytes[at++]!) & 127) << bits
    }
    const headersAt = at + key
    const valueAt = headersAt + headers
    if (i >= first) {
      index[slot] = at + shift
      index[slot + 1] = headersAt + shift
      index[slot + 2] = valueAt + shift
      index[slot + 3] = valueAt + value + shift
      slot += indexStride
    }
    at = valueAt + value
    // Also false for NaN, which is what bytes beyond the end make.
    if (!(at <= bytes.length)) throw new RangeError("the batch ends within a record")
  }
  return { start, end: at }
}

const writeLengths = (bytes: Buffer, start: number, key: number, headers: number, value: number): number =>
  writeVarint(bytes, writeVarint(bytes, writeVarint(bytes, start, key), headers), value)

const writeVarint = (bytes: Buffer, start: number, value: number): number => {
  let at = start
  let rest = value
  while (rest > 127) {
    bytes[at++] = (rest & 127) | 128
    rest >>>= 7
  }
  bytes[at++] = rest
  return at
}
