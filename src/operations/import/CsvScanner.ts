/**
 * Takes the fields from one CSV record (RFC 4180), line by line: a field in double quotes may hold delimiters, line ends and, doubled,
 * quotes. A quote inside an unquoted field is an ordinary character. A hand-made scanner because recovery needs to know, at each
 * physical line, whether a record is complete, open or broken; `csv-parse` is the oracle of its tests.
 */

/** What a record is after another line: `open` waits for the next one, `broken` has something between a quote and a delimiter. */
export type ScanResult = "complete" | "open" | "broken"

export class CsvScanner {
  readonly #delimiter: string
  #open = false
  #value = ""
  /** Of the record, once it is complete. */
  fields: Array<string> = []

  constructor(delimiter: string) {
    this.#delimiter = delimiter
  }

  /** Forgets an open record. */
  reset(): void {
    this.#open = false
    this.#value = ""
  }

  /** The next line of the record, or the first line of a new one; `lineEnd` goes into a field that stays open. */
  scan(text: string, lineEnd: string): ScanResult {
    if (!this.#open) {
      if (!text.includes('"')) {
        this.fields = text.split(this.#delimiter)
        return "complete"
      }
      this.fields = []
    }
    let at = 0
    for (;;) {
      if (!this.#open) {
        if (text[at] !== '"') {
          const end = text.indexOf(this.#delimiter, at)
          this.fields.push(end < 0 ? text.slice(at) : text.slice(at, end))
          if (end < 0) return "complete"
          at = end + 1
          continue
        }
        this.#open = true
        at++
      }
      at = this.#quoted(text, at, lineEnd)
      if (this.#open) return "open"
      if (at === text.length) return "complete"
      if (text[at] !== this.#delimiter) return "broken"
      at++
    }
  }

  /** Reads on inside of quotes; the position after the closing one, if it closes. */
  #quoted(text: string, from: number, lineEnd: string): number {
    let at = from
    for (;;) {
      const quote = text.indexOf('"', at)
      if (quote < 0) {
        this.#value += text.slice(at) + lineEnd
        return text.length
      }
      this.#value += text.slice(at, quote)
      if (text[quote + 1] !== '"') {
        this.fields.push(this.#value)
        this.reset()
        return quote + 1
      }
      this.#value += '"'
      at = quote + 2
    }
  }
}

/** The fields of a record that stands on one line; undefined when it does not. */
export const scanLine = (text: string, delimiter: string): ReadonlyArray<string> | undefined => {
  const scanner = new CsvScanner(delimiter)
  return scanner.scan(text, "\n") === "complete" ? scanner.fields : undefined
}
