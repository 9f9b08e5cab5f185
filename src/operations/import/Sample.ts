/** The first lines of a file, and what they say about its format. */
import { apacheRow } from "./ApacheReader.ts"
import { scanLine } from "./CsvScanner.ts"
import { Fault } from "./Fault.ts"
import { MappingError } from "./ImportError.ts"
import { parseJsonObject } from "./JsonReader.ts"
import type { Head } from "./Source.ts"

export type FileFormat = "csv" | "jsonl" | "apache"

/** Lines that are looked at. */
const linesMax = 200

/** The complete lines at the start of a file, blank ones left out; a first line that is not complete alone. */
export const sampleLines = (file: string, head: Head): ReadonlyArray<string> => {
  const { bytes } = head
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new MappingError({ message: `${file} is UTF-16; convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)` })
  }
  if (bytes.includes(0)) throw new MappingError({ message: `${file} is binary: give CSV, JSON lines or an access log` })
  const lines = bytes.toString("utf8").replace(/^\ufeff/, "").split("\n")
  if (!head.entire && lines.length > 1) lines.pop()
  return lines.map((line) => line.endsWith("\r") ? line.slice(0, -1) : line)
    .filter((line) => line.trim() !== "")
    .slice(0, linesMax)
}

/** Lines that vote for a format, so that one bad line does not decide. */
const votersMax = 20

export const detectFormat = (lines: ReadonlyArray<string>, file = ""): FileFormat => {
  // No header of a CSV file is an object, and a name says what its owner meant.
  const isNamedJson = /\.(jsonl|ndjson)(\.gz)?$/i.test(file)
  if (lines.length > 0 && (isNamedJson || !(parseJsonObject(lines[0]!) instanceof Fault))) return "jsonl"
  const voters = lines.slice(0, votersMax)
  const most = (test: (line: string) => boolean) => voters.filter((line) => test(line)).length * 2 > voters.length
  // A single line may be cut, so that it does not parse.
  const parses = voters.length === 1 || voters.some((line) => !(parseJsonObject(line) instanceof Fault))
  if (parses && most((line) => line.startsWith("{"))) return "jsonl"
  return most((line) => apacheRow(line, false) !== undefined) ? "apache" : "csv"
}

const delimiters = [",", "\t", ";", "|"]

/** The delimiter that cuts most lines into the same number of fields; of equals the one that makes more, then the first above. */
export const detectDelimiter = (lines: ReadonlyArray<string>): string => {
  let best = { delimiter: ",", agreeing: 0, fields: 1 }
  for (const delimiter of delimiters) {
    const counts = lines.slice(0, votersMax).map((line) => scanLine(line, delimiter)?.length ?? 0)
    const fields = counts[0] ?? 0
    if (fields < 2) continue
    const agreeing = counts.filter((count) => count === fields).length
    if (agreeing > best.agreeing || (agreeing === best.agreeing && fields > best.fields)) {
      best = { delimiter, agreeing, fields }
    }
  }
  return best.delimiter
}

/** Levels of nested objects whose paths are listed. */
const depthMax = 3

/** The paths to values in a JSON object; a list of objects counts as `name[]`. */
export const jsonPaths = (value: unknown, depth = 1): ReadonlyArray<string> => {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    if (typeof inner !== "object" || inner === null || depth >= depthMax) return [name]
    const list = Array.isArray(inner)
    const paths = jsonPaths(list ? inner[0] : inner, depth + 1)
    return paths.length === 0 ? [name] : paths.map((path) => `${name}${list ? "[]" : ""}.${path}`)
  })
}
