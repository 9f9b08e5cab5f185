/**
 * One file's way into the sort: bytes to lines, lines to records of the format, records to events, events to records of the log. A
 * line that cannot be an event becomes a dead letter, which sorts before all events and keeps its bytes.
 */
import { createHash } from "node:crypto"
import type { ClickEvent } from "../../domain/ClickEvent.ts"
import { recordBytesMax } from "../../domain/ClickEvent.ts"
import type { Row } from "./EventBuilder.ts"
import type { FaultReason } from "./Fault.ts"
import { Fault } from "./Fault.ts"
import type { FilePlan } from "./FilePlan.ts"
import { lineBytesMax, Lines } from "./Lines.ts"
import type { RecordReader, RecordSink } from "./RecordReader.ts"
import { trimEnd } from "./RecordReader.ts"
import type { RecordSort } from "./RecordSort.ts"
import type { Source } from "./Source.ts"

/** What became of one file: `lines = records + header + blank + further lines of records`. */
export interface FileSummary {
  readonly file: string
  /** Physical lines. */
  readonly lines: number
  readonly events: number
  readonly deadLettered: number
  readonly deadLetters: Readonly<Partial<Record<FaultReason, number>>>
  readonly blankLines: number
  /** Of the events, epoch ms; undefined without events. Far-future and ancient times count too: the log rejects them later. */
  readonly eventTsMin: number | undefined
  readonly eventTsMax: number | undefined
  /** The greatest that lies within `eventTsBounds`: later ones the log rejects. */
  readonly plausibleTsMin: number | undefined
  readonly plausibleTsMax: number | undefined
  /** Events by type, of the first `eventTypesMax` types that came. */
  readonly eventTypes: Readonly<Record<string, number>>
  /** Without compression. */
  readonly bytes: number
  /** Hex SHA-256 of the content, without compression: the same for a file and its gzip. */
  readonly fingerprint: string
}

/** Event types that are counted one by one. */
export const eventTypesMax = 1_000

/** What the log will take, epoch ms, both inclusive. */
export interface EventTsBounds {
  readonly min: number
  readonly max: number
}

export interface FileImportOptions {
  readonly plan: FilePlan
  readonly source: Source
  readonly sort: RecordSort
  readonly asIs: boolean
  readonly eventTsBounds: EventTsBounds
  readonly encode: (event: ClickEvent) => Uint8Array
  readonly signal: AbortSignal
  /** After each chunk of about half a megabyte. */
  readonly onChunk: (lines: number) => void
}

