/**
 * A stable external merge sort of log records by a number (event time). Records are laid down as bytes in memory; when that is full,
 * they are written to a file as a sorted run; at the end the runs are merged. Memory stays within `memoryBytesMax` plus a buffer for
 * each run, and the files live in one folder that `close` removes.
 *
 * Equal numbers keep the order in which they came: that is how the order of a file is kept, with one number for all.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { join } from "node:path"
import type { NewRecord } from "../../log/EventLog.ts"
import { decodeEntry } from "./RunEntry.ts"
import type { Run } from "./Runs.ts"
import { MemoryRun, mergeRuns, RunReader, writeRun } from "./Runs.ts"

export interface RecordSortOptions {
  /** Folder in which a folder for runs is made, when memory does not suffice. */
  readonly temporaryFolder: string
  /** Bytes of records in memory before they are spilled. */
  readonly memoryBytesMax?: number
  /** Records in memory before they are spilled. */
  readonly recordsMax?: number
}

export const sortMemoryBytesMax = 256 * 1_048_576
export const sortRecordsMax = 500_000
/** Runs that are merged at once; when there are as many files, they become one. */
const runsMax = 128
/** Records and bytes of a batch that is given out; a single larger record is a batch of its own. */
export const batchRecordsMax = 5_000
export const batchBytesMax = 8 * 1_048_576

export class RecordSort {
  readonly #temporaryFolder: string
  readonly #memoryBytesMax: number
  readonly #recordsMax: number
  #memory = new MemoryRun()
  #folder: string | undefined
  #files: Array<string> = []
  #filesMade = 0
  readonly #readers = new Set<RunReader>()

  constructor(
    { temporaryFolder, memoryBytesMax = sortMemoryBytesMax, recordsMax = sortRecordsMax }: RecordSortOptions
  ) {
    this.#temporaryFolder = temporaryFolder
    this.#memoryBytesMax = memoryBytesMax
    this.#recordsMax = recordsMax
  }

  /** Runs on disk. */
  get spilled(): number {
    return this.#files.length
  }

  /** `record`'s bytes are copied. */
  add(order: number, record: NewRecord): void {
    this.#memory.add(order, record)
  }

  /** Whether `spill` is due before more is added. */
  get full(): boolean {
    return this.#memory.bytes >= this.#memoryBytesMax || this.#memory.count >= this.#recordsMax
  }

  /** Writes what is in memory to a file. */
  async spill(): Promise<void> {
    const run = this.#memory
    this.#memory = new MemoryRun()
    run.sort()
    this.#files.push(await this.#write([run]))
    if (this.#files.length >= runsMax) await this.#mergeFiles()
  }

  /** All records in order, in batches. Once. Nothing may be added afterwards. */
  async *batches(): AsyncGenerator<ReadonlyArray<NewRecord>> {
    this.#memory.sort()
    const files = await this.#openFiles()
    let batch: Array<NewRecord> = []
    let bytes = 0
    for await (const entries of mergeRuns([...files, this.#memory])) {
      for (const entry of entries) {
        if (batch.length > 0 && (batch.length >= batchRecordsMax || bytes + entry.length > batchBytesMax)) {
          yield batch
          batch = []
          bytes = 0
        }
        batch.push(decodeEntry(entry))
        bytes += entry.length
      }
    }
    if (batch.length > 0) yield batch
  }

  /** Frees memory, files and the folder; safe to call at any time and again. */
  async close(): Promise<void> {
    this.#memory = new MemoryRun()
    for (const reader of this.#readers) await reader.close()
    this.#readers.clear()
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }

  async #write(runs: ReadonlyArray<Run>): Promise<string> {
    this.#folder ??= await mkdtemp(join(this.#temporaryFolder, "import-"))
    const path = join(this.#folder, `run-${this.#filesMade++}`)
    await writeRun(path, mergeRuns(runs))
    return path
  }

  async #openFiles(): Promise<ReadonlyArray<RunReader>> {
    const readers: Array<RunReader> = []
    for (const file of this.#files) {
      const reader = await RunReader.open(file)
      this.#readers.add(reader)
      readers.push(reader)
    }
    return readers
  }

  /** Makes one run of all: they are older than anything in memory, so the order of equals holds. */
  async #mergeFiles(): Promise<void> {
    const readers = await this.#openFiles()
    const merged = await this.#write(readers)
    for (const reader of readers) {
      await reader.close()
      this.#readers.delete(reader)
    }
    for (const file of this.#files) await rm(file)
    this.#files = [merged]
  }
}
