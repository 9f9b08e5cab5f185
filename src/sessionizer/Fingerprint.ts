/**
 * 96 bits of MurmurHash3_x86_128 over the UTF-8 bytes of a visitor id and an event id: it names an event id within its visitor. At
 * 9 million remembered ids the chance that a new one collides is 1e-22. On the way the visitor gets 32 bits of its own, for tables
 * that then compare the bytes. Source: Austin Appleby's MurmurHash3, public domain.
 */
import type { NativeText } from "../domain/StringCache.ts"

/** Numbers per fingerprint: three words of (visitor, event), then one of the visitor alone. All signed 32 bits. */
export const fingerprintStride = 4

const c1 = 0x239b961b
const c2 = 0xab0e9789 | 0
const c3 = 0x38b34ae5
const c4 = 0xa1e38b93 | 0

/** The four lanes between two texts. */
const lanes = new Int32Array(4)

/** Puts the fingerprint of two texts in the memory of `view` into `into[at..at + fingerprintStride)`. */
export const fingerprint = (
  view: DataView,
  visitorStart: number,
  visitorLength: number,
  eventStart: number,
  eventLength: number,
  into: Int32Array,
  at: number
): void => {
  // The length of the first text is in the seed: ("ab", "c") and ("a", "bc") differ.
  lanes.fill(visitorLength)
  absorb(view, visitorStart, visitorLength)
  into[at + 3] = mix(lanes[0]! ^ lanes[2]!)
  absorb(view, eventStart, eventLength)
  const total = visitorLength + eventLength
  let h1 = lanes[0]! ^ total
  let h2 = lanes[1]! ^ total
  let h3 = lanes[2]! ^ total
  let h4 = lanes[3]! ^ total
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = (h2 + h1) | 0
  h3 = (h3 + h1) | 0
  h4 = (h4 + h1) | 0
  h1 = mix(h1)
  h2 = mix(h2)
  h3 = mix(h3)
  h4 = mix(h4)
  h1 = (h1 + h2 + h3 + h4) | 0
  into[at] = h1
  into[at + 1] = h2 + h1
  into[at + 2] = h3 + h1
}

/** Puts 64 bits of hash of a text in the memory of `view` into `into[at]` and `into[at + 1]`. */
export const textHash = (view: DataView, start: number, length: number, into: Int32Array, at: number): void => {
  lanes.fill(length)
  absorb(view, start, length)
  into[at] = mix(lanes[0]! ^ lanes[2]!)
  into[at + 1] = mix(lanes[1]! ^ lanes[3]!)
}

/** Whole blocks of 16 bytes; the last one is filled up with zeros. */
const absorb = (view: DataView, start: number, length: number): void => {
  let h1 = lanes[0]!
  let h2 = lanes[1]!
  let h3 = lanes[2]!
  let h4 = lanes[3]!
  const end = start + length
  for (let at = start; at < end; at += 16) {
    const left = end - at
    let k1: number
    let k2: number
    let k3: number
    let k4: number
    if (left >= 16) {
      k1 = view.getInt32(at, true)
      k2 = view.getInt32(at + 4, true)
      k3 = view.getInt32(at + 8, true)
      k4 = view.getInt32(at + 12, true)
    } else {
      k1 = partialWord(view, at, left)
      k2 = partialWord(view, at + 4, left - 4)
      k3 = partialWord(view, at + 8, left - 8)
      k4 = partialWord(view, at + 12, left - 12)
    }
    k1 = Math.imul(k1, c1)
    k1 = Math.imul((k1 << 15) | (k1 >>> 17), c2)
    h1 ^= k1
    h1 = (h1 << 19) | (h1 >>> 13)
    h1 = (Math.imul(h1 + h2, 5) + 0x561ccd1b) | 0
    k2 = Math.imul(k2, c2)
    k2 = Math.imul((k2 << 16) | (k2 >>> 16), c3)
    h2 ^= k2
    h2 = (h2 << 17) | (h2 >>> 15)
    h2 = (Math.imul(h2 + h3, 5) + 0x0bcaa747) | 0
    k3 = Math.imul(k3, c3)
    k3 = Math.imul((k3 << 17) | (k3 >>> 15), c4)
    h3 ^= k3
    h3 = (h3 << 15) | (h3 >>> 17)
    h3 = (Math.imul(h3 + h4, 5) + 0x96cd1c35) | 0
    k4 = Math.imul(k4, c4)
    k4 = Math.imul((k4 << 18) | (k4 >>> 14), c1)
    h4 ^= k4
    h4 = (h4 << 13) | (h4 >>> 19)
    h4 = (Math.imul(h4 + h1, 5) + 0x32ac3b17) | 0
  }
  lanes[0] = h1
  lanes[1] = h2
  lanes[2] = h3
  lanes[3] = h4
}

/** Up to four bytes, little end first; what lies beyond `left` is 0. */
export const partialWord = (view: DataView, at: number, left: number): number =>
  left >= 4 ?
    view.getInt32(at, true) :
    left === 3 ?
    view.getUint16(at, true) | view.getUint8(at + 2) << 16 :
    left === 2 ?
    view.getUint16(at, true) :
    left === 1 ?
    view.getUint8(at) :
    0

const mix = (value: number): number => {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** Memory in which a visitor id and an event id that come as strings (recovery) lie side by side, as they do in a record. */
export class TextPair {
  bytes: Buffer = Buffer.allocUnsafeSlow(1024)
  view = new DataView(this.bytes.buffer)
  firstLength = 0
  secondLength = 0

  /** Both in UTF-8, the second right after the first. */
  set(first: string, second: string): void {
    const needed = 3 * (first.length + second.length)
    if (needed > this.bytes.length) {
      this.bytes = Buffer.allocUnsafeSlow(needed)
      this.view = new DataView(this.bytes.buffer)
    }
    const native = this.bytes as unknown as NativeText
    this.firstLength = native.utf8Write(first, 0, needed)
    this.secondLength = native.utf8Write(second, this.firstLength, needed - this.firstLength)
  }

  /** The pair's fingerprint, as `fingerprint` gives it. */
  fingerprint(into: Int32Array, at: number): void {
    fingerprint(this.view, 0, this.firstLength, this.firstLength, this.secondLength, into, at)
  }
}
