/** Murmur2 with Kafka's seed, of a string's UTF-8 bytes, as an unsigned 32-bit number. */
export const murmur2 = (text: string): number => {
  let bytes = scratch
  let length: number
  if (text.length * 3 <= scratch.length) length = writeUtf8(text)
  else {
    bytes = Buffer.from(text, "utf8")
    length = bytes.length
  }
  const m = 0x5bd1e995
  let h = (0x9747b28c ^ length) | 0
  const blocks = length >> 2
  for (let i = 0; i < blocks; i++) {
    const at = i << 2
    let k = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    k = Math.imul(k, m)
    k = Math.imul(k ^ (k >>> 24), m)
    h = Math.imul(h, m) ^ k
  }
  const tail = blocks << 2
  const rest = length & 3
  if (rest > 2) h ^= bytes[tail + 2]! << 16
  if (rest > 1) h ^= bytes[tail + 1]! << 8
  if (rest > 0) h = Math.imul(h ^ bytes[tail]!, m)
  h = Math.imul(h ^ (h >>> 13), m)
  return (h ^ (h >>> 15)) >>> 0
}

/**
 * The same without its highest bit, as Kafka's partitioner takes it. This is what ClickHouse calls `kafkaMurmurHash`, so both
 * sides can speak of a visitor in four bytes.
 */
export const positiveMurmur2 = (text: string): number => murmur2(text) & 0x7fffffff

const scratch = Buffer.alloc(1024)

/** ASCII by hand (a call into native code costs more than these few bytes), the rest by Buffer. */
const writeUtf8 = (text: string): number => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return scratch.write(text, 0, "utf8")
    scratch[i] = code
  }
  return text.length
}
