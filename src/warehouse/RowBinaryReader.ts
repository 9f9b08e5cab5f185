/** Reads values of ClickHouse's RowBinary from a buffer, in the order in which they were selected. */
export class RowBinaryReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  uint16(): number {
    this.#at += 2
    return this.#bytes.readUInt16LE(this.#at - 2)
  }

  uint32(): number {
    this.#at += 4
    return this.#bytes.readUInt32LE(this.#at - 4)
  }

  /** UInt64 or Int64 that is known to be a safe integer. */
  integer(): number {
    this.#at += 8
    return this.#bytes.readUInt32LE(this.#at - 8) + this.#bytes.readInt32LE(this.#at - 4) * 4_294_967_296
  }

  /** Int128: what a Decimal(38, s) is, in units of its scale. */
  int128(): bigint {
    this.#at += 16
    return this.#bytes.readBigUInt64LE(this.#at - 16) + (this.#bytes.readBigInt64LE(this.#at - 8) << 64n)
  }

  /** The length of a string, array or map. */
  length(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = this.#bytes[this.#at++]!
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 128
    }
  }

  string(): string {
    const length = this.length()
    const start = this.#at
    this.#at += length
    return this.#bytes.toString("utf8", start, this.#at)
  }

  strings(): Array<string> {
    const count = this.length()
    return Array.from({ length: count }, () => this.string())
  }

  /** Map(String, Decimal(38, s)). */
  amounts(): Map<string, bigint> {
    const count = this.length()
    const amounts = new Map<string, bigint>()
    for (let i = 0; i < count; i++) amounts.set(this.string(), this.int128())
    return amounts
  }
}
