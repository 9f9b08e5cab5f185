/**
 * Which column becomes which field of the event, as users write it:
 *
 *     visitor_id=uuid,event_ts=timestamp:epoch_s,event_type=const:view,url=url
 *     event_type=behavior:{pv>view,cart>add_to_cart,buy>purchase,fav>favorite}
 *     event_ts=when:{%d.%m.%Y, %H:%M:%S}@Europe/Berlin
 *     visitor_id="user:id",properties.shop=2
 *
 * - Rules are parted by commas; the target is a field of the event's JSON or `properties.` and a name.
 * - The source is a column's name, its number from 1 (files without a header), a dotted path (JSON; `[]` after a name makes one event
 *   of each element of that list), or `const:` and a value. Double quotes protect colons, commas and equals signs in a name.
 * - `event_ts` takes a time format after the column and a colon (`TimeFormat.ts`); without one it is guessed from the first lines.
 * - Other fields take a translation `{from>to,...}`; a value that it does not list stays as it is.
 * - Braces protect commas, also around a time pattern.
 */
import { MappingError } from "./ImportError.ts"

export interface Rule {
  readonly target: string
  readonly source: { readonly kind: "const"; readonly value: string } | {
    readonly kind: "column"
    readonly name: string
  }
  /** Of `event_ts`. */
  readonly timeFormat?: string
  /** Of any other target. */
  readonly translation?: ReadonlyMap<string, string>
}

export type Mapping = ReadonlyArray<Rule>

/** Fields of the event's JSON. */
const fieldTargets = [
  "event_id",
  "visitor_id",
  "event_ts",
  "event_type",
  "item_id",
  "category",
  "price",
  "currency",
  "quantity",
  "url",
  "referrer",
  "user_agent"
] as const

export const requiredTargets = ["visitor_id", "event_ts", "event_type"] as const

/** Where the importer keeps an event type that it had to change; not to be mapped. */
export const originalTypeProperty = "original_event_type"

/** Throws MappingError with what is wrong and where. */
export const parseMapping = (text: string): Mapping => {
  const rules = splitOutside(text, ",").filter((part) => part.trim() !== "").map(parseRule)
  const seen = new Set<string>()
  for (const { target } of rules) {
    if (seen.has(target)) throw new MappingError({ message: `the mapping gives ${target} twice` })
    seen.add(target)
  }
  return rules
}

/** Throws MappingError when a field that every event needs is missing. */
export const requireTargets = (mapping: Mapping, columns: string): void => {
  const missing = requiredTargets.filter((target) => !mapping.some((rule) => rule.target === target))
  if (missing.length > 0) {
    throw new MappingError({ message: `the mapping lacks ${missing.join(", ")}; ${columns}` })
  }
}

/** The mapping as a user would write it. */
export const formatMapping = (mapping: Mapping): string => mapping.map(formatRule).join(",")

const parseRule = (part: string): Rule => {
  const equals = part.indexOf("=")
  if (equals < 0) throw new MappingError({ message: `"${part}" is no rule: write target=column` })
  const target = part.slice(0, equals).trim()
  checkTarget(target)
  const source = part.slice(equals + 1)
  if (source.startsWith("const:")) {
    if (target === "event_ts") {
      throw new MappingError({ message: "event_ts needs a column: one time for all is no history" })
    }
    return { target, source: { kind: "const", value: unbrace(source.slice("const:".length)) } }
  }
  const { name, rest } = columnOf(source, part)
  if (rest === undefined) return { target, source: { kind: "column", name } }
  if (target === "event_ts") return { target, source: { kind: "column", name }, timeFormat: unbrace(rest) }
  return { target, source: { kind: "column", name }, translation: parseTranslation(rest, part) }
}

const checkTarget = (target: string): void => {
  if (target === `properties.${originalTypeProperty}`) {
    throw new MappingError({ message: `${target} is kept for event types that had to be changed; use another name` })
  }
  const property = target.startsWith("properties.") && target.length > "properties.".length
  if (!property && !fieldTargets.some((field) => field === target)) {
    throw new MappingError({
      message: `"${target}" is no field of an event: use ${fieldTargets.join(", ")} or properties.NAME`
    })
  }
}

const columnOf = (source: string, part: string): { name: string; rest: string | undefined } => {
  if (source.startsWith('"')) {
    const end = source.indexOf('"', 1)
    if (end < 0 || (end + 1 < source.length && source[end + 1] !== ":")) {
      throw new MappingError({ message: `"${part}" has a quote that does not close` })
    }
    return { name: source.slice(1, end), rest: end + 1 < source.length ? source.slice(end + 2) : undefined }
  }
  const colon = source.indexOf(":")
  const name = colon < 0 ? source : source.slice(0, colon)
  if (name === "") throw new MappingError({ message: `"${part}" names no column` })
  return { name, rest: colon < 0 ? undefined : source.slice(colon + 1) }
}

const parseTranslation = (text: string, part: string): ReadonlyMap<string, string> => {
  if (!text.startsWith("{") || !text.endsWith("}")) {
    throw new MappingError({
      message: `"${part}": after the colon comes a translation in braces, such as {pv>view,buy>purchase}`
    })
  }
  return new Map(
    text.slice(1, -1).split(",").map((pair) => {
      const arrow = pair.indexOf(">")
      if (arrow < 0) throw new MappingError({ message: `"${part}": "${pair}" is no translation: write from>to` })
      return [pair.slice(0, arrow).trim(), pair.slice(arrow + 1).trim()] as const
    })
  )
}

/** `{a}b` -> `ab`: braces only protect. */
const unbrace = (text: string): string => {
  const close = text.indexOf("}")
  return text.startsWith("{") && close > 0 ? text.slice(1, close) + text.slice(close + 1) : text
}

/** Splits where neither braces nor double quotes are open. */
const splitOutside = (text: string, separator: string): ReadonlyArray<string> => {
  const parts: Array<string> = []
  let depth = 0
  let inQuotes = false
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '"') inQuotes = !inQuotes
    else if (inQuotes) continue
    else if (char === "{") depth++
    else if (char === "}") depth--
    else if (char === separator && depth === 0) {
      parts.push(text.slice(from, at))
      from = at + 1
    }
  }
  if (depth !== 0) throw new MappingError({ message: `the mapping "${text}" has a brace without its partner` })
  parts.push(text.slice(from))
  return parts
}

const formatRule = (rule: Rule): string => {
  if (rule.source.kind === "const") return `${rule.target}=const:${protect(rule.source.value)}`
  const { name } = rule.source
  const column = /[:,="{}]/.test(name) ? `"${name}"` : name
  if (rule.timeFormat !== undefined) return `${rule.target}=${column}:${protect(rule.timeFormat)}`
  if (rule.translation === undefined) return `${rule.target}=${column}`
  return `${rule.target}=${column}:{${[...rule.translation].map(([from, to]) => `${from}>${to}`).join(",")}}`
}

const protect = (text: string): string => text.includes(",") ? `{${text}}` : text
