/**
 * Strings that repeat (user agents, event types, visitors of the moment), kept so that equal bytes give the same string: no
 * allocation on a hit, one copy in memory however many sessions hold it, and its hash is computed once.
 *
 * Bounded: a table of slots, each with room for the bytes of one string; a newcomer takes the slot of whoever is there.
 * A hit is verified byte by byte, so the hash decides only speed.
 */
export class StringCache {
  readonly #mask: number
  /** Words per slot: the string's length in bytes (0: free), then its bytes. */
  readonly #stride: number
  readonly #slab: Int32Array
  readonly #strings: Array<string>

  /** `slots` is a power of two; strings of more than `bytesMax` bytes (a multiple of 4) are not kept. */
  constructor(slots: number, bytesMax: number) {
    this.#mask = slots - 1
    this.#stride = (bytesMax >> 2) + 1
    this.#slab = new Int32Array(slots * this.#stride)
    this.#strings = Array.from({ length: slots }, () => "")
  }

  /** The UTF-8 string in `bytes[start, start + length)`. `view` is over the same memory, where it starts at `viewAt`. */
  get(bytes: Buffer, start: number, length: number, view: DataView, viewAt: number): string {
    if (length === 0) return ""
    const whole = length >> 2
    if (whole + 1 >= this.#stride) return readString(bytes, start, length)
    // Two lanes, so that one multiplication need not wait for the other.
    let left = length
    let right = 0
    let i = 0
    for (; i + 1 < whole; i += 2) {
      left = Math.imul(left ^ view.getInt32(viewAt + (i << 2), true), 0x9e3779b1)
      right = Math.imul(right ^ view.getInt32(viewAt + (i << 2) + 4, true), 0x85ebca6b)
      left ^= left >>> 15
      right ^= right >>> 13
    }
    if (i < whole) left = Math.imul(left ^ view.getInt32(viewAt + (i << 2), true), 0x9e3779b1)
    const rest = restOf(bytes, start + (whole << 2), length & 3)
    left = Math.imul(left ^ (left >>> 15) ^ rest, 0x9e3779b1) ^ right
    const slot = (left ^ (left >>> 16)) & this.#mask

    const slab = this.#slab
    const from = slot * this.#stride + 1
    if (slab[from - 1] === length) {
      i = 0
      while (i < whole && slab[from + i] === view.getInt32(viewAt + (i << 2), true)) i++
      if (i === whole && slab[from + whole] === rest) return this.#strings[slot]!
    }
    slab[from - 1] = length
    for (i = 0; i < whole; i++) slab[from + i] = view.getInt32(viewAt + (i << 2), true)
    slab[from + whole] = rest
    return this.#strings[slot] = readString(bytes, start, length)
  }
}

/** The last bytes that fill no word, as one number. */
const restOf = (bytes: Buffer, at: number, count: number): number => {
  let rest = 0
  for (let i = 0; i < count; i++) rest = rest << 8 | bytes[at + i]!
  return rest
}

/**
 * A UTF-8 string. A call into native code costs some 100 ns whatever the length, so short ASCII strings are made here, from
 * all their characters at once (one by one would make a rope).
 */
export const readString = (bytes: Buffer, start: number, length: number): string => {
  if (length === 0) return ""
  if (length <= shortMax) {
    const units = unitsOf[length]!
    let every = 0
    for (let i = 0; i < length; i++) every |= units[i] = bytes[start + i]!
    if (every < 128) return String.fromCharCode.apply(String, units)
  }
  return (bytes as NativeText).utf8Slice(start, start + length)
}

/** Methods of every Node buffer which its types leave out: `toString` and `write` without their checks of arguments. */
export interface NativeText extends Buffer {
  utf8Slice(start: number, end: number): string
  utf8Write(text: string, start: number, length: number): number
}

const shortMax = 24
/** One array of each length, reused: `apply` wants exactly as many as there are. */
const unitsOf = Array.from({ length: shortMax + 1 }, (_, length) => Array.from({ length }, () => 0))
