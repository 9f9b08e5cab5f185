/**
 * ClickHouse's Native format, as HTTP takes it (no revision): count of columns and rows, then each column with its name, its type
 * and its values back to back. It is the cheapest format for the server to read, and this is the hot path of every flush, so a
 * column is one plain loop over one array into memory that is used again.
 *
 * Format: https://clickhouse.com/docs/interfaces/formats/Native; LowCardinality: SerializationLowCardinality.cpp.
 */
import { Slack } from "../sessionizer/Slack.ts"
import type { WordColumn } from "../sessionizer/WordColumn.ts"
import type { Column, TableBlock } from "./TableBlock.ts"
import { rowsOf } from "./TableBlock.ts"

/** Memory to encode into. It grows and is kept, so that a steady load allocates nothing. */
export class Scratch {
  bytes: NativeBuffer
  length = 0
  readonly #slack = new Slack()

  constructor(initialBytes: number = scratchBytesMin) {
    this.bytes = Buffer.allocUnsafeSlow(initialBytes) as NativeBuffer
  }

  /** Room for `count` more bytes after `length`; returns the memory, which may be another than before. */
  reserve(count: number): NativeBuffer {
    const needed = this.length + count
    if (needed <= this.bytes.length) return this.bytes
    if (needed > blockBytesMax) throw new RangeError(`a block of more than ${blockBytesMax} bytes: flush fewer rows`)
    const larger = Buffer.allocUnsafeSlow(Math.min(blockBytesMax, Math.max(needed, this.bytes.length * 2)))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger as NativeBuffer
    return this.bytes
  }

  /** After each use: false when it has been much larger than needed for long. */
  isWorthKeeping(): boolean {
    return !this.#slack.isTooLarge(Math.max(this.length, scratchBytesMin), this.bytes.length)
  }
}

/** What a new `Scratch` holds, bytes: some 3,000 events. */
export const scratchBytesMin = 1 << 20
/** The largest block that is encoded, bytes. */
export const blockBytesMax = 1 << 30

/**
 * A block as the body of `INSERT INTO t (columns) FORMAT Native`. The result is a view of `scratch`: it holds until the next call
 * with the same scratch; without one it is the caller's own. Throws RangeError for values that the column type cannot hold and
 * for columns of another length than `rows`: both are bugs of the caller.
 *
 * @example
 * encodeNative({ table: "t", rows: 2, columns: [{ name: "n", type: "UInt8", values: [1, 2] }] })
 */
export const encodeNative = (block: TableBlock, scratch: Scratch = new Scratch()): Buffer => {
  scratch.length = 0
  writeVarint(scratch, block.columns.length)
  writeVarint(scratch, block.rows)
  for (const column of block.columns) {
    if (rowsOf(column) !== block.rows) {
      throw new RangeError(`${block.table}.${column.name} has ${rowsOf(column)} values for ${block.rows} rows`)
    }
    writeStrings(scratch, [column.name, typeName(column)])
    if (block.rows > 0) writeColumn(scratch, column, `${block.table}.${column.name}`)
  }
  return scratch.bytes.subarray(0, scratch.length)
}

const typeName = ({ type }: Column): string =>
  type === "Bytes" || type === "Texts" ? "String" : type === "Words" ? "LowCardinality(String)" : type

const writeColumn = (scratch: Scratch, column: Column, name: string): void => {
  switch (column.type) {
    case "String":
      return writeStrings(scratch, column.values)
    case "LowCardinality(String)":
      return writeDictionary(scratch, column.values)
    case "Texts":
      for (const part of column.values) writeRaw(scratch, part.bytes)
      return
    case "Words":
      return writeWords(scratch, column.values)
    case "Bytes":
      return writeBytes(scratch, column.values)
    case "Bool":
      return writeBooleans(scratch, column.values)
    case "UInt8":
      return writeSmall(scratch, new Uint8Array(column.values.length), column.values, name)
    case "UInt16":
    case "Date":
      return writeSmall(scratch, new Uint16Array(column.values.length), column.values, name)
    case "UInt32":
      return writeSmall(scratch, new Uint32Array(column.values.length), column.values, name)
    case "Float64":
      return writeTyped(scratch, Float64Array.from(column.values))
    case "UInt64":
      return isBigints(column.values) ?
        writeUnsigned64(scratch, column.values, name) :
        write64(scratch, column.values, 0, name)
    case "Int64":
    case "DateTime64(3, 'UTC')":
    case "Decimal(18, 4)":
      return write64(scratch, column.values, Number.MIN_SAFE_INTEGER, name)
    case "Decimal(38, 4)":
      return write128(scratch, column.values, name)
    case "Map(String, String)":
      return writeStringMaps(scratch, column.values)
    case "Map(String, UInt64)":
    case "Map(String, Decimal(38, 4))":
      return writeBigintMaps(scratch, column.values, column.type === "Map(String, UInt64)", name)
  }
}