/** Reads the file to its end; rejects with Node's error when that fails. */
export const importFile = async (options: FileImportOptions): Promise<FileSummary> => {
  const { onChunk, signal, sort, source } = options
  const hash = createHash("sha256")
  const file = new FileImport(options)
  let bytes = 0
  for await (const chunk of source.chunks(signal)) {
    hash.update(chunk)
    bytes += chunk.length
    file.push(chunk)
    if (sort.full) await sort.spill()
    signal.throwIfAborted()
    onChunk(file.lines)
  }
  file.end()
  return { ...file.summary(), bytes, fingerprint: hash.digest("hex") }
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

class FileImport implements RecordSink {
  readonly #plan: FilePlan
  readonly #sort: RecordSort
  readonly #asIs: boolean
  readonly #bounds: EventTsBounds
  readonly #encode: (event: ClickEvent) => Uint8Array
  readonly #reader: RecordReader
  readonly #lines: Lines
  readonly #deadLetters: Partial<Record<FaultReason, number>> = {}
  #events = 0
  #deadLettered = 0
  #blankLines = 0
  #eventTsMin = Infinity
  #eventTsMax = -Infinity
  #plausibleTsMin = Infinity
  #plausibleTsMax = -Infinity
  readonly #eventTypes = new Map<string, number>()

  constructor({ asIs, encode, eventTsBounds, plan, sort }: FileImportOptions) {
    this.#plan = plan
    this.#sort = sort
    this.#asIs = asIs
    this.#bounds = eventTsBounds
    this.#encode = encode
    this.#reader = plan.reader(this)
    this.#lines = new Lines((bytes, number, length) => this.#line(bytes, number, length))
  }

  get lines(): number {
    return this.#lines.count
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk)
  }

  end(): void {
    this.#lines.end()
    this.#reader.end()
  }

  summary(): Omit<FileSummary, "bytes" | "fingerprint"> {
    const some = this.#events > 0
    return {
      file: this.#plan.file,
      lines: this.#lines.count,
      events: this.#events,
      deadLettered: this.#deadLettered,
      deadLetters: this.#deadLetters,
      blankLines: this.#blankLines,
      eventTsMin: some ? this.#eventTsMin : undefined,
      eventTsMax: some ? this.#eventTsMax : undefined,
      plausibleTsMin: this.#plausibleTsMin < Infinity ? this.#plausibleTsMin : undefined,
      plausibleTsMax: this.#plausibleTsMax > -Infinity ? this.#plausibleTsMax : undefined,
      eventTypes: Object.fromEntries(this.#eventTypes)
    }
  }

  #line(bytes: Buffer, number: number, length: number): void {
    if (length > recordBytesMax) {
      this.#reader.end()
      const whole = length <= lineBytesMax
      const detail = `the line has ${length} bytes${whole ? "" : `, of which the first ${lineBytesMax} are kept`}`
      this.#deadLetter(
        new Fault("record_too_large", detail),
        number,
        whole ? trimEnd(bytes) : bytes,
        whole ? undefined : length
      )
    } else if (number === 1 && bytes.subarray(0, 3).equals(byteOrderMark)) this.#reader.line(bytes.subarray(3), number)
    else this.#reader.line(bytes, number)
  }

  record(rows: ReadonlyArray<Row>, line: number, bytes: Buffer): void {
    if (rows.length === 1) {
      const event = this.#plan.build(rows[0]!)
      const value = event instanceof Fault ? event : this.#encoded(event)
      if (event instanceof Fault || value instanceof Fault) this.fault(value as Fault, line, bytes)
      else this.#event(event, value)
      return
    }
    const ready: Array<readonly [ClickEvent, Uint8Array]> = []
    for (const [index, row] of rows.entries()) {
      const event = this.#plan.build(row)
      const value = event instanceof Fault ? event : this.#encoded(event)
      if (event instanceof Fault || value instanceof Fault) {
        const { detail, reason } = value as Fault
        return this.fault(new Fault(reason, `element ${index}: ${detail}`), line, bytes)
      }
      ready.push([event, Uint8Array.from(value)])
    }
    for (const [event, value] of ready) this.#event(event, value)
  }

  fault(fault: Fault, line: number, bytes: Buffer): void {
    this.#deadLetter(fault, line, bytes, undefined)
  }

  blank(): void {
    this.#blankLines++
  }

  header(): void {}

  #encoded(event: ClickEvent): Uint8Array | Fault {
    const value = this.#encode(event)
    return value.length > recordBytesMax ?
      new Fault("record_too_large", `the event takes ${value.length} bytes in the log`) :
      value
  }

  #event(event: ClickEvent, value: Uint8Array): void {
    const { eventTs, eventType } = event
    this.#events++
    const ofType = this.#eventTypes.get(eventType)
    if (ofType !== undefined || this.#eventTypes.size < eventTypesMax) {
      this.#eventTypes.set(eventType, (ofType ?? 0) + 1)
    }
    if (eventTs < this.#plausibleTsMin && eventTs >= this.#bounds.min) this.#plausibleTsMin = eventTs
    if (eventTs > this.#plausibleTsMax && eventTs >= this.#bounds.min && eventTs <= this.#bounds.max) {
      this.#plausibleTsMax = eventTs
    }
    if (eventTs < this.#eventTsMin) this.#eventTsMin = eventTs
    if (eventTs > this.#eventTsMax) this.#eventTsMax = eventTs
    this.#sort.add(this.#asIs ? 0 : eventTs, { key: event.visitorId, value })
  }

  /** `length`: of the line, when its end is not kept. */
  #deadLetter(fault: Fault, line: number, bytes: Buffer, length: number | undefined): void {
    const { file } = this.#plan
    this.#deadLettered++
    this.#deadLetters[fault.reason] = (this.#deadLetters[fault.reason] ?? 0) + 1
    this.#sort.add(this.#asIs ? 0 : -Infinity, {
      key: `import:${file}:${line}`,
      value: bytes,
      headers: {
        "guardian-dead-letter": fault.reason,
        "guardian-detail": fault.detail,
        "guardian-file": file,
        "guardian-line": String(line),
        ...(length !== undefined && { "guardian-length": String(length) })
      }
    })
  }
}
