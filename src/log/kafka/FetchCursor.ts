/**
 * One reader's place in a partition, with a connection of its own: a partition at its end waits at the broker, and no other one
 * waits behind it. While the consumer works on the last records of a fetch, the next fetch is under way: one ahead, never more.
 * Whoever does not take reads nothing, so backpressure needs no group and can lose no membership.
 *
 * Every request has a time limit, after which the leader is asked for anew: a frozen broker is left as soon as another one leads.
 */
import type { Offset, Partition } from "../../domain/Identifiers.ts"
import type { LogBatch, PartitionRange } from "../EventLog.ts"
import type { BrokerConnection } from "./BrokerConnection.ts"
import type { ClusterView } from "./ClusterView.ts"
import { BrokerRefusal, codes, TopicRecreated } from "./ClusterView.ts"
import { requestTimeoutMs } from "./KafkaSettings.ts"
import { Patience } from "./Patience.ts"
import { FetchedRecords, UnreadableRecords } from "./RecordBatches.ts"
import { fetchRequest } from "./Requests.ts"

/** Bytes of a fetch as stored, so compressed. A batch that is larger comes whole. */
const fetchBytesMax = 1024 * 1024
/** How long the broker holds a fetch at the end of a partition, ms. */
const waitMs = 500

/** The offset is not in the log, and the broker was asked what is. */
export class NotHeld extends Error {
  readonly offset: number
  readonly range: PartitionRange

  constructor(offset: number, range: PartitionRange) {
    super("offset out of range")
    this.offset = offset
    this.range = range
  }
}

export class FetchCursor {
  readonly #view: ClusterView
  readonly #partition: Partition
  readonly #recordsMax: number
  readonly #patience: Patience
  #position: number
  #records: FetchedRecords | undefined
  #pending: Promise<void> | undefined
  #ahead: FetchedRecords | undefined
  #connection: BrokerConnection | undefined
  #closed = false

  constructor(
    view: ClusterView,
    partition: Partition,
    from: Offset,
    recordsMax: number,
    tell: (trouble: string) => void
  ) {
    this.#view = view
    this.#partition = partition
    this.#position = from
    this.#recordsMax = recordsMax
    this.#patience = new Patience(tell)
  }

  /** The next records, when they are here. */
  take(): LogBatch | undefined {
    for (;;) {
      if (this.#records === undefined) {
        this.#records = this.#ahead
        this.#ahead = undefined
        if (this.#records === undefined) return undefined
        this.#fetchAhead(this.#records.end!)
      }
      const batch = this.#records.take(this.#position, this.#recordsMax)
      if (batch !== undefined) {
        this.#position = batch.offset(batch.count - 1) + 1
        return batch
      }
      // Behind the last record there may be offsets without one.
      this.#position = Math.max(this.#position, this.#records.end!)
      this.#records = undefined
    }
  }

  /** Done when `take` has something; rejects when the log cannot be read from here by waiting. */
  async ready(): Promise<void> {
    if (this.#records !== undefined || this.#ahead !== undefined) return
    this.#fetchAhead(this.#position)
    await this.#pending
  }

  close(): void {
    this.#closed = true
    this.#connection?.close()
  }

  #fetchAhead(from: number): void {
    if (this.#pending !== undefined) return
    this.#pending = this.#fetch(from).then(
      (records) => {
        this.#ahead = records
        this.#pending = undefined
      },
      (error: unknown) => {
        this.#pending = undefined
        throw error
      }
    )
    // Told to whoever waits for it; when nobody does, the next one to wait asks again.
    this.#pending.catch(() => undefined)
  }

  /** Waits for records, through all outages. Ends without any when the cursor is closed. */
  async #fetch(from: number): Promise<FetchedRecords | undefined> {
    while (!this.#closed) {
      try {
        const connection = this.#connection ??= await this.#view.connectToLeader(this.#partition)
        const fetched = await connection.request(
          fetchRequest({
            topic: this.#view.topic,
            partition: this.#partition,
            from,
            bytesMax: fetchBytesMax,
            waitMs
          }),
          waitMs + requestTimeoutMs
        )
        if (fetched.errorCode === codes.outOfRange) await this.#outOfRange(from)
        if (fetched.errorCode !== 0) throw new BrokerRefusal("fetch", fetched.errorCode)
        this.#patience.reset()
        const records = await FetchedRecords.open(this.#partition, fetched.records)
        if (records.end !== undefined) return records
      } catch (error) {
        if (isFinal(error)) throw error
        if (!this.#closed) await this.#recover(error)
      }
    }
    return undefined
  }

  async #recover(error: unknown): Promise<void> {
    this.#connection?.close()
    this.#connection = undefined
    await this.#patience.wait(`reading partition ${this.#partition} of ${this.#view.topic}`, error)
    try {
      await this.#view.refresh()
    } catch (failure) {
      if (isFinal(failure)) throw failure
    }
  }

  /** A leader that was just elected may not know its own end yet: only when the offsets say so too is it true. */
  async #outOfRange(from: number): Promise<void> {
    const range = (await this.#view.ranges())[this.#partition]!
    if (from < range.start || from > range.end) throw new NotHeld(from, range)
  }
}

const isFinal = (error: unknown): boolean =>
  error instanceof NotHeld || error instanceof TopicRecreated || error instanceof UnreadableRecords ||
  (error instanceof BrokerRefusal && error.code === codes.unauthorized)
