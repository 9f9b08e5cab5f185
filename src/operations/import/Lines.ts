/**
 * Cuts a stream of bytes into physical lines. A line ends with "\n", which is not part of it; a "\r" before that is. The last line
 * needs no end.
 */

/** Bytes that are kept of one line; of a longer one the beginning is kept and the true length told. */
export const lineBytesMax = 64 * 1_048_576

/** `bytes` is a view that is valid during the call only; `length` is the true length when the line was cut. */
export type OnLine = (bytes: Buffer, number: number, length: number) => void

export class Lines {
  readonly #onLine: OnLine
  /** The line that has begun: its pieces, up to `lineBytesMax` bytes together. */
  #pieces: Array<Buffer> = []
  #kept = 0
  #length = 0
  #number = 0

  constructor(onLine: OnLine) {
    this.#onLine = onLine
  }

  /** Lines so far. */
  get count(): number {
    return this.#number
  }

  push(chunk: Buffer): void {
    let from = 0
    let end = chunk.indexOf(10)
    if (end >= 0 && this.#length > 0) {
      this.#keep(chunk.subarray(0, end))
      this.#finish()
      from = end + 1
      end = chunk.indexOf(10, from)
    }
    while (end >= 0) {
      const length = end - from
      this.#onLine(chunk.subarray(from, Math.min(end, from + lineBytesMax)), ++this.#number, length)
      from = end + 1
      end = chunk.indexOf(10, from)
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from))
  }

  /** The input is over. */
  end(): void {
    if (this.#length > 0) this.#finish()
  }

  #keep(piece: Buffer): void {
    this.#length += piece.length
    const room = lineBytesMax - this.#kept
    if (room === 0) return
    const kept = piece.subarray(0, room)
    this.#pieces.push(kept)
    this.#kept += kept.length
  }

  #finish(): void {
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#kept)
    const length = this.#length
    this.#pieces = []
    this.#kept = 0
    this.#length = 0
    this.#onLine(bytes, ++this.#number, length)
  }
}
