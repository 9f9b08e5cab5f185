/**
 * Whether bytes have the shape that an Avro schema says, from first to last byte. The library decodes without looking: a
 * broken count of 2^50 map entries would keep it busy for years. So bytes of strangers are walked here first.
 */
import avro from "avsc"

/** Most items of a block whose items take no bytes. */
const emptyItemsMax = 1_000_000

/** True when `bytes` from `start` to the end is one value of the type. */
export const hasShape = (type: avro.Type, bytes: Uint8Array, start: number): boolean =>
  skip(type, bytes, start) === bytes.length

/** Where the value at `at` ends; NaN when it does not add up. */
const skip = (type: avro.Type, bytes: Uint8Array, at: number): number => {
  switch (type.typeName) {
    case "null":
      return at
    case "boolean":
      return bounded(bytes, at + 1)
    case "int":
    case "long":
    case "enum":
      return readLong(bytes, at).next
    case "float":
      return bounded(bytes, at + 4)
    case "double":
      return bounded(bytes, at + 8)
    case "bytes":
    case "string": {
      const { next, value } = readLong(bytes, at)
      return value >= 0 ? bounded(bytes, next + value) : Number.NaN
    }
    case "fixed":
      return bounded(bytes, at + (type as avro.types.FixedType).size)
    case "record":
    case "error": {
      let next = at
      for (const field of (type as avro.types.RecordType).fields) next = skip(field.type, bytes, next)
      return next
    }
    case "array":
      return skipBlocks(bytes, at, [(type as avro.types.ArrayType).itemsType])
    case "map":
      return skipBlocks(bytes, at, [keyType, (type as avro.types.MapType).valuesType])
    case "union:wrapped":
    case "union:unwrapped": {
      const { next, value } = readLong(bytes, at)
      const branch = (type as avro.types.UnwrappedUnionType).types[value]
      return branch === undefined ? Number.NaN : skip(branch, bytes, next)
    }
    default:
      return type instanceof avro.types.LogicalType ? skip(type.underlyingType, bytes, at) : Number.NaN
  }
}

const keyType = avro.Type.forSchema("string")

const skipBlocks = (bytes: Uint8Array, at: number, item: ReadonlyArray<avro.Type>): number => {
  let next = at
  let empty = 0
  for (;;) {
    const block = readLong(bytes, next)
    next = block.next
    if (!(next <= bytes.length)) return Number.NaN
    if (block.value === 0) return next
    // A negative count is followed by the block's size.
    if (block.value < 0) next = readLong(bytes, next).next
    for (let i = Math.abs(block.value); i > 0; i--) {
      const before = next
      for (const type of item) next = skip(type, bytes, next)
      if (!(next <= bytes.length) || (next === before && ++empty > emptyItemsMax)) return Number.NaN
    }
  }
}

const bounded = (bytes: Uint8Array, at: number): number => at <= bytes.length ? at : Number.NaN

/** A zigzag long of at most ten bytes; not exact beyond 2^53, which matters to no length. */
const readLong = (bytes: Uint8Array, at: number): { readonly value: number; readonly next: number } => {
  let unsigned = 0
  let scale = 1
  for (let next = at; next < at + 10; scale *= 128) {
    const byte = bytes[next++]
    if (byte === undefined) break
    unsigned += (byte & 127) * scale
    if (byte < 128) return { value: unsigned % 2 === 0 ? unsigned / 2 : -(unsigned + 1) / 2, next }
  }
  return { value: Number.NaN, next: Number.NaN }
}
