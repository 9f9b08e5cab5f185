/**
 * The Avro encoding of our own event schema (`avroSchema`), by hand: faster than a general library, because the order of fields
 * is known and texts need not become strings.
 *
 * The parser takes what our encoder writes. Whatever else Avro allows (map blocks with byte counts, overlong numbers) or is
 * simply broken it leaves to the library, by answering false. `test/log/FastAvro.test.ts` holds the two equal.
 */
import type { ClickEvent } from "../domain/ClickEvent.ts"
import type { EventBatch } from "../domain/EventBatch.ts"
import { noProperties, placeStride, Text } from "../domain/EventBatch.ts"
import type { NativeText } from "../domain/NativeText.ts"
import { readString } from "../domain/NativeText.ts"
import { setEntry } from "./AvroMaps.ts"

/** A place beyond every record. A small integer, so that the field stays one after the first broken record. */
const nowhere = 0x3fff_ffff

/** Finds the fields of bodies of the schema `avroSchema`. Texts are left where they are: only their places are noted. */
export class FastAvroParser {
  /** Where the next field begins; beyond the end once something was wrong. */
  #at = 0

  /**
   * Reads the body in `events.bytes[start, end)` as event `index`. False when the library must have a look; then nothing of the
   * event holds.
   */
  parse(events: EventBatch, index: number, start: number, end: number): boolean {
    const { bytes, places } = events
    const place = index * placeStride
    this.#at = start
    this.#text(bytes, places, place + Text.eventId)
    this.#text(bytes, places, place + Text.visitorId)
    events.eventTs[index] = this.#long(bytes)
    this.#text(bytes, places, place + Text.eventType)
    this.#text(bytes, places, place + Text.itemId)
    this.#text(bytes, places, place + Text.category)
    events.price[index] = this.#long(bytes)
    this.#text(bytes, places, place + Text.currency)
    events.quantity[index] = this.#long(bytes)
    this.#text(bytes, places, place + Text.url)
    this.#text(bytes, places, place + Text.referrer)
    this.#text(bytes, places, place + Text.userAgent)
    if (bytes[this.#at] === 0) this.#at++
    else events.properties.set(index, this.#map(bytes, end))
    const truncated = bytes[this.#at++]!
    events.truncated[index] = truncated
    // Also false for a text that runs into the next record, or beyond them all.
    return this.#at === end && truncated <= 1
  }

  #text(bytes: Buffer, places: Int32Array, at: number): void {
    const length = this.#length(bytes)
    places[at] = this.#at
    places[at + 1] = length
    this.#at += length
  }

  #broken(): void {
    this.#at = nowhere
  }

  /** A string's length or a block's count: a non-negative long of at most three bytes; else broken. */
  #length(bytes: Buffer): number {
    const at = this.#at
    const first = bytes[at]!
    let length = first
    if (first < 128) this.#at = at + 1
    else {
      const second = bytes[at + 1]!
      length = first & 127 | (second & 127) << 7
      if (second < 128) this.#at = at + 2
      else {
        const third = bytes[at + 2]!
        length |= third << 14
        if (third < 128) this.#at = at + 3
        else length = 1
      }
    }
    // Odd is negative; undefined (beyond the end) is no number at all.
    if ((length & 1) === 1 || first === undefined) this.#broken()
    return length >> 1
  }

  /** A safe integer (or one beyond it by one); else broken. JavaScript's bit operators end at 32, hence two halves. */
  #long(bytes: Buffer): number {
    let at = this.#at
    let byte = bytes[at++]!
    let low = byte & 127
    let high = 0
    for (let shift = 7; byte > 127 && shift < 28; shift += 7) low |= ((byte = bytes[at++]!) & 127) << shift
    for (let shift = 0; byte > 127 && shift < 28; shift += 7) high |= ((byte = bytes[at++]!) & 127) << shift
    // 28 bits of low, 26 of high: zigzag of 53 and a sign.
    if (byte > 127 || high >= 1 << 26) this.#broken()
    else this.#at = at
    const half = high * 2 ** 27 + (low >>> 1)
    return (low & 1) === 0 ? half : -half - 1
  }

  #map(bytes: Buffer, end: number): Readonly<Record<string, string>> {
    const properties: Record<string, string> = {}
    for (;;) {
      const count = this.#length(bytes)
      if (count === 0 || this.#at > end) return properties
      for (let i = 0; i < count && this.#at <= end; i++) {
        const key = this.#string(bytes, end)
        setEntry(properties, key, this.#string(bytes, end))
      }
    }
  }

  #string(bytes: Buffer, end: number): string {
    const length = this.#length(bytes)
    const start = this.#at
    this.#at = start + length
    return this.#at <= end ? readString(bytes, start, length) : ""
  }
}

