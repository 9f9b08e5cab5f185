import { parse } from "csv-parse/sync"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { CsvReader, recordLinesMax } from "../../../src/operations/import/CsvReader.ts"
import type { Fault } from "../../../src/operations/import/Fault.ts"
import { Lines } from "../../../src/operations/import/Lines.ts"

interface Seen {
  readonly line: number
  readonly fields?: ReadonlyArray<string>
  readonly reason?: string
  readonly text?: string
}

const read = (
  text: string | Buffer,
  { columns = 0, delimiter = ",", pieceBytes = 7 }: { columns?: number; delimiter?: string; pieceBytes?: number } = {}
) => {
  const seen: Array<Seen> = []
  let blanks = 0
  const reader = new CsvReader({
    sink: {
      record: (rows, line, bytes) => {
        for (const row of rows) seen.push({ line, fields: [...row], text: bytes.toString() })
      },
      fault: (fault: Fault, line, bytes) => seen.push({ line, reason: fault.reason, text: bytes.toString("latin1") }),
      blank: () => blanks++,
      header() {}
    },
    delimiter,
    header: false,
    columns
  })
  const lines = new Lines((bytes, number) => reader.line(bytes, number))
  const bytes = Buffer.from(text as string)
  for (let at = 0; at < bytes.length; at += pieceBytes) lines.push(bytes.subarray(at, at + pieceBytes))
  lines.end()
  reader.end()
  return { seen, blanks, lines: lines.count }
}

describe("CsvReader", () => {
  it("reads what csv-parse reads, wherever chunks end", () => {
    const field = fc.string({
      unit: fc.constantFrom("a", '"', ",", ";", "\n", "\r\n", " ", "é", "\ufeff"),
      maxLength: 6
    })
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 4 }).chain((columns) =>
          fc.array(fc.array(field, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 8 })
        ),
        fc.constantFrom(",", ";", "\t"),
        fc.constantFrom("\n", "\r\n"),
        fc.boolean(),
        fc.integer({ min: 1, max: 20 }),
        (rows, delimiter, lineEnd, always, pieceBytes) => {
          const quote = (text: string) =>
            always || /[",;\t\r\n]/.test(text) || text === "" || text.startsWith(" ") ?
              `"${text.replaceAll('"', '""')}"` :
              text
          const text = rows.map((row) => row.map(quote).join(delimiter)).join(lineEnd) + lineEnd
          // At the very beginning it is a byte order mark, not text.
          fc.pre(!text.startsWith("\ufeff"))
          const options = { columns: rows[0]!.length, delimiter, pieceBytes }
          const { seen } = read(text, options)
          const oracle: unknown = parse(text, { delimiter, record_delimiter: lineEnd })
          expect(seen.map(({ fields }) => fields)).toEqual(oracle)
        }
      ),
      { numRuns: 500 }
    )
  })

  it("loses no line and no byte, whatever the file", () => {
    const text = fc.string({ unit: fc.constantFrom("a", '"', '"', ",", "\n", "\n", "\r\n", "é"), maxLength: 60 })
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 3 }), (text, columns) => {
        const { blanks, seen, lines } = read(text, { columns })
        const linesOf = (one: Seen) => one.text!.split("\n").length
        expect(seen.reduce((sum, one) => sum + linesOf(one), blanks)).toBe(lines)
        const starts = seen.map(({ line }) => line)
        expect(starts).toEqual(starts.toSorted((one, other) => one - other))
        const kept = Buffer.from(text, "utf8").toString("latin1").split("\n").map((line) => line.replace(/\r$/, ""))
        for (const one of seen) {
          const original = kept.slice(one.line - 1, one.line - 1 + linesOf(one)).join("\n")
          const shown = one.reason === undefined ? Buffer.from(one.text!, "utf8").toString("latin1") : one.text!
          expect(shown.replaceAll("\r", "")).toBe(original.replaceAll("\r", ""))
        }
      }),
      { numRuns: 2_000 }
    )
  })

  it("gives up only the line of a stray quote, not the rest of the file", () => {
    const { seen } = read(["a,b", 'c,"d', "e,f", 'g,"h,i"', "j,k"].join("\n"), { columns: 2 })
    expect(seen.map(({ line, reason, fields }) => [line, reason ?? fields])).toEqual([
      [1, ["a", "b"]],
      [2, "malformed_quote"],
      [3, ["e", "f"]],
      [4, ["g", "h,i"]],
      [5, ["j", "k"]]
    ])
  })

  it("gives up only its line when a quote stays open to the end, too many lines or too many bytes", () => {
    const many = Array.from({ length: recordLinesMax + 10 }, (_, i) => `a${i},b`)
    const open = read(['x,"y', ...many].join("\n"), { columns: 2, pieceBytes: 5_000 }).seen
    expect(open[0]).toMatchObject({ line: 1, reason: "malformed_quote", text: 'x,"y' })
    expect(open.slice(1).every(({ fields }) => fields?.length === 2)).toBe(true)
    expect(open).toHaveLength(many.length + 1)
    const large = Array.from({ length: 300 }, () => `${"a".repeat(10_000)},b`)
    const wide = read(['x,"y', ...large].join("\n"), { columns: 2, pieceBytes: 100_000 }).seen
    expect(wide.filter(({ reason }) => reason !== undefined).map(({ line }) => line)).toEqual([1])
    expect(wide).toHaveLength(301)
  })

  it("takes a quote inside an unquoted field as it is", () => {
    expect(read('5" screen,b\n').seen[0]!.fields).toEqual(['5" screen', "b"])
  })

  it("refuses text after a closing quote, other numbers of fields and bytes that are not UTF-8", () => {
    const bytes = Buffer.concat([
      Buffer.from('a,b\n"c"d,e\nf\ng,h,i\n'),
      Buffer.from([0x6a, 0x2c, 0xff, 0x0a]),
      Buffer.from("k,l")
    ])
    expect(read(bytes).seen.map(({ line, reason, fields }) => [line, reason ?? fields])).toEqual([
      [1, ["a", "b"]],
      [2, "malformed_quote"],
      [3, "wrong_field_count"],
      [4, "wrong_field_count"],
      [5, "invalid_utf8"],
      [6, ["k", "l"]]
    ])
  })
})
