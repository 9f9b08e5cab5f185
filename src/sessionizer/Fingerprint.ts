/**
 * What names an event id within its visitor: three 32-bit hashes of both. At 9 million remembered ids the chance that a new one
 * collides is 1e-22. ClickHouse has the same three functions, so that recovery reads twelve bytes an id, and not the id.
 *
 * Hashed is what an Avro record of ours holds: the event id, a byte of twice the visitor id's length (255 from 64 bytes on), the
 * visitor id. In a record these lie side by side. Sources: Austin Appleby's MurmurHash2 and MurmurHash3 and Yann Collet's xxHash,
 * with seed 0.
 */
import type { NativeText } from "../domain/NativeText.ts"

/** Words per fingerprint. */
export const fingerprintWords = 3
/** Visitor ids of at most this many bytes have their length in one byte of a record. */
export const shortIdMax = 63
const longIdMark = 255

/** The fingerprint as ClickHouse computes it, of columns event_id and visitor_id: a tuple of three UInt32. */
export const fingerprintSql = (() => {
  const text =
    `concat(event_id, if(length(visitor_id) <= ${shortIdMax}, char(2 * length(visitor_id)), char(${longIdMark})), visitor_id)`
  return `murmurHash3_32(${text}), xxHash32(${text}), murmurHash2_32(${text})`
})()

/** Puts the three hashes of `view[start, start + length)` into `into[at..at + 3)`, as signed words. */
export const hash = (view: DataView, start: number, length: number, into: Int32Array, at: number): void => {
  into[at] = murmur3(view, start, length)
  into[at + 1] = xxHash(view, start, length)
  into[at + 2] = murmur2(view, start, length, 0)
}

/** MurmurHash2, as a signed word. */
export const murmur2 = (view: DataView, start: number, length: number, seed: number): number => {
  const m = 0x5bd1e995
  let h = seed ^ length
  const end = start + (length & ~3)
  for (let at = start; at < end; at += 4) {
    const k = Math.imul(view.getInt32(at, true), m)
    h = Math.imul(h, m) ^ Math.imul(k ^ (k >>> 24), m)
  }
  if ((length & 3) !== 0) h = Math.imul(h ^ partialWord(view, end, length & 3), m)
  h = Math.imul(h ^ (h >>> 13), m)
  return h ^ (h >>> 15)
}

const murmur3 = (view: DataView, start: number, length: number): number => {
  const c1 = 0xcc9e2d51
  const c2 = 0x1b873593
  let h = 0
  const end = start + (length & ~3)
  for (let at = start; at < end; at += 4) {
    const k = Math.imul(view.getInt32(at, true), c1)
    h ^= Math.imul((k << 15) | (k >>> 17), c2)
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
  }
  if ((length & 3) !== 0) {
    const k = Math.imul(partialWord(view, end, length & 3), c1)
    h ^= Math.imul((k << 15) | (k >>> 17), c2)
  }
  h ^= length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

const xx1 = 2654435761 | 0
const xx2 = 2246822519 | 0
const xx3 = 3266489917 | 0
const xx4 = 668265263
const xx5 = 374761393

const xxHash = (view: DataView, start: number, length: number): number => {
  const end = start + length
  let at = start
  let h: number
  if (length >= 16) {
    let v1 = (xx1 + xx2) | 0
    let v2 = xx2
    let v3 = 0
    let v4 = -xx1 | 0
    for (; at + 16 <= end; at += 16) {
      v1 = round(v1, view.getInt32(at, true))
      v2 = round(v2, view.getInt32(at + 4, true))
      v3 = round(v3, view.getInt32(at + 8, true))
      v4 = round(v4, view.getInt32(at + 12, true))
    }
    h = ((v1 << 1) | (v1 >>> 31)) + ((v2 << 7) | (v2 >>> 25)) + ((v3 << 12) | (v3 >>> 20)) + ((v4 << 18) | (v4 >>> 14))
    h |= 0
  } else h = xx5
  h = (h + length) | 0
  for (; at + 4 <= end; at += 4) {
    h = (h + Math.imul(view.getInt32(at, true), xx3)) | 0
    h = Math.imul((h << 17) | (h >>> 15), xx4)
  }
  for (; at < end; at++) {
    h = (h + Math.imul(view.getUint8(at), xx5)) | 0
    h = Math.imul((h << 11) | (h >>> 21), xx1)
  }
  h = Math.imul(h ^ (h >>> 15), xx2)
  h = Math.imul(h ^ (h >>> 13), xx3)
  return h ^ (h >>> 16)
}

const round = (lane: number, word: number): number => {
  const sum = (lane + Math.imul(word, xx2)) | 0
  return Math.imul((sum << 13) | (sum >>> 19), xx1)
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

/** Memory in which ids are put together that do not lie as they must, or are strings. */
export class FingerprintText {
  #bytes: Buffer = Buffer.allocUnsafeSlow(1024)
  #view = new DataView(this.#bytes.buffer)

  /** The fingerprint of ids given as strings. */
  ofStrings(visitorId: string, eventId: string, into: Int32Array, at: number): void {
    const visitor = Buffer.from(visitorId)
    const event = Buffer.from(eventId)
    this.ofBytes(visitor, event, into, at)
  }

  ofBytes(visitor: Uint8Array, event: Uint8Array, into: Int32Array, at: number): void {
    const length = event.length + 1 + visitor.length
    if (length > this.#bytes.length) {
      this.#bytes = Buffer.allocUnsafeSlow(2 * length)
      this.#view = new DataView(this.#bytes.buffer)
    }
    this.#bytes.set(event, 0)
    this.#bytes[event.length] = visitor.length <= shortIdMax ? 2 * visitor.length : longIdMark
    this.#bytes.set(visitor, event.length + 1)
    hash(this.#view, 0, length, into, at)
  }
}

/** A string's UTF-8 bytes in memory that is used again: a view that is valid until the next one. */
export class TextBytes {
  bytes: Buffer = Buffer.allocUnsafeSlow(512)
  view = new DataView(this.bytes.buffer)
  length = 0

  set(text: string): void {
    if (3 * text.length > this.bytes.length) {
      this.bytes = Buffer.allocUnsafeSlow(3 * text.length)
      this.view = new DataView(this.bytes.buffer)
    }
    this.length = (this.bytes as unknown as NativeText).utf8Write(text, 0, this.bytes.length)
  }
}
