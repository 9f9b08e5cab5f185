/**
 * A UTF-8 string. A call into native code costs some 100 ns whatever the length, so short ASCII strings are made here, from
 * all their characters at once (one by one would make a rope).
 */
export const readString = (bytes: Buffer, start: number, length: number): string => {
  if (length === 0) return ""
  if (length <= shortMax) {
    const units = unitsOf[length]!
    let every = 0
    for (let i = 0; i < length; i++) every |= units[i] = bytes[start + i]!
    if (every < 128) return String.fromCharCode.apply(String, units)
  }
  return (bytes as NativeText).utf8Slice(start, start + length)
}

/** Methods of every Node buffer which its types leave out: `toString` and `write` without their checks of arguments. */
export interface NativeText extends Buffer {
  utf8Slice(start: number, end: number): string
  utf8Write(text: string, start: number, length: number): number
}

const shortMax = 24
/** One array of each length, reused: `apply` wants exactly as many as there are. */
const unitsOf = Array.from({ length: shortMax + 1 }, (_, length) => Array.from({ length }, () => 0))
