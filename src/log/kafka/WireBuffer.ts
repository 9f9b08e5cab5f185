/** Reads and writes the primitive types of Kafka's protocol (kafka.apache.org/protocol, "Protocol Primitive Types"). */

export class WireWriter {
  #bytes = Buffer.allocUnsafe(256)
  #at = 0

  int8(value: number): this {
    this.#reserve(1)
    this.#at = this.#bytes.writeInt8(value, this.#at)
    return this
  }

  int32(value: number): this {
    this.#reserve(4)
    this.#at = this.#bytes.writeInt32BE(value, this.#at)
    return this
  }

  int64(value: number): this {
    this.#reserve(8)
    this.#at = this.#bytes.writeBigInt64BE(BigInt(value), this.#at)
    return this
  }

  string(value: string): this {
    const bytes = Buffer.from(value)
    this.#reserve(2)
    this.#at = this.#bytes.writeInt16BE(bytes.length, this.#at)
    return this.raw(bytes)
  }

  /** Its length plus one as an unsigned varint. */
  compactString(value: string): this {
    const bytes = Buffer.from(value)
    return this.unsignedVarint(bytes.length + 1).raw(bytes)
  }

  unsignedVarint(value: number): this {
    let rest = value
    for (; rest > 127; rest >>>= 7) this.int8((rest & 127 | 128) << 24 >> 24)
    return this.int8(rest)
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(2 * (this.#at + bytes))
    this.#bytes.copy(grown, 0, 0, this.#at)
    this.#bytes = grown
  }
}

/** Throws RangeError beyond the end. */
export class WireReader {
  readonly bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  int8(): number {
    const value = this.bytes.readInt8(this.at)
    this.at += 1
    return value
  }

  int16(): number {
    const value = this.bytes.readInt16BE(this.at)
    this.at += 2
    return value
  }

  int32(): number {
    const value = this.bytes.readInt32BE(this.at)
    this.at += 4
    return value
  }

  int64(): number {
    const value = Number(this.bytes.readBigInt64BE(this.at))
    this.at += 8
    return value
  }

  string(): string {
    const length = this.int16()
    return length < 0 ? "" : this.raw(length).toString()
  }

  compactString(): string {
    const length = this.unsignedVarint() - 1
    return length < 0 ? "" : this.raw(length).toString()
  }

  unsignedVarint(): number {
    let value = 0
    for (let shift = 0;; shift += 7) {
      const byte = this.bytes.readUInt8(this.at++)
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
  }

  raw(length: number): Buffer {
    if (this.at + length > this.bytes.length) throw new RangeError("the answer of the broker ends too early")
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }

  array<A>(read: () => A): Array<A> {
    return Array.from({ length: Math.max(0, this.int32()) }, read)
  }

  compactArray<A>(read: () => A): Array<A> {
    return Array.from({ length: Math.max(0, this.unsignedVarint() - 1) }, read)
  }

  /** Fields that a newer broker may add. */
  skipTags(): void {
    for (let tags = this.unsignedVarint(); tags > 0; tags--) {
      this.unsignedVarint()
      this.raw(this.unsignedVarint())
    }
  }
}
