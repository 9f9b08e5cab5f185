/**
 * Maps whose keys are any text, also `__proto__`: an assignment under that name changes an object's prototype, or nothing, and the
 * entry is lost without a word.
 */
import avro from "avsc"

/** Sets an entry under any name. */
export const setEntry = <A>(map: Record<string, A>, key: string, value: A): void => {
  if (key === "__proto__") {
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true })
  } else map[key] = value
}

/** The library's way through bytes (5.7.9, pinned). */
interface Tap {
  readLong(): number
  readString(): string
  skipLong(): void
}

/** The library's map, which keeps every entry. Its resolvers take `_read` over, with a `valuesType` of their own. */
class WholeMapType extends avro.types.MapType {
  _read(this: { readonly valuesType: unknown }, tap: Tap): Record<string, unknown> {
    const values = this.valuesType as { _read(tap: Tap): unknown }
    const map: Record<string, unknown> = {}
    for (let count = tap.readLong(); count !== 0; count = tap.readLong()) {
      // A negative count is followed by the block's size.
      if (count < 0) tap.skipLong()
      for (let i = Math.abs(count); i > 0; i--) setEntry(map, tap.readString(), values._read(tap))
    }
    return map
  }
}

/** For `typeHook`: makes every map of a schema such a one. */
export const wholeMaps = (schema: avro.Schema, options: unknown): avro.Type | undefined =>
  typeof schema === "object" && "type" in schema && schema.type === "map" ?
    new (WholeMapType as unknown as new(schema: avro.Schema, options: unknown) => avro.Type)(schema, options) :
    undefined
