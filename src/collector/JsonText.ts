/** JSON as senders write it: parsed, and the bytes of its parts found again. */
import { isUtf8 } from "node:buffer"
import { CollectFault } from "./CollectFault.ts"

/** The text of a body without a byte order mark; a fault when it is no UTF-8, since two senders' ids must not become one. */
export const textOf = (body: Buffer): string | CollectFault => {
  if (!isUtf8(body)) return new CollectFault("invalid_utf8", "the body is not UTF-8")
  const start = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0
  return body.toString("utf8", start)
}

/** The value, or why there is none. */
export const parseJson = (text: string): { readonly value: unknown } | CollectFault => {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    return new CollectFault("invalid_json", (error as Error).message)
  }
}

export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * The texts of an array's elements, where `from` is the place of its "[" in valid JSON. Used only when a part is to be kept as it
 * came: nothing is scanned for good events.
 */
export const elementTexts = (text: string, from: number): ReadonlyArray<string> => {
  const found: Array<string> = []
  let depth = 0
  let start = from + 1
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) i = stringEnd(text, i)
    else if (code === openBracket || code === openBrace) depth++
    else if (code === comma && depth === 1) {
      found.push(text.slice(start, i).trim())
      start = i + 1
    } else if ((code === closeBracket || code === closeBrace) && --depth === 0) {
      const last = text.slice(start, i).trim()
      if (last !== "" || found.length > 0) found.push(last)
      return found
    }
  }
  return found
}

/** Where the array begins that a member of the outermost object has; the last one of the name, as JSON.parse takes it. */
export const memberArrayStart = (text: string, name: string): number => {
  let depth = 0
  let isName = false
  let found = -1
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) {
      const end = stringEnd(text, i)
      if (depth === 1) {
        const colon = skipSpace(text, end + 1)
        if (text.charCodeAt(colon) === colonCode) {
          isName = JSON.parse(text.slice(i, end + 1)) === name
          const value = skipSpace(text, colon + 1)
          if (isName) found = text.charCodeAt(value) === openBracket ? value : -1
          i = colon
          continue
        }
      }
      i = end
    } else if (code === openBracket || code === openBrace) depth++
    else if (code === closeBracket || code === closeBrace) depth--
  }
  return found
}

const quote = 34
const comma = 44
const colonCode = 58
const openBracket = 91
const closeBracket = 93
const openBrace = 123
const closeBrace = 125

const stringEnd = (text: string, start: number): number => {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 92) i++
    else if (code === quote) return i
  }
  return text.length
}

const skipSpace = (text: string, start: number): number => {
  let at = start
  while (at < text.length && text.charCodeAt(at) <= 32) at++
  return at
}
