/**
 * An item as a number: 53 bits of its id's hash. Two items of one session or window have one hash in one of 10^16 cases, and would
 * then count as one.
 */
import { hash, TextBytes } from "./Fingerprint.ts"

/** No item. */
export const noItem = 0

const hashed = new Int32Array(3)
/** The upper word counts with 21 bits, so that both make a safe integer. */
const highMask = 0x1fffff
const textBytes = new TextBytes()

/** The hash of the id in `view[start, start + length)`; `noItem` of an empty one. */
export const itemHash = (view: DataView, start: number, length: number): number => {
  if (length === 0) return noItem
  hash(view, start, length, hashed, 0)
  return (hashed[0]! & highMask) * 2 ** 32 + (hashed[1]! >>> 0)
}

export const itemHashOf = (item: string): number => {
  textBytes.set(item)
  return itemHash(textBytes.view, 0, textBytes.length)
}
