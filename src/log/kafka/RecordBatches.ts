/**
 * What a fetch brought, as batches for the port: record batches of format 2 (kafka.apache.org/documentation, "Record Batch") stay
 * bytes, and an index says where keys and values lie. No object is made per record, and without compression no byte is copied.
 */
import { promisify } from "node:util"
import { gunzip, zstdDecompress } from "node:zlib"
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import type { LogBatch } from "../EventLog.ts"

/** The broker sent something that is no batch of records, or compressed as we cannot undo. */
export class UnreadableRecords extends Error {}

const headBytes = 61
const bit = { codec: 7, appendTime: 8, control: 32 }
/** Places per record in an index: start and end of key and value; the headers begin where the value ends. */
const indexStride = 4

/** The records of one batch: where they lie, once decompressed. */
interface Section {
  readonly baseOffset: number
  /** The batch's own; its record may be gone. */
  readonly lastOffset: number
  readonly count: number
  /** All records' when `appendTime`; else the first one's. */
  readonly time: number
  readonly appendTime: boolean
  readonly start: number
  readonly end: number
}

/** Records of one partition, taken from a fetch piece by piece. */
export class FetchedRecords {
  readonly #partition: Partition
  readonly #bytes: Buffer
  readonly #sections: ReadonlyArray<Section>
  #section = 0
  /** Records of the section that are passed, and where the next one begins. */
  #passed = 0
  #at: number

  private constructor(partition: Partition, bytes: Buffer, sections: ReadonlyArray<Section>) {
    this.#partition = partition
    this.#bytes = bytes
    this.#sections = sections
    this.#at = sections[0]?.start ?? 0
  }

  /** Finds the whole batches in the bytes of a fetch and decompresses them. A batch that is cut off comes again with the next fetch. */
  static async open(partition: Partition, records: Buffer): Promise<FetchedRecords> {
    const batches = splitBatches(records)
    if (batches.every(({ codec }) => codec === 0)) {
      return new FetchedRecords(partition, records, batches.map(({ section }) => section))
    }
    const bodies = await Promise.all(
      batches.map(({ codec, section: { end, start } }) => decompress(codec, records.subarray(start, end)))
    )
    let at = 0
    const sections = batches.map(({ section }, i) => {
      const start = at
      at += bodies[i]!.length
      return { ...section, start, end: at }
    })
    return new FetchedRecords(partition, bodies.length === 1 ? bodies[0]! : Buffer.concat(bodies), sections)
  }

  /** The offset after all of them; undefined when there is no whole batch. */
  get end(): number | undefined {
    const last = this.#sections.at(-1)
    return last === undefined ? undefined : last.lastOffset + 1
  }

