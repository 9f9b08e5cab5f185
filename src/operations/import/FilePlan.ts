/** How one file will be read: decided from its first lines and the user's options, before anything is appended. */
import type { ClickEvent } from "../../domain/ClickEvent.ts"
import { apacheColumns, apacheMapping, ApacheReader, apacheRow } from "./ApacheReader.ts"
import { CsvReader } from "./CsvReader.ts"
import { scanLine } from "./CsvScanner.ts"
import type { Row } from "./EventBuilder.ts"
import { EventBuilder } from "./EventBuilder.ts"
import { Fault } from "./Fault.ts"
import { guessMapping, guessTimeFormat } from "./Guess.ts"
import { MappingError } from "./ImportError.ts"
import { jsonAt, JsonReader, parseJsonObject } from "./JsonReader.ts"
import type { Mapping } from "./Mapping.ts"
import { formatMapping, parseMapping, requiredTargets, requireTargets } from "./Mapping.ts"
import type { RecordReader, RecordSink } from "./RecordReader.ts"
import type { FileFormat } from "./Sample.ts"
import { detectDelimiter, detectFormat, jsonPaths, sampleLines } from "./Sample.ts"
import type { Head } from "./Source.ts"
import { headBytesMax } from "./Source.ts"

export interface FileOptions {
  readonly format: "auto" | FileFormat
  /** As in `Mapping.ts`; without one it is guessed. */
  readonly map?: string | undefined
  /** CSV: whether the first line names the columns. */
  readonly header: boolean
}

export interface FilePlan {
  readonly file: string
  readonly format: FileFormat
  /** CSV only. */
  readonly delimiter?: string
  /** What the file offers; for JSON, what its first lines hold. */
  readonly columns: ReadonlyArray<string>
  /** In full, as a user would write it. */
  readonly mapping: string
  /** Columns that the mapping leaves out. */
  readonly unread: ReadonlyArray<string>
  /** Whether any of it was guessed: worth showing. */
  readonly guessed: boolean
  readonly build: (row: Row) => ClickEvent | Fault
  readonly reader: (sink: RecordSink) => RecordReader
}

/** What a format knows after a look at the first lines. */
interface Look {
  readonly columns: ReadonlyArray<string>
  readonly rows: () => ReadonlyArray<Row>
  /** Place of a column in the row; undefined when there is none. */
  readonly index: (name: string) => number | undefined
  readonly reader: (sink: RecordSink) => RecordReader
  readonly delimiter?: string
}

/** Throws MappingError. */
export const planFile = (file: string, head: Head, options: FileOptions): FilePlan => {
  const lines = sampleLines(file, head)
  const format = options.format === "auto" ? detectFormat(lines, file) : options.format
  const given = options.map === undefined ? undefined : parseMapping(options.map)
  const isHeaderAlone = format === "csv" && options.header && lines.length === 1 && head.entire
  if (lines.length === 0 || isHeaderAlone) return planNothing(file, format, head)
  try {
    if (format === "csv" && options.header && !head.entire && !head.bytes.includes(10)) {
      throw new MappingError({ message: `no line ends in its first ${headBytesMax} bytes, so it has no header` })
    }
    return format === "csv" ?
      planCsv(file, lines, given, options.header) :
      format === "jsonl" ?
      planJson(file, lines, given) :
      planApache(file, lines, given)
  } catch (error) {
    throw error instanceof MappingError ? new MappingError({ message: `${file}: ${error.message}` }) : error
  }
}

/** An empty file has no events, nor has a header without lines. */
const planNothing = (file: string, format: FileFormat, head: Head): FilePlan => {
  if (!head.entire) throw new MappingError({ message: `${file}: its first ${headBytesMax} bytes are blank` })
  return {
    file,
    format,
    columns: [],
    mapping: "",
    unread: [],
    guessed: false,
    build: () => new Fault("invalid_event", "the file had no lines when it was looked at"),
    reader: (sink) => new CsvReader({ sink, delimiter: ",", header: head.bytes.length > 0, columns: 0 })
  }
}

const planCsv = (
  file: string,
  lines: ReadonlyArray<string>,
  given: Mapping | undefined,
  header: boolean
): FilePlan => {
  const delimiter = detectDelimiter(lines)
  const rows = lines.map((line) => scanLine(line, delimiter)).filter((row) => row !== undefined)
  const names = header ? scanLine(lines[0]!, delimiter) : undefined
  if (header && names === undefined) {
    throw new MappingError({ message: "the header in its first line has a quote that does not close" })
  }
  const columns = names?.map((name) => name.trim()) ?? rows[0]?.map((_, i) => String(i + 1)) ?? []
  if (given === undefined && !header) {
    throw new MappingError({
      message: `without a header the columns need --map, by number; the first line has ${columns.length}: ${lines[0]}`
    })
  }
  const index = (name: string) => columns.includes(name) ? columns.indexOf(name) : undefined
  const sampled = (header ? rows.slice(1) : rows).filter((row) => row.length === columns.length)
  const used = columns.filter((_, i) => sampled.length === 0 || sampled.some((row) => row[i] !== ""))
  const mapping = given ?? guessMapping(used, columns)
  for (const name of columnsOf(mapping)) checkCsvColumn(name, columns, header)
  return finish(file, "csv", mapping, given === undefined, {
    columns,
    index,
    delimiter,
    rows: () => sampled,
    reader: (sink) => new CsvReader({ sink, delimiter, header, columns: header ? columns.length : 0 })
  })
}

