/** Event types from the names that others give their events. */

const legalType = /^[a-z][a-z0-9_]{0,63}$/
const typeLengthMax = 64
/** Event types that are remembered with their legal form. */
const typesRemembered = 10_000
/** Longer names are not remembered, so that the memory stays small. */
const rememberedLengthMax = 128
const legalTypes = new Map<string, string>()

/**
 * A legal event type: trimmed, lower case, what is neither letter nor digit as "_", "type_" before anything but a letter, at most 64
 * characters. Whoever calls keeps the original as a property when this changed it.
 */
export const eventTypeOf = (text: string): string => {
  const known = legalTypes.get(text)
  if (known !== undefined) return known
  const word = text.trim().toLowerCase().replaceAll(/[^a-z0-9_]/gu, "_")
  const type = legalType.test(text) ? text : (/^[a-z]/.test(word) ? word : `type_${word}`).slice(0, typeLengthMax)
  if (text.length > rememberedLengthMax) return type
  if (legalTypes.size >= typesRemembered) legalTypes.clear()
  legalTypes.set(text, type)
  return type
}
