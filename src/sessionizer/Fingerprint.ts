/**
 * 96 bits of MurmurHash3_x86_128 over the UTF-16 units of two strings. It names an event id within its visitor. At 9 million
 * remembered ids the chance that a new one collides is 1e-22; a sender who makes collisions on purpose only drops events of his
 * own visitors, which he could do by sending an id twice. Source: Austin Appleby's MurmurHash3, public domain.
 */

/** The last fingerprint computed by `fingerprint`: three signed 32-bit words. One buffer, so that nothing is allocated. */
export const fingerprintWords = new Int32Array(3)

const c1 = 0x239b961b
const c2 = 0xab0e9789 | 0
const c3 = 0x38b34ae5
const c4 = 0xa1e38b93 | 0

/** Puts the fingerprint of (first, second) into `fingerprintWords`. */
export const fingerprint = (first: string, second: string): void => {
  const firstLength = first.length
  const total = firstLength + second.length
  // The length of the first string is in the seed: ("ab", "c") and ("a", "bc") differ.
  let h1 = firstLength | 0
  let h2 = h1
  let h3 = h1
  let h4 = h1
  // Eight units of 16 bits are one block of 128 bits; beyond the end units are 0, and the total length is mixed in last.
  for (let at = 0; at < total; at += 8) {
    let k1 = word(first, second, firstLength, total, at)
    let k2 = word(first, second, firstLength, total, at + 2)
    let k3 = word(first, second, firstLength, total, at + 4)
    let k4 = word(first, second, firstLength, total, at + 6)
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
  h1 ^= total
  h2 ^= total
  h3 ^= total
  h4 ^= total
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = (h2 + h1) | 0
  h3 = (h3 + h1) | 0
  h4 = (h4 + h1) | 0
  h1 = mix(h1)
  h2 = mix(h2)
  h3 = mix(h3)
  h4 = mix(h4)
  h1 = (h1 + h2 + h3 + h4) | 0
  fingerprintWords[0] = h1
  fingerprintWords[1] = h2 + h1
  fingerprintWords[2] = h3 + h1
}

const word = (first: string, second: string, firstLength: number, total: number, at: number): number => {
  if (at >= firstLength && at + 1 < total) {
    const start = at - firstLength
    return second.charCodeAt(start) | (second.charCodeAt(start + 1) << 16)
  }
  return unit(first, second, firstLength, total, at) | (unit(first, second, firstLength, total, at + 1) << 16)
}

const unit = (first: string, second: string, firstLength: number, total: number, at: number): number =>
  at < firstLength ? first.charCodeAt(at) : at < total ? second.charCodeAt(at - firstLength) : 0

const mix = (value: number): number => {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