/** What Buffer has beside its typings: no look-up of the encoding per call, straight to simdutf. */
interface NativeBuffer extends Buffer<ArrayBuffer> {
  utf8Write(text: string, offset: number, bytesMax: number): number
}

/** Up to this many characters a loop is cheaper than a call into native code (measured: 24 even). */
const shortMax = 20

const writeStrings = (scratch: Scratch, values: ArrayLike<string>): void => {
  let bytes = scratch.bytes
  let limit = bytes.length
  let at = scratch.length
  for (let i = 0; i < values.length; i++) {
    const text = values[i]!
    const size = text.length
    if (at + size * 3 + varintMax > limit) {
      scratch.length = at
      bytes = scratch.reserve(size * 3 + varintMax)
      limit = bytes.length
    }
    if (size <= shortMax) {
      let j = 0
      for (; j < size; j++) {
        const code = text.charCodeAt(j)
        if (code > 127) break
        bytes[at + 1 + j] = code
      }
      if (j === size) {
        bytes[at] = size
        at += size + 1
        continue
      }
    }
    // The length goes first but is known last: guess that the text is ASCII, move it when that was wrong.
    const head = size < 128 ? 1 : varintSize(size)
    const written = bytes.utf8Write(text, at + head, size * 3)
    if (written < 128 && head === 1) {
      bytes[at] = written
      at += 1 + written
    } else {
      const actual = varintSize(written)
      if (actual !== head) bytes.copyWithin(at + actual, at + head, at + head + written)
      at = putVarint(bytes, at, written) + written
    }
  }
  scratch.length = at
}

const writeBytes = (scratch: Scratch, values: ReadonlyArray<Uint8Array>): void => {
  for (const value of values) {
    const bytes = scratch.reserve(value.length + varintMax)
    const at = putVarint(bytes, scratch.length, value.length)
    bytes.set(value, at)
    scratch.length = at + value.length
  }
}

/** One dictionary per block, indexes as narrow as it allows. */
const writeDictionary = (scratch: Scratch, values: ReadonlyArray<string>): void => {
  const rows = values.length
  const keys: Array<string> = []
  const known = new Map<string, number>()
  const indexes = new Uint32Array(rows)
  let last = ""
  let lastIndex = -1
  for (let i = 0; i < rows; i++) {
    const text = values[i]!
    if (lastIndex < 0 || text !== last) {
      const found = known.get(text)
      if (found === undefined) {
        lastIndex = keys.length
        known.set(text, lastIndex)
        keys.push(text)
      } else lastIndex = found
      last = text
    }
    indexes[i] = lastIndex
  }
  writeIndexed(scratch, keys, indexes)
}

/** The parts have dictionaries of their own: one is made of all. */
const writeWords = (scratch: Scratch, parts: ReadonlyArray<WordColumn>): void => {
  const known = new Map<string, number>()
  const indexes = new Uint32Array(parts.reduce((sum, { count }) => sum + count, 0))
  let at = 0
  for (const part of parts) {
    const places = Array.from(part.keys, (key) => {
      const place = known.get(key) ?? known.size
      known.set(key, place)
      return place
    })
    for (const index of part.indexes) indexes[at++] = places[index]!
  }
  writeIndexed(scratch, [...known.keys()], indexes)
}

const writeIndexed = (scratch: Scratch, keys: ReadonlyArray<string>, indexes: Uint32Array): void => {
  const width = keys.length <= 0x100 ? 0 : keys.length <= 0x10000 ? 1 : 2
  putInt64(scratch, dictionaryVersion)
  putInt64(scratch, additionalKeys | updateDictionary | width)
  putInt64(scratch, keys.length)
  writeStrings(scratch, keys)
  putInt64(scratch, indexes.length)
  writeTyped(scratch, width === 0 ? Uint8Array.from(indexes) : width === 1 ? Uint16Array.from(indexes) : indexes)
}

/** "Shared dictionaries with additional keys", the only one there is. */
const dictionaryVersion = 1
/** The dictionary comes with the block. */
const additionalKeys = 1 << 9
const updateDictionary = 1 << 10

const writeBooleans = (scratch: Scratch, values: ReadonlyArray<boolean>): void => {
  const bytes = scratch.reserve(values.length)
  const at = scratch.length
  for (let i = 0; i < values.length; i++) bytes[at + i] = values[i]! ? 1 : 0
  scratch.length = at + values.length
}

