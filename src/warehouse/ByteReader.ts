/** What ClickHouse's binary formats have in common: a place in a buffer, small numbers of variable length, texts behind their length. */
import { readString } from "../domain/NativeText.ts"

export class ByteReader {
  protected readonly bytes: Buffer
  protected at = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get done(): boolean {
    return this.at >= this.bytes.length
  }

  /** The length of a string, array or map: seven bits to the byte, low ones first. */
  length(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = this.bytes[this.at++] as number | undefined
      value += (byte! & 0x7f) * factor
      if (byte! < 0x80) return value
      if (byte === undefined) throw new RangeError("the answer ends within a number")
      factor *= 128
    }
  }

  string(): string {
    const length = this.length()
    this.at += length
    return readString(this.bytes, this.at - length, length)
  }
}
