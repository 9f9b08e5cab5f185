/**
 * Whether bytes that are no event speak of an id. Not any place where its letters stand counts: "17" is not mentioned in "2017".
 * It must stand as a word, as in JSON or CSV, or behind its length, as in Avro; a number in a date, a version or another id is none.
 */

/** On bytes. */
export const mentions = (value: Buffer, id: string): boolean => {
  const bytes = Buffer.from(id)
  const prefix = avroLength(bytes.length)
  for (let at = value.indexOf(bytes); at !== -1; at = value.indexOf(bytes, at + 1)) {
    if (value.subarray(Math.max(0, at - prefix.length), at).equals(prefix)) return true
    const opens = !isWord(bytes[0]) || !isWord(value[at - 1])
    const closes = !isWord(bytes.at(-1)) || !isWord(value[at + bytes.length])
    if (opens && closes) return true
  }
  return false
}

/** The same as a regular expression (RE2) for ClickHouse's `match`, and the Avro form in hex digits. */
export const mentionSql = (id: string): { readonly pattern: string; readonly avroHex: string } => {
  const bytes = Buffer.from(id)
  const escaped = id.replace(/[^A-Za-z0-9_]/gu, (character) => `\\x{${character.codePointAt(0)!.toString(16)}}`)
  const edge = (inner: number | undefined, outside: string) => isWord(inner) ? outside : ""
  return {
    pattern: `${edge(bytes[0], "(?:^|[^A-Za-z0-9_.-])")}${escaped}${edge(bytes.at(-1), "(?:[^A-Za-z0-9_.-]|$)")}`,
    avroHex: Buffer.concat([avroLength(bytes.length), bytes]).toString("hex")
  }
}

/** A string's length in Avro: zigzag, then seven bits to the byte, low ones first. */
const avroLength = (length: number): Buffer => {
  const bytes: Array<number> = []
  let rest = length * 2
  for (; rest > 127; rest >>>= 7) bytes.push(rest & 127 | 128)
  return Buffer.from([...bytes, rest])
}

/** ASCII letters, digits, and what ids, dates and numbers have between them. */
const isWord = (byte: number | undefined): boolean =>
  byte !== undefined &&
  (byte >= 48 && byte <= 57 || byte >= 65 && byte <= 90 || byte >= 97 && byte <= 122 || byte === 95 || byte === 45 ||
    byte === 46)
