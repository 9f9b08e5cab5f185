/** Sorted runs of entries (`RunEntry.ts`), in memory or in a file, and their merge. */
import type { FileHandle } from "node:fs/promises"
import { open } from "node:fs/promises"
import type { NewRecord } from "../../log/EventLog.ts"
import { entryOrder, measureEntry, sizeBytes, writeEntry } from "./RunEntry.ts"

/** A source of entries in order. */
export interface Run {
  /** `waiting`: `fill` must come before `order` and `take`. */
  readonly state: "ready" | "waiting" | "done"
  /** Of the next entry. */
  readonly order: number
  /** The next entry: a view that stays valid. */
  take(): Buffer
  fill(): Promise<void>
}

/** Bytes of a piece of memory; a larger entry gets one of its own. */
const pieceBytes = 4 * 1_048_576
/** Memory that an entry costs beside its bytes. */
const entryOverhead = 32

/** Entries in memory, in pieces. Added first, then sorted, then taken. */
export class MemoryRun implements Run {
  readonly #pieces: Array<Buffer> = []
  #free = 0
  readonly #orders: Array<number> = []
  readonly #pieceOf: Array<number> = []
  readonly #startOf: Array<number> = []
  #sorted: Uint32Array | undefined
  #next = 0
  #bytes = 0

  get count(): number {
    return this.#orders.length
  }

  /** Memory used. */
  get bytes(): number {
    return this.#bytes
  }

  add(order: number, record: NewRecord): void {
    const parts = measureEntry(order, record)
    const { size } = parts
    let piece = this.#pieces.at(-1)
    if (piece === undefined || this.#free + size > piece.length) {
      piece = Buffer.allocUnsafeSlow(Math.max(pieceBytes, size))
      this.#pieces.push(piece)
      this.#free = 0
    }
    writeEntry(piece, this.#free, parts)
    this.#orders.push(order)
    this.#pieceOf.push(this.#pieces.length - 1)
    this.#startOf.push(this.#free)
    this.#free += size
    this.#bytes += size + entryOverhead
  }

  /** By order number; equals stay as they came. */
  sort(): void {
    const orders = this.#orders
    const sorted = Uint32Array.from(orders, (_, index) => index)
    let ordered = true
    for (let i = 1; i < orders.length && ordered; i++) ordered = orders[i - 1]! <= orders[i]!
    if (!ordered) {
      sorted.sort((one, other) => {
        const left = orders[one]!
        const right = orders[other]!
        return left < right ? -1 : left > right ? 1 : one - other
      })
    }
    this.#sorted = sorted
  }

  get state(): "ready" | "done" {
    return this.#next < this.#orders.length ? "ready" : "done"
  }

  get order(): number {
    return this.#orders[this.#sorted![this.#next]!]!
  }

  take(): Buffer {
    const index = this.#sorted![this.#next++]!
    const piece = this.#pieces[this.#pieceOf[index]!]!
    const start = this.#startOf[index]!
    return piece.subarray(start, start + piece.readUInt32LE(start))
  }

  async fill(): Promise<void> {}
}

/** Bytes read at a time from each run file. */
const readBytes = 256 * 1024

/** A run in a file. */
export class RunReader implements Run {
  readonly #handle: FileHandle
  #buffer = Buffer.alloc(0)
  #at = 0
  #ended = false

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  static async open(path: string): Promise<RunReader> {
    return new RunReader(await open(path, "r"))
  }

