/**
 * One reader's place in a partition. While the consumer works on a batch, the next one is already on its way when there is
 * one: at most one batch ahead, never more.
 */
import type { Offset, Partition } from "../../domain/Identifiers.ts"
import type { ReaderRequest, ReadRecords } from "./Protocol.ts"
import type { Result, WorkerClient } from "./WorkerClient.ts"

export class ReadCursor {
  readonly #reader: WorkerClient<ReaderRequest>
  readonly #partition: Partition
  readonly #recordsMax: number
  #position: number
  #request: number | undefined
  #arrived: Result<ReadRecords> | undefined
  #waiting: ((result: Result<ReadRecords>) => void) | undefined

  constructor(reader: WorkerClient<ReaderRequest>, partition: Partition, from: Offset, recordsMax: number) {
    this.#reader = reader
    this.#partition = partition
    this.#position = from
    this.#recordsMax = recordsMax
  }

  /** The next records, or why there are none; waits at the end. The returned function stops waiting and loses nothing. */
  next(done: (result: Result<ReadRecords>) => void): () => void {
    this.#waiting = done
    this.#fetch()
    this.#deliver()
    return () => {
      this.#waiting = undefined
    }
  }

  /** Ends the read. */
  abandon(): void {
    if (this.#request === undefined) return
    this.#reader.forget(this.#request)
    this.#reader.notify({ kind: "cancel", request: this.#request })
  }

  #fetch(): void {
    if (this.#request !== undefined || this.#arrived !== undefined) return
    const request = {
      kind: "read",
      partition: this.#partition,
      from: this.#position,
      recordsMax: this.#recordsMax
    } as const
    this.#request = this.#reader.send<ReadRecords>(request, (result) => {
      this.#request = undefined
      this.#arrived = result
      this.#deliver()
    })
  }

  #deliver(): void {
    const done = this.#waiting
    const result = this.#arrived
    if (done === undefined || result === undefined) return
    this.#waiting = undefined
    this.#arrived = undefined
    if (result.fault === undefined) {
      this.#position = result.value.base + result.value.count
      if (result.value.more) this.#fetch()
    }
    done(result)
  }
}
