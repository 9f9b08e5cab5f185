/** What every format's reader is: it takes physical lines and tells a sink what they are. */
import type { Row } from "./EventBuilder.ts"
import type { Fault } from "./Fault.ts"

/** Each physical line ends in exactly one of these calls, alone or with the other lines of its record. */
export interface RecordSink {
  /** A record; JSON with a list makes several rows of one line. `bytes` are its original bytes, without the last line's end. */
  record(rows: ReadonlyArray<Row>, line: number, bytes: Buffer): void
  fault(fault: Fault, line: number, bytes: Buffer): void
  /** A line without anything on it, outside of a record. */
  blank(): void
  header(): void
}

export interface RecordReader {
  /** A physical line of at most `recordBytesMax` bytes, without "\n"; `bytes` may be reused after the call. */
  line(bytes: Buffer, number: number): void
  /** No line continues the last one: the input is over, or a line was too long to look at. */
  end(): void
}

/** Without "\r" at the end: what is kept of a line, and what its text is. */
export const trimEnd = (bytes: Buffer): Buffer => bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes

/** No more than blanks. */
export const isBlank = (text: string): boolean => text.length < 64 && text.trim() === ""
