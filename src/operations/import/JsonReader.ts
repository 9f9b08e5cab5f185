/**
 * JSON lines: one object on each line. Columns are dotted paths (`user.id`, `items.0.sku`; a name that itself holds dots is tried first). A path
 * through `name[]` makes one row of each element of that list; all such paths must go through the same list, and one bad element makes
 * the whole line a dead letter, so that no line is ever half imported.
 *
 * Numbers with 16 digits or more keep the digits of the text where a float would change them; within an object or a list that becomes a
 * property, such a number is written in quotes.
 */
import type { Row } from "./EventBuilder.ts"
import { Fault } from "./Fault.ts"
import { MappingError } from "./ImportError.ts"
import type { RecordReader, RecordSink } from "./RecordReader.ts"
import { isBlank, trimEnd } from "./RecordReader.ts"
import { utf8Text } from "./Utf8.ts"

/** A path and whether an object or a list at its end is text (JSON), as it is for properties, or a fault. */
export interface JsonColumn {
  readonly path: string
  readonly nested: boolean
}

type JsonObject = Readonly<Record<string, unknown>>

/** A path, split where its list is: `events[].ts` is `ts` in each element of `events`. */
interface ColumnPath extends JsonColumn {
  readonly inList: boolean
  readonly inner: string
}

const listMark = "[]"

export class JsonReader implements RecordReader {
  readonly #sink: RecordSink
  readonly #columns: ReadonlyArray<ColumnPath>
  /** Path of the list whose elements are rows. */
  readonly #list: string | undefined

  /** Rows have the fields of `columns`, in their order. Throws MappingError when paths go through different lists. */
  constructor({ sink, columns }: { sink: RecordSink; columns: ReadonlyArray<JsonColumn> }) {
    this.#sink = sink
    this.#columns = columns.map((column) => {
      const at = column.path.indexOf(listMark)
      const inner = at < 0 ? column.path : column.path.slice(at + listMark.length).replace(/^\./, "")
      return { ...column, inList: at >= 0, inner }
    })
    this.#list = listOf(columns.map((column) => column.path))
  }

  line(bytes: Buffer, number: number): void {
    const trimmed = trimEnd(bytes)
    const text = utf8Text(trimmed)
    if (text !== undefined && isBlank(text)) return this.#sink.blank()
    const value = text === undefined ? new Fault("invalid_utf8", "the line is not UTF-8") : parseJsonObject(text)
    const rows = value instanceof Fault ? value : this.#rows(value)
    if (rows instanceof Fault) this.#sink.fault(rows, number, trimmed)
    else this.#sink.record(rows, number, trimmed)
  }

  end(): void {}

  #rows(value: JsonObject): ReadonlyArray<Row> | Fault {
    if (this.#list === undefined) {
      const row = this.#row(value, value)
      return row instanceof Fault ? row : [row]
    }
    const list = jsonAt(value, this.#list)
    if (!Array.isArray(list)) return new Fault("invalid_json", `${this.#list} is no list`)
    if (list.length === 0) return new Fault("invalid_json", `${this.#list} is empty: the line holds no event`)
    const rows: Array<Row> = []
    for (const element of list) {
      const row = this.#row(value, element)
      if (row instanceof Fault) return row
      rows.push(row)
    }
    return rows
  }

  #row(value: JsonObject, element: unknown): Row | Fault {
    const row: Array<string> = []
    for (const column of this.#columns) {
      const found = column.inList ?
        (column.inner === "" ? element : jsonAt(element, column.inner)) :
        jsonAt(value, column.path)
      if (typeof found === "string") row.push(found)
      else if (found === undefined || found === null) row.push("")
      else if (typeof found !== "object") row.push(String(found))
      else if (column.nested) row.push(JSON.stringify(found))
      else {return new Fault(
          "invalid_json",
          `${column.path} is ${Array.isArray(found) ? "a list" : "an object"}, not a value`
        )}
    }
    return row
  }
}

const listOf = (paths: ReadonlyArray<string>): string | undefined => {
  const lists = new Set(
    paths.filter((path) => path.includes(listMark)).map((path) => path.slice(0, path.indexOf(listMark)))
  )
  if (lists.size > 1) {
    throw new MappingError({
      message: `paths go through different lists: ${[...lists].join(", ")}; only one can make the rows`
    })
  }
  if (paths.some((path) => path.indexOf(listMark) !== path.lastIndexOf(listMark))) {
    throw new MappingError({ message: `a path goes through two lists; only one ${listMark} is possible` })
  }
  return [...lists][0]
}

/** The object on a line, or why it is none. */
export const parseJsonObject = (text: string): JsonObject | Fault => {
  try {
    const value: unknown = longNumber.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) ?
      value as JsonObject :
      new Fault("invalid_json", "the line is no JSON object")
  } catch (error) {
    return new Fault("invalid_json", error instanceof Error ? error.message : String(error))
  }
}

const longNumber = /[\d.]{16}/

/** The text of a number that a float would change. */
const keepDigits = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
  const source = context?.source
  if (typeof value !== "number" || source === undefined) return value
  return String(value) !== source && /^-?[\d.]+$/.test(source) ? source : value
}

/** The value at a dotted path, only through own properties; undefined when there is none. */
export const jsonAt = (value: unknown, path: string): unknown => {
  if (typeof value !== "object" || value === null) return undefined
  if (Object.hasOwn(value, path)) return (value as JsonObject)[path]
  const dot = path.indexOf(".")
  if (dot < 0) return undefined
  const head = path.slice(0, dot)
  return Object.hasOwn(value, head) ? jsonAt((value as JsonObject)[head], path.slice(dot + 1)) : undefined
}