/** Whole numbers of at most 32 bits: what the typed array holds differs from what it was given when it does not fit. */
const writeSmall = (
  scratch: Scratch,
  typed: Uint8Array | Uint16Array | Uint32Array,
  values: ArrayLike<number>,
  name: string
): void => {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    typed[i] = value
    if (typed[i] !== value) throw new RangeError(`${name} cannot hold ${value}`)
  }
  writeTyped(scratch, typed)
}

/** Safe integers as 64 bits: two halves by arithmetic, since a bigint costs ten times as much. */
const write64 = (scratch: Scratch, values: ArrayLike<number>, minimum: number, name: string): void => {
  const halves = new Int32Array(values.length * 2)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    const high = Math.floor(value / 4_294_967_296)
    if (!(value >= minimum && value <= Number.MAX_SAFE_INTEGER) || value !== Math.floor(value)) {
      throw new RangeError(`${name} cannot hold ${value}`)
    }
    halves[2 * i] = value
    halves[2 * i + 1] = high
  }
  writeTyped(scratch, halves)
}

const writeUnsigned64 = (scratch: Scratch, values: ReadonlyArray<bigint>, name: string): void => {
  const typed = new BigUint64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    typed[i] = value
    if (typed[i] !== value) throw new RangeError(`${name} cannot hold ${value}`)
  }
  writeTyped(scratch, typed)
}

const write128 = (scratch: Scratch, values: ReadonlyArray<bigint>, name: string): void => {
  const halves = new BigInt64Array(values.length * 2)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    halves[2 * i] = value
    if (halves[2 * i] === value) halves[2 * i + 1] = value < 0n ? -1n : 0n
    else {
      if (value <= -decimal38Bound || value >= decimal38Bound) throw new RangeError(`${name} cannot hold ${value}`)
      halves[2 * i + 1] = value >> 64n
    }
  }
  writeTyped(scratch, halves)
}

/** 38 digits, whatever the scale. */
const decimal38Bound = 10n ** 38n

/** A map is its entries' end positions, then all keys, then all values. */
const writeStringMaps = (scratch: Scratch, values: ReadonlyArray<Readonly<Record<string, string>>>): void => {
  const ends = new Int32Array(values.length * 2)
  const keys: Array<string> = []
  const texts: Array<string> = []
  for (let i = 0; i < values.length; i++) {
    const map = values[i]!
    for (const key in map) {
      keys.push(key)
      texts.push(map[key]!)
    }
    ends[2 * i] = keys.length
  }
  writeTyped(scratch, ends)
  writeStrings(scratch, keys)
  writeStrings(scratch, texts)
}

const writeBigintMaps = (
  scratch: Scratch,
  values: ReadonlyArray<ReadonlyMap<string, bigint>>,
  unsigned64: boolean,
  name: string
): void => {
  const ends = new Int32Array(values.length * 2)
  const keys: Array<string> = []
  const numbers: Array<bigint> = []
  for (let i = 0; i < values.length; i++) {
    for (const [key, value] of values[i]!) {
      keys.push(key)
      numbers.push(value)
    }
    ends[2 * i] = keys.length
  }
  writeTyped(scratch, ends)
  writeStrings(scratch, keys)
  if (unsigned64) writeUnsigned64(scratch, numbers, name)
  else write128(scratch, numbers, name)
}

/** Typed arrays are little-endian wherever Node runs, as the format is. */
const writeTyped = (
  scratch: Scratch,
  typed: Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array | BigInt64Array | BigUint64Array
): void => writeRaw(scratch, new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength))

const writeRaw = (scratch: Scratch, raw: Uint8Array): void => {
  scratch.reserve(raw.length).set(raw, scratch.length)
  scratch.length += raw.length
}

const isBigints = (values: ArrayLike<number> | ReadonlyArray<bigint>): values is ReadonlyArray<bigint> =>
  typeof values[0] === "bigint"

/** A small count as 64 bits. */
const putInt64 = (scratch: Scratch, value: number): void => {
  scratch.reserve(8).writeUInt32LE(value, scratch.length)
  scratch.bytes.writeUInt32LE(0, scratch.length + 4)
  scratch.length += 8
}

/** Bytes of the longest varint that is written: lengths stay below 2^35. */
const varintMax = 5

const varintSize = (value: number): number =>
  value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : varintMax

const putVarint = (bytes: Buffer, start: number, value: number): number => {
  let at = start
  let rest = value
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[at++] = rest
  return at
}

const writeVarint = (scratch: Scratch, value: number): void => {
  const bytes = scratch.reserve(varintMax)
  scratch.length = putVarint(bytes, scratch.length, value)
}
