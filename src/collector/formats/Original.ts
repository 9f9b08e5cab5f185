/** What a sender's message said, as properties of our event: dotted path -> text. Nothing of it is lost while it fits. */
import { fieldMax, propertiesMax } from "../../domain/ClickEvent.ts"
import type { JsonObject } from "../JsonText.ts"
import { isObject } from "../JsonText.ts"

/** Paths beyond these, and longer texts, go into `more.0`, `more.1`, ... as JSON. */
const pathsMax = 48
const depthMax = 5
/** Two places are left for the sender's own times, two for a format. */
const morePieces = propertiesMax - pathsMax - 5
/** How many UTF-16 units of the rest did not fit, in the property `more.cut`. */
const cutProperty = "more.cut"

export const original = (message: JsonObject): Record<string, string> => {
  const kept: Record<string, string> = Object.create(null) as Record<string, string>
  const rest: Array<readonly [string, unknown]> = []
  let count = 0
  const walk = (object: JsonObject, prefix: string, depth: number): void => {
    for (const [name, value] of Object.entries(object)) {
      const path = prefix + name
      if (value === null || value === undefined || value === "") continue
      if (isObject(value) && depth < depthMax) {
        walk(value, `${path}.`, depth + 1)
        continue
      }
      const text = count < pathsMax && path.length <= fieldMax ? textOf(value) : undefined
      if (text === undefined || text.length > fieldMax) rest.push([path, value])
      else if (text !== "") {
        if (!(path in kept)) count++
        kept[path] = text
      }
    }
  }
  walk(message, "", 1)
  if (rest.length > 0) keepRest(kept, rest)
  return { ...kept }
}

const keepRest = (kept: Record<string, string>, rest: ReadonlyArray<readonly [string, unknown]>): void => {
  const text = `{${rest.map(([path, value]) => `${JSON.stringify(path)}:${textAsJson(value)}`).join(",")}}`
  for (let piece = 0; piece < morePieces && piece * fieldMax < text.length; piece++) {
    kept[`more.${piece}`] = text.slice(piece * fieldMax, (piece + 1) * fieldMax)
  }
  if (text.length > morePieces * fieldMax) kept[cutProperty] = String(text.length - morePieces * fieldMax)
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : typeof value === "object" ? textAsJson(value) : String(value)

const textAsJson = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? "null"
  } catch {
    // Nested deeper than the stack allows.
    return JSON.stringify("nested too deep")
  }
}
