/**
 * Spoils the bytes of a record so that they do not decode: cut short, a wrong magic byte, a schema id that no registry holds, or
 * nothing at all.
 */
import type { Random } from "./Random.ts"

export const corrupt = (value: Uint8Array, random: Random): Uint8Array => {
  const copy = Uint8Array.from(value)
  switch (random.below(4)) {
    case 0:
      return copy.subarray(0, Math.min(copy.length, 6 + random.below(20)))
    case 1:
      copy[0] = 0x01
      return copy
    case 2:
      copy.fill(0xff, 1, 5)
      return copy
    default:
      return new Uint8Array(0)
  }
}