const checkCsvColumn = (name: string, columns: ReadonlyArray<string>, header: boolean): void => {
  const places = columns.filter((column) => column === name).length
  if (places > 1) throw new MappingError({ message: `the column "${name}" stands ${places} times in the header` })
  if (places === 1) return
  throw new MappingError({
    message: header ?
      `there is no column "${name}"; found are ${columns.join(", ")}` :
      `there is no column "${name}": columns are numbers from 1 to ${columns.length}`
  })
}

const planJson = (file: string, lines: ReadonlyArray<string>, given: Mapping | undefined): FilePlan => {
  const objects = lines.map((line) => parseJsonObject(line)).filter((value) => !(value instanceof Fault))
  const columns = [...new Set(objects.flatMap((value) => jsonPaths(value)))]
  const used = columns.filter((path) => {
    const place = path.replace("[]", ".0")
    return objects.some((value) => (jsonAt(value, place) ?? "") !== "")
  })
  const mapping = given ?? guessMapping(used)
  for (const { target, source } of mapping) {
    // Other fields may be rare; what every event needs must be seen in one of the first lines.
    if (source.kind === "const" || objects.length === 0 || !requiredTargets.some((name) => name === target)) continue
    const path = source.name.replace("[]", ".0")
    if (!objects.some((value) => jsonAt(value, path) !== undefined)) {
      throw new MappingError({
        message: `there is no "${source.name}" in the first lines; found are ${columns.join(", ")}`
      })
    }
  }
  const paths = columnsOf(mapping)
  const nested = new Set(
    mapping.flatMap(({ target, source }) =>
      target.startsWith("properties.") && source.kind === "column" ? [source.name] : []
    )
  )
  const reader = (sink: RecordSink) =>
    new JsonReader({ sink, columns: paths.map((path) => ({ path, nested: nested.has(path) })) })
  return finish(file, "jsonl", mapping, given === undefined, {
    columns,
    index: (name) => paths.indexOf(name),
    rows: () => {
      const found: Array<Row> = []
      const sink = { record: (rows: ReadonlyArray<Row>) => found.push(...rows), fault() {}, blank() {}, header() {} }
      const sampler = reader(sink)
      for (const line of lines) sampler.line(Buffer.from(line), 0)
      return found
    },
    reader
  })
}

const planApache = (file: string, lines: ReadonlyArray<string>, given: Mapping | undefined): FilePlan => {
  const usual = parseMapping(apacheMapping)
  const mapping = given === undefined ?
    usual :
    [...usual.filter((rule) => !given.some(({ target }) => target === rule.target)), ...given]
  for (const name of columnsOf(mapping)) {
    if (!apacheColumns.some((column) => column === name)) {
      throw new MappingError({ message: `an access log has no "${name}"; it has ${apacheColumns.join(", ")}` })
    }
  }
  const hash = columnsOf(mapping).includes("ip_and_agent")
  return finish(file, "apache", mapping, false, {
    columns: apacheColumns,
    index: (name) => apacheColumns.findIndex((column) => column === name),
    rows: () => lines.map((line) => apacheRow(line, hash)).filter((row) => row !== undefined),
    reader: (sink) => new ApacheReader({ sink, hash })
  })
}

/** Completes the mapping and binds it. */
const finish = (
  file: string,
  format: FileFormat,
  mapping: Mapping,
  guessed: boolean,
  look: Look
): FilePlan => {
  const found = look.columns.length === 0 ? "no columns were found" : `columns found are ${look.columns.join(", ")}`
  requireTargets(mapping, found)
  const { rules, guessedTime } = withTimeFormat(mapping, look)
  const builder = new EventBuilder(rules, (name) => look.index(name) ?? -1)
  return {
    file,
    format,
    ...(look.delimiter !== undefined && { delimiter: look.delimiter }),
    columns: look.columns,
    mapping: formatMapping(rules),
    unread: look.columns.filter((column) => !columnsOf(rules).includes(column)),
    guessed: guessed || guessedTime,
    build: (row) => builder.build(row),
    reader: look.reader
  }
}

/** Finds the format of `event_ts` from the first rows, when the mapping does not tell. */
const withTimeFormat = (mapping: Mapping, look: Look): { rules: Mapping; guessedTime: boolean } => {
  const rule = mapping.find(({ target }) => target === "event_ts")
  if (rule?.timeFormat !== undefined || rule?.source.kind !== "column") return { rules: mapping, guessedTime: false }
  const index = look.index(rule.source.name) ?? -1
  const values = look.rows().map((row) => row[index] ?? "")
  const format = guessTimeFormat(values)
  if (format === undefined) {
    throw new MappingError({
      message: `the time format of "${rule.source.name}" is not clear from ${JSON.stringify(values.slice(0, 3))}; ` +
        `say it, as in event_ts=${rule.source.name}:epoch_s (or epoch_ms, epoch_ns, rfc3339, a pattern such as %Y-%m-%d %H:%M:%S)`
    })
  }
  return { rules: mapping.map((one) => one === rule ? { ...one, timeFormat: format } : one), guessedTime: true }
}

const columnsOf = (mapping: Mapping): ReadonlyArray<string> => [
  ...new Set(mapping.flatMap(({ source }) => source.kind === "column" ? [source.name] : []))
]
