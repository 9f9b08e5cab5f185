/** One short text per row, as bytes in rows of one cache line; longer ones are kept aside. */
import { partialWord } from "./Fingerprint.ts"
import type { TextColumn } from "./TextColumn.ts"

const slotBytes = 64
/** The first two bytes are the length. */
const textAt = 2
const shortMax = slotBytes - textAt
const slotsMin = 64
/** A length that says: kept aside. */
const aside = 0xffff

export class TextSlots {
  #bytes: Buffer = Buffer.alloc(slotsMin * slotBytes)
  #view = new DataView(this.#bytes.buffer)
  readonly #aside = new Map<number, Buffer>()

  /** Room for slots below `slots`. */
  reserve(slots: number): void {
    if (slots * slotBytes <= this.#bytes.length) return
    const larger = Buffer.alloc(Math.max(slots * slotBytes, this.#bytes.length * 2))
    this.#bytes.copy(larger)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }

  /** Loads the slot. */
  touch(slot: number): number {
    return this.#bytes[slot * slotBytes]!
  }

  /** The text in `view` from `start` on. */
  set(slot: number, view: DataView, start: number, length: number): void {
    const at = slot * slotBytes
    if (length > shortMax) {
      this.#aside.set(slot, Buffer.from(Buffer.from(view.buffer, view.byteOffset + start, length)))
      this.#view.setUint16(at, aside, true)
      return
    }
    this.#forget(slot)
    this.#view.setUint16(at, length, true)
    let i = 0
    for (const whole = length & ~3; i < whole; i += 4) {
      this.#view.setInt32(at + textAt + i, view.getInt32(start + i, true), true)
    }
    // What lies beyond the text is 0 or another text's: nobody reads it.
    if (i < length) {
      const rest = partialWord(view, start + i, length - i)
      for (let each = i; each < length; each++) this.#bytes[at + textAt + each] = rest >>> ((each - i) * 8)
    }
  }

  setText(slot: number, text: string): void {
    const bytes = Buffer.from(text)
    this.set(slot, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)
  }

  copy(from: number, to: number): void {
    const kept = this.#aside.get(from)
    this.#forget(to)
    if (kept !== undefined) this.#aside.set(to, kept)
    this.#bytes.copyWithin(to * slotBytes, from * slotBytes, (from + 1) * slotBytes)
  }

  /** Empty. */
  clear(slot: number): void {
    this.#forget(slot)
    this.#view.setUint16(slot * slotBytes, 0, true)
  }

  appendTo(column: TextColumn, slot: number): void {
    const at = slot * slotBytes
    const length = this.#view.getUint16(at, true)
    if (length !== aside) return column.append(this.#bytes, this.#view, at + textAt, length)
    const kept = this.#aside.get(slot)!
    column.append(kept, new DataView(kept.buffer, kept.byteOffset, kept.length), 0, kept.length)
  }

  #forget(slot: number): void {
    if (this.#view.getUint16(slot * slotBytes, true) === aside) this.#aside.delete(slot)
  }
}