/** Encoded events lie one after another in slabs of this many bytes, each event a view. */
const slabBytes = 64 * 1024
/** Strings longer than this are written by native code, which costs some 100 ns to call. Below 64: their length is one byte. */
const byHandMax = 32
/** All fields but strings and properties, at most. */
const fixedBytesMax = 64

/** Encodes events as `avroSchema`, after a head of `headBytes` bytes that `writeHead` fills. */
export class FastAvroEncoder {
  #slab: Buffer = Buffer.allocUnsafeSlow(0)
  #next = 0
  #at = 0

  /** The head (copied) and the event's body, in a buffer of its own size. */
  encode(head: Uint8Array, event: ClickEvent): Buffer {
    const slab = this.#reserve(head.length + bytesMax(event))
    const start = this.#next
    let at = start
    for (let i = 0; i < head.length; i++) slab[at++] = head[i]!
    this.#at = at
    this.#string(slab, event.eventId)
    this.#string(slab, event.visitorId)
    this.#long(slab, event.eventTs)
    this.#string(slab, event.eventType)
    this.#string(slab, event.itemId)
    this.#string(slab, event.category)
    this.#long(slab, event.price)
    this.#string(slab, event.currency)
    this.#long(slab, event.quantity)
    this.#string(slab, event.url)
    this.#string(slab, event.referrer)
    this.#string(slab, event.userAgent)
    if (event.properties !== noProperties) this.#map(slab, event.properties)
    slab[this.#at++] = 0
    slab[this.#at++] = event.truncated ? 1 : 0
    this.#next = this.#at
    return slab.subarray(start, this.#at)
  }

  #reserve(bytes: number): Buffer {
    if (this.#next + bytes > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, bytes))
      this.#next = 0
    }
    return this.#slab
  }

  #map(slab: Buffer, properties: Readonly<Record<string, string>>): void {
    const keys = Object.keys(properties)
    if (keys.length === 0) return
    this.#long(slab, keys.length)
    for (const key of keys) {
      this.#string(slab, key)
      this.#string(slab, properties[key]!)
    }
  }

  #string(slab: Buffer, text: string): void {
    const { length } = text
    const start = this.#at
    if (length <= byHandMax) {
      slab[start] = length << 1
      let i = 0
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 127) break
        slab[start + 1 + i] = code
      }
      if (i === length) {
        this.#at = start + 1 + length
        return
      }
    }
    // Written where it belongs if it is ASCII, moved when its length needs another number of bytes.
    const guess = longBytes(length)
    const bytes = (slab as NativeText).utf8Write(text, start + guess, 3 * length)
    const needed = longBytes(bytes)
    if (needed !== guess) slab.copyWithin(start + needed, start + guess, start + guess + bytes)
    this.#long(slab, bytes)
    this.#at += bytes
  }

  #long(slab: Buffer, value: number): void {
    let at = this.#at
    const sign = value < 0 ? 1 : 0
    const half = sign === 0 ? value : -value - 1
    let rest: number
    if (half < 2 ** 30) rest = 2 * half + sign
    else {
      // The zigzag of a safe integer has 54 bits, too many for a number: the lowest 28 go first.
      rest = Math.floor(half / 2 ** 27)
      const low = 2 * (half - rest * 2 ** 27) + sign
      slab[at++] = low & 127 | 128
      slab[at++] = low >>> 7 & 127 | 128
      slab[at++] = low >>> 14 & 127 | 128
      slab[at++] = low >>> 21 | 128
    }
    while (rest > 127) {
      slab[at++] = rest & 127 | 128
      rest >>>= 7
    }
    slab[at++] = rest
    this.#at = at
  }
}

const longBytes = (length: number): number =>
  length < 64 ? 1 : length < 8192 ? 2 : length < 1_048_576 ? 3 : length < 134_217_728 ? 4 : 5

const bytesMax = (event: ClickEvent): number => {
  let units = event.eventId.length + event.visitorId.length + event.eventType.length + event.itemId.length +
    event.category.length + event.currency.length + event.url.length + event.referrer.length + event.userAgent.length
  let strings = 9
  if (event.properties !== noProperties) {
    for (const key in event.properties) {
      units += key.length + event.properties[key]!.length
      strings += 2
    }
  }
  return 3 * units + 5 * strings + fixedBytesMax
}
