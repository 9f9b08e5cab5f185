/**
 * CSV with any one-character delimiter. A record may span lines inside of quotes, but a stray quote must not swallow the file: when
 * a record of several lines turns out broken (text after a closing quote, more fields than columns, another number of fields,
 * `recordBytesMax` or `recordLinesMax` passed, end of input), only its **first** line is a dead letter, and reading goes on
 * with its second line.
 */
import { recordBytesMax } from "../../domain/ClickEvent.ts"
import { CsvScanner } from "./CsvScanner.ts"
import { Fault } from "./Fault.ts"
import type { RecordReader, RecordSink } from "./RecordReader.ts"
import { isBlank, trimEnd } from "./RecordReader.ts"
import { utf8Text } from "./Utf8.ts"

/** Most physical lines of one record. */
export const recordLinesMax = 1_000

interface Line {
  readonly bytes: Buffer
  readonly number: number
}

export class CsvReader implements RecordReader {
  readonly #sink: RecordSink
  readonly #scanner: CsvScanner
  /** Whether the first line names the columns; it has been read before. */
  #header: boolean
  /** Fields of a record; 0 until the first record told, in files without a header. */
  #columns: number
  /** Lines of the record that is open. */
  #open: Array<Line> = []
  #openBytes = 0

  constructor(
    { sink, delimiter, header, columns }: { sink: RecordSink; delimiter: string; header: boolean; columns: number }
  ) {
    this.#sink = sink
    this.#scanner = new CsvScanner(delimiter)
    this.#header = header
    this.#columns = columns
  }

  line(bytes: Buffer, number: number): void {
    const again = this.#take(bytes, number)
    if (again.length > 0) this.#retake(again)
  }

  end(): void {
    while (this.#open.length > 0) this.#retake(this.#abandon("it is never closed"))
  }

  /** Lines that were read too far ahead, in order; what follows from them may have to be taken again in turn. */
  #retake(lines: ReadonlyArray<Line>): void {
    const waiting = lines.toReversed()
    for (let line = waiting.pop(); line !== undefined; line = waiting.pop()) {
      for (const again of this.#take(line.bytes, line.number).toReversed()) waiting.push(again)
    }
  }

  /** One line; gives the lines that have to be taken again. */
  #take(bytes: Buffer, number: number): ReadonlyArray<Line> {
    const trimmed = trimEnd(bytes)
    const text = utf8Text(trimmed)
    const first = this.#open.length === 0
    if (text === undefined) {
      if (!first) return [...this.#abandon("a later line is not UTF-8"), copy(bytes, number)]
      this.#sink.fault(new Fault("invalid_utf8", "the line is not UTF-8"), number, trimmed)
      return none
    }
    if (first && isBlank(text)) {
      this.#sink.blank()
      return none
    }
    if (first && this.#header) {
      this.#header = false
      this.#sink.header()
      return none
    }
    const result = this.#scanner.scan(text, trimmed.length < bytes.length ? "\r\n" : "\n")
    if (result === "complete" && first) {
      this.#record(number, trimmed)
      return none
    }
    return this.#several(result, bytes, number)
  }

  /** A line of a record that has, or may have, several. */
  #several(result: "complete" | "open" | "broken", bytes: Buffer, number: number): ReadonlyArray<Line> {
    this.#open.push(copy(bytes, number))
    this.#openBytes += bytes.length + 1
    const { fields } = this.#scanner
    if (result === "broken") return this.#abandon("text follows its closing quote")
    if (result === "open") {
      if (this.#columns > 0 && fields.length >= this.#columns) return this.#abandon("too many fields follow it")
      if (this.#openBytes > recordBytesMax) return this.#abandon(`it is not closed within ${recordBytesMax} bytes`)
      if (this.#open.length >= recordLinesMax) return this.#abandon(`it is not closed within ${recordLinesMax} lines`)
      return none
    }
    if (this.#columns > 0 && fields.length !== this.#columns) {
      return this.#abandon(`its record has ${fields.length} fields instead of ${this.#columns}`)
    }
    const whole = trimEnd(joined(this.#open))
    const { number: start } = this.#open[0]!
    this.#close()
    if (whole.length > recordBytesMax) {
      this.#sink.fault(new Fault("record_too_large", `the record has ${whole.length} bytes`), start, whole)
    } else this.#record(start, whole)
    return none
  }

  #record(number: number, bytes: Buffer): void {
    const { fields } = this.#scanner
    if (this.#columns === 0) this.#columns = fields.length
    if (fields.length === this.#columns) this.#sink.record([fields], number, bytes)
    else {
      const detail = `${fields.length} fields instead of ${this.#columns}`
      this.#sink.fault(new Fault("wrong_field_count", detail), number, bytes)
    }
  }

  /** Gives up the open record: its first line is a dead letter, the others are given back. */
  #abandon(why: string): ReadonlyArray<Line> {
    const [first, ...others] = this.#open
    this.#close()
    this.#scanner.reset()
    this.#sink.fault(
      new Fault("malformed_quote", `a quote opens in this line: ${why}`),
      first!.number,
      trimEnd(first!.bytes)
    )
    return others
  }

  #close(): void {
    this.#open = []
    this.#openBytes = 0
  }
}

const none: ReadonlyArray<Line> = []
const lineEnd = Buffer.from("\n")

const copy = (bytes: Buffer, number: number): Line => ({ bytes: Buffer.from(bytes), number })

const joined = (lines: ReadonlyArray<Line>): Buffer =>
  Buffer.concat(lines.flatMap((line, i) => i === 0 ? [line.bytes] : [lineEnd, line.bytes]))