  get state(): "ready" | "waiting" | "done" {
    const left = this.#buffer.length - this.#at
    if (left >= sizeBytes && left >= this.#buffer.readUInt32LE(this.#at)) return "ready"
    return this.#ended && left === 0 ? "done" : "waiting"
  }

  get order(): number {
    return entryOrder(this.#buffer, this.#at)
  }

  take(): Buffer {
    const end = this.#at + this.#buffer.readUInt32LE(this.#at)
    const entry = this.#buffer.subarray(this.#at, end)
    this.#at = end
    return entry
  }

  /** Reads on into a new buffer: views of the old one are still in use. */
  async fill(): Promise<void> {
    const rest = this.#buffer.subarray(this.#at)
    const wanted = rest.length >= sizeBytes ? rest.readUInt32LE(0) : 0
    const buffer = Buffer.allocUnsafeSlow(Math.max(wanted, rest.length + readBytes))
    rest.copy(buffer)
    const { bytesRead } = await this.#handle.read(buffer, rest.length, buffer.length - rest.length)
    this.#buffer = buffer.subarray(0, rest.length + bytesRead)
    this.#at = 0
    this.#ended = bytesRead === 0
    if (this.#ended && rest.length > 0) throw new Error("a file of sorted records ends within a record")
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/** Bytes written at a time. */
const writeBytes = 1_048_576

/** Writes entries to a new file. */
export const writeRun = async (path: string, entries: AsyncIterable<ReadonlyArray<Buffer>>): Promise<void> => {
  const handle = await open(path, "wx")
  try {
    let waiting: Array<Buffer> = []
    let bytes = 0
    for await (const some of entries) {
      for (const entry of some) {
        waiting.push(entry)
        bytes += entry.length
      }
      if (bytes < writeBytes) continue
      await handle.writeFile(Buffer.concat(waiting, bytes))
      waiting = []
      bytes = 0
    }
    await handle.writeFile(Buffer.concat(waiting, bytes))
  } finally {
    await handle.close()
  }
}

/** Entries and bytes that the merge gives out at a time. */
const mergedEntriesMax = 1_000
const mergedBytesMax = 1_048_576

/** All entries in order; of equal ones those of the earlier run come first. */
export const mergeRuns = async function*(runs: ReadonlyArray<Run>): AsyncGenerator<ReadonlyArray<Buffer>> {
  const heap = new RunHeap()
  for (const [rank, run] of runs.entries()) {
    while (run.state === "waiting") await run.fill()
    if (run.state === "ready") heap.push(run, rank)
  }
  let entries: Array<Buffer> = []
  let bytes = 0
  while (heap.size > 0) {
    const run = heap.first
    const entry = run.take()
    if (entries.length > 0 && (entries.length >= mergedEntriesMax || bytes + entry.length > mergedBytesMax)) {
      yield entries
      entries = []
      bytes = 0
    }
    entries.push(entry)
    bytes += entry.length
    while (run.state === "waiting") await run.fill()
    heap.firstMoved()
  }
  if (entries.length > 0) yield entries
}

/** Runs by the order of their next entry, then by rank. */
class RunHeap {
  readonly #runs: Array<{ readonly run: Run; readonly rank: number; order: number }> = []

  get size(): number {
    return this.#runs.length
  }

  get first(): Run {
    return this.#runs[0]!.run
  }

  push(run: Run, rank: number): void {
    this.#runs.push({ run, rank, order: run.order })
    let at = this.#runs.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#before(at, parent)) break
      this.#swap(at, parent)
      at = parent
    }
  }

  /** The first run has another next entry, or none. */
  firstMoved(): void {
    const first = this.#runs[0]!
    if (first.run.state === "done") {
      const last = this.#runs.pop()!
      if (this.#runs.length === 0) return
      this.#runs[0] = last
    } else first.order = first.run.order
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.#runs.length) return
      if (child + 1 < this.#runs.length && this.#before(child + 1, child)) child++
      if (!this.#before(child, at)) return
      this.#swap(at, child)
      at = child
    }
  }

  #before(one: number, other: number): boolean {
    const left = this.#runs[one]!
    const right = this.#runs[other]!
    return left.order < right.order || (left.order === right.order && left.rank < right.rank)
  }

  #swap(one: number, other: number): void {
    const run = this.#runs[one]!
    this.#runs[one] = this.#runs[other]!
    this.#runs[other] = run
  }
}
