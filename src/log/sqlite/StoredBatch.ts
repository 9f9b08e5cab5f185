/**
 * A batch as the reading thread sent it: one run of bytes and an index into it.
 */
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import type { LogBatch } from "../EventLog.ts"
import { indexStride } from "./Frame.ts"
import type { ReadRecords } from "./Protocol.ts"

export class StoredBatch implements LogBatch {
  readonly partition: Partition
  readonly count: number
  readonly bytes: Buffer
  readonly #base: number
  readonly #index: Uint32Array
  readonly #appendedAt: Float64Array

  constructor(partition: Partition, records: ReadRecords) {
    this.partition = partition
    this.count = records.count
    this.#base = records.base
    this.bytes = Buffer.from(records.bytes)
    this.#index = records.index
    this.#appendedAt = records.appendedAt
  }

  offset(index: number): Offset {
    return this.#base + index as Offset
  }

  appendedAt(index: number): EpochMillis {
    return this.#appendedAt[index]! as EpochMillis
  }

  key(index: number): Buffer {
    const at = index * indexStride
    return this.bytes.subarray(this.#index[at], this.#index[at + 1])
  }

  headers(index: number): Readonly<Record<string, string>> | undefined {
    const at = index * indexStride
    const start = this.#index[at + 1]!
    const end = this.#index[at + 2]!
    return start === end ? undefined : JSON.parse(this.bytes.toString("utf8", start, end)) as Record<string, string>
  }

  valueStart(index: number): number {
    return this.#index[index * indexStride + 2]!
  }

  valueEnd(index: number): number {
    return this.#index[index * indexStride + 3]!
  }

  value(index: number): Buffer {
    return this.bytes.subarray(this.valueStart(index), this.valueEnd(index))
  }
}
