/**
 * The bytes of a file, of standard input ("-") or of anything else that can be read once (a pipe), with gzip taken off when the first
 * two bytes say so, whatever the name.
 */
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import type { Readable } from "node:stream"
import { addAbortSignal, pipeline } from "node:stream"
import { constants, createGunzip, gunzipSync } from "node:zlib"

/** Bytes that are looked at, as stored, to find out what a file is. */
export const headBytesMax = 256 * 1024
const chunkBytes = 512 * 1024

export interface Head {
  readonly bytes: Buffer
  /** Whether that is all there is. */
  readonly entire: boolean
}

export class Source {
  readonly name: string
  /** Bytes as stored; undefined when nobody knows. */
  readonly bytesTotal: number | undefined
  /** Bytes as stored that have been read by `chunks`. */
  bytesRead = 0
  /** Standard input or a pipe: read once, so the head is kept. */
  readonly #once: Readable | undefined
  #held: Array<Buffer> = []

  private constructor({ name, bytesTotal, once }: { name: string; bytesTotal?: number; once?: Readable }) {
    this.name = name
    this.bytesTotal = bytesTotal
    this.#once = once
  }

  /** Rejects with Node's error when there is no such file. */
  static async open(name: string, standardInput: Readable): Promise<Source> {
    if (name === "-") return new Source({ name, once: standardInput })
    const stats = await stat(name)
    if (stats.isDirectory()) throw Object.assign(new Error("it is a folder"), { code: "EISDIR" })
    return stats.isFile() ?
      new Source({ name, bytesTotal: stats.size }) :
      new Source({ name, once: createReadStream(name, { highWaterMark: chunkBytes }) })
  }

  /** The first bytes, without gzip. Before `chunks`, once. */
  async head(): Promise<Head> {
    const stored: Array<Buffer> = []
    let bytes = 0
    const readable = this.#once ?? createReadStream(this.name, { end: headBytesMax - 1 })
    const iterator = readable.iterator({ destroyOnReturn: this.#once === undefined })
    let entire = false
    while (bytes < headBytesMax) {
      const next = await iterator.next()
      if (next.done === true) {
        entire = true
        break
      }
      const chunk = asBuffer(next.value)
      stored.push(chunk)
      bytes += chunk.length
    }
    await iterator.return?.()
    const all = Buffer.concat(stored)
    if (this.#once !== undefined && bytes > 0) this.#held = [all]
    return { bytes: isGzip(all) ? gunzipSync(all, { finishFlush: constants.Z_SYNC_FLUSH }) : all, entire }
  }

  /** All bytes, without gzip. Once, after `head`. Ends with an error when `signal` aborts. */
  async *chunks(signal: AbortSignal): AsyncGenerator<Buffer> {
    const stored = this.#stored(signal)
    const first = await stored.next()
    if (first.done === true) return
    const again = prepend(first.value, stored)
    if (!isGzip(first.value)) {
      yield* again
      return
    }
    const gunzip = createGunzip({ chunkSize: chunkBytes })
    // Errors of either side end the iteration of `gunzip`.
    pipeline(again, gunzip, () => {})
    for await (const chunk of gunzip) yield chunk as Buffer
  }

  async *#stored(signal: AbortSignal): AsyncGenerator<Buffer> {
    for (const chunk of this.#held) {
      this.bytesRead += chunk.length
      yield chunk
    }
    this.#held = []
    const readable = this.#once ?? createReadStream(this.name, { highWaterMark: chunkBytes })
    if (readable.readableEnded) return
    addAbortSignal(signal, readable)
    for await (const chunk of readable) {
      const bytes = asBuffer(chunk)
      this.bytesRead += bytes.length
      yield bytes
    }
  }
}

const asBuffer = (chunk: unknown): Buffer => typeof chunk === "string" ? Buffer.from(chunk) : chunk as Buffer

const prepend = async function*(first: Buffer, others: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield first
  yield* others
}

const isGzip = (bytes: Buffer): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b
