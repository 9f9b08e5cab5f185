import { ByteReader } from "./ByteReader.ts"

/** Reads values of ClickHouse's RowBinary from a buffer, in the order in which they were selected. */
export class RowBinaryReader extends ByteReader {
  uint16(): number {
    this.at += 2
    return this.bytes.readUInt16LE(this.at - 2)
  }

  uint32(): number {
    this.at += 4
    return this.bytes.readUInt32LE(this.at - 4)
  }

  /** UInt64 or Int64 that is known to be a safe integer. */
  integer(): number {
    this.at += 8
    return this.bytes.readUInt32LE(this.at - 8) + this.bytes.readInt32LE(this.at - 4) * 4_294_967_296
  }

  /** Int128: what a Decimal(38, s) is, in units of its scale. */
  int128(): bigint {
    this.at += 16
    return this.bytes.readBigUInt64LE(this.at - 16) + (this.bytes.readBigInt64LE(this.at - 8) << 64n)
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