  /** The next records from offset `from` on, at most `recordsMax`; undefined when there are none left. */
  take(from: number, recordsMax: number): LogBatch | undefined {
    let left = 0
    for (let i = this.#section; i < this.#sections.length && left - this.#passed < recordsMax; i++) {
      left += this.#sections[i]!.count
    }
    left = Math.min(recordsMax, left - this.#passed)
    if (left === 0) return undefined
    const index = new Uint32Array(left * indexStride)
    const offsets = new Float64Array(left)
    const times = new Float64Array(left)
    const scan = new RecordScan(this.#bytes)
    let count = 0
    for (; count < left && this.#section < this.#sections.length; this.#nextSection()) {
      const section = this.#sections[this.#section]!
      scan.at = this.#at
      while (count < left && this.#passed < section.count) {
        scan.record(section.end, index, count * indexStride)
        this.#passed++
        const offset = section.baseOffset + scan.offsetDelta
        if (offset < from) continue
        offsets[count] = offset
        times[count] = section.appendTime ? section.time : section.time + scan.timeDelta
        count++
      }
      this.#at = scan.at
      if (this.#passed < section.count) break
    }
    return count === 0 ?
      undefined :
      new KafkaLogBatch(this.#partition, count, this.#bytes, index, offsets, times)
  }

  #nextSection(): void {
    this.#section++
    this.#passed = 0
    this.#at = this.#sections[this.#section]?.start ?? 0
  }
}

interface StoredBatch {
  readonly codec: number
  readonly section: Section
}

const splitBatches = (bytes: Buffer): ReadonlyArray<StoredBatch> => {
  const batches: Array<StoredBatch> = []
  for (let at = 0; at + headBytes <= bytes.length;) {
    const end = at + 12 + bytes.readInt32BE(at + 8)
    if (end > bytes.length) break
    if (bytes[at + 16] !== 2) {
      throw new UnreadableRecords(`a batch of records has format ${bytes[at + 16]}; only 2 can be read`)
    }
    const attributes = bytes.readInt16BE(at + 21)
    const baseOffset = Number(bytes.readBigInt64BE(at))
    const appendTime = (attributes & bit.appendTime) !== 0
    batches.push({
      codec: attributes & bit.codec,
      section: {
        baseOffset,
        lastOffset: baseOffset + bytes.readInt32BE(at + 23),
        // Records that transactions are ended with are the broker's own.
        count: (attributes & bit.control) === 0 ? bytes.readInt32BE(at + 57) : 0,
        time: Number(bytes.readBigInt64BE(at + (appendTime ? 35 : 27))),
        appendTime,
        start: at + headBytes,
        end
      }
    })
    at = end
  }
  return batches
}

const gunzipAsync = promisify(gunzip)
const zstdAsync = promisify(zstdDecompress)

const decompress = async (codec: number, bytes: Buffer): Promise<Buffer> => {
  switch (codec) {
    case 0:
      return bytes
    case 1:
      return await gunzipAsync(bytes)
    case 4:
      return await zstdAsync(bytes)
    default:
      throw new UnreadableRecords(
        `records are compressed with ${
          codec === 2 ? "snappy" : codec === 3 ? "lz4" : `codec ${codec}`
        }, which is not read: ` +
          "let their producer use zstd, gzip or none"
      )
  }
}

/** Walks over records: varints are zigzag, and all lengths fit 32 bits. */
class RecordScan {
  at = 0
  offsetDelta = 0
  timeDelta = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Notes key and value of the record at `at` in `index[slot..]` and goes to the next one. */
  record(end: number, index: Uint32Array, slot: number): void {
    const length = this.#varint()
    const next = this.at + length
    if (!(length > 0 && next <= end)) throw new UnreadableRecords("a batch of records ends within a record")
    this.at++
    this.timeDelta = this.#varlong()
    this.offsetDelta = this.#varint()
    // -1: null, which is nothing.
    const key = Math.max(0, this.#varint())
    index[slot] = this.at
    index[slot + 1] = this.at += key
    const value = Math.max(0, this.#varint())
    index[slot + 2] = this.at
    index[slot + 3] = this.at += value
    if (!(this.at <= next)) throw new UnreadableRecords("a record is shorter than its parts")
    this.at = next
  }

  #varint(): number {
    const bytes = this.#bytes
    let byte = bytes[this.at++]!
    let value = byte & 127
    for (let shift = 7; byte > 127 && shift < 35; shift += 7) value |= ((byte = bytes[this.at++]!) & 127) << shift
    return value >>> 1 ^ -(value & 1)
  }

  #varlong(): number {
    const bytes = this.#bytes
    let byte = bytes[this.at++]!
    if (byte < 128) return byte >>> 1 ^ -(byte & 1)
    let value = byte & 127
    for (let scale = 128; byte > 127; scale *= 128) value += ((byte = bytes[this.at++]!) & 127) * scale
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

class KafkaLogBatch implements LogBatch {
  readonly partition: Partition
  readonly count: number
  readonly bytes: Buffer
  readonly #index: Uint32Array
  readonly #offsets: Float64Array
  readonly #times: Float64Array

  constructor(
    partition: Partition,
    count: number,
    bytes: Buffer,
    index: Uint32Array,
    offsets: Float64Array,
    times: Float64Array
  ) {
    this.partition = partition
    this.count = count
    this.bytes = bytes
    this.#index = index
    this.#offsets = offsets
    this.#times = times
  }

  offset(index: number): Offset {
    return this.#offsets[index]! as Offset
  }

  appendedAt(index: number): EpochMillis {
    return this.#times[index]! as EpochMillis
  }

  key(index: number): Buffer {
    return this.bytes.subarray(this.#index[index * indexStride], this.#index[index * indexStride + 1])
  }

  valueStart(index: number): number {
    return this.#index[index * indexStride + 2]!
  }

  valueEnd(index: number): number {
    return this.#index[index * indexStride + 3]!
  }

  value(index: number): Buffer {
    return this.bytes.subarray(this.valueStart(index), this.valueEnd(index))
  }

  headers(index: number): Readonly<Record<string, string>> | undefined {
    return headersAt(this.bytes, this.valueEnd(index))
  }
}

const headersAt = (bytes: Buffer, start: number): Readonly<Record<string, string>> | undefined => {
  let at = start
  const varint = (): number => {
    let value = 0
    for (let shift = 0;; shift += 7) {
      const byte = bytes[at++]!
      value |= (byte & 127) << shift
      if (byte < 128) return value >>> 1 ^ -(value & 1)
    }
  }
  const text = (): string => {
    const length = Math.max(0, varint())
    at += length
    return bytes.toString("utf8", at - length, at)
  }
  const count = varint()
  if (count === 0) return undefined
  const headers: Record<string, string> = {}
  for (let i = 0; i < count; i++) {
    const name = text()
    headers[name] = text()
  }
  return headers
}
