/**
 * The producer. kafkajs 2.2.4 keeps acknowledged records only when a send names one partition, one send per partition is in flight,
 * and the answer names that partition (measured). So each partition is a lane: what is appended queues there, and goes in sends
 * one after another. Behind a bound of bytes appends wait in line.
 */
import kafkajs from "kafkajs"
import type { Kafka, Message, Producer, RecordMetadata } from "kafkajs"
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import type { NewRecord, Receipt } from "../EventLog.ts"
import { partitionOf } from "../Partitioner.ts"
import { retry } from "./KafkaSettings.ts"
import { Patience } from "./Patience.ts"

const { CompressionTypes, Partitioners } = kafkajs

/** A send: more records in one were slower, and would wait together. */
const sendRecordsMax = 1_000
const sendBytesMax = 512 * 1024
/** Bytes that may wait for their sends, all lanes together; a single larger call passes alone. */
const bufferBytesMax = 32 * 1024 * 1024

export type Compression = "none" | "gzip" | "zstd"

export interface LanesOptions {
  readonly kafka: Kafka
  readonly topic: string
  readonly partitions: number
  readonly compression: Compression
  readonly tell: (trouble: string) => void
}

/** Why a call's records are not, or not all, in the log, and no waiting can heal it. */
export class AppendRefused extends Error {}

export type AppendResult = { readonly receipts: ReadonlyArray<Receipt> } | { readonly refused: AppendRefused }

/** One call of append: done when all its records have receipts. */
interface Call {
  readonly records: ReadonlyArray<NewRecord>
  readonly receipts: Array<Receipt>
  readonly done: (result: AppendResult) => void
  bytes: number
  missing: number
}

interface Queued {
  readonly call: Call
  readonly index: number
}

interface Lane {
  readonly partition: Partition
  readonly queue: Array<Queued>
  readonly patience: Patience
  sending: boolean
}

export class Lanes {
  readonly #options: LanesOptions
  readonly #lanes: ReadonlyArray<Lane>
  readonly #waiting: Array<Call> = []
  readonly #idle: Array<() => void> = []
  #bufferedBytes = 0
  #calls = 0
  #producer: Promise<Producer> | undefined
  #closed = false

  constructor(options: LanesOptions) {
    this.#options = options
    this.#lanes = Array.from({ length: options.partitions }, (_, partition) => ({
      partition: partition as Partition,
      queue: [],
      patience: new Patience(options.tell),
      sending: false
    }))
  }

  /** Calls back when all records are replicated, or cannot be. */
  append(records: ReadonlyArray<NewRecord>, done: (result: AppendResult) => void): void {
    let bytes = 0
    for (const { key, value } of records) bytes += key.length + value.length
    this.#calls++
    this.#waiting.push({ records, receipts: [], done, bytes, missing: records.length })
    this.#admit()
  }

  /** Done when nothing waits any more. */
  idle(): Promise<void> {
    return this.#calls === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Gives up what still waits. */
  async close(): Promise<void> {
    this.#closed = true
    const given = new AppendRefused("the event log was closed while its brokers could not be reached")
    const calls = new Set([...this.#waiting, ...this.#lanes.flatMap(({ queue }) => queue.map(({ call }) => call))])
    this.#waiting.length = 0
    for (const call of calls) this.#end(call, { refused: given })
    await this.#producer?.then((producer) => producer.disconnect()).catch(() => undefined)
  }

  #admit(): void {
    while (this.#waiting.length > 0 && (this.#bufferedBytes === 0 || this.#bufferedBytes < bufferBytesMax)) {
      const call = this.#waiting.shift()!
      this.#bufferedBytes += call.bytes
      for (const [index, { key }] of call.records.entries()) {
        this.#lanes[partitionOf(key, this.#options.partitions)]!.queue.push({ call, index })
      }
    }
    for (const lane of this.#lanes) {
      if (!lane.sending && lane.queue.length > 0) void this.#run(lane)
    }
  }

  /** Sends what a lane has until it is empty. */
  async #run(lane: Lane): Promise<void> {
    lane.sending = true
    // What is appended in the same turn of the loop goes together.
    await Promise.resolve()
    while (lane.queue.length > 0 && !this.#closed) {
      const batch = nextBatch(lane.queue)
      try {
        this.#acknowledge(lane, batch, await this.#send(lane, batch))
      } catch (error) {
        if (!isRefusal(error)) throw error
        for (const { call } of batch) this.#end(call, { refused: new AppendRefused((error as Error).message) })
      }
      lane.queue.splice(0, batch.length)
    }
    lane.sending = false
  }

  /** Until it is written. A producer that failed for good has lost its sequence: only a new one can go on. */
  async #send(lane: Lane, batch: ReadonlyArray<Queued>): Promise<RecordMetadata> {
    const { compression, topic } = this.#options
    const messages = batch.map(({ call, index }) => messageOf(call.records[index]!, lane.partition))
    let defects = 0
    for (;;) {
      const producer = this.#producer ??= this.#connect()
      try {
        const written = await (await producer).send({
          topic,
          acks: -1,
          compression: compressions[compression],
          messages
        })
        const [found] = written
        if (written.length === 1 && found!.partition === lane.partition && Number(found!.baseOffset) >= 0) {
          lane.patience.reset()
          return found!
        }
        throw new Error("the send ended without having been written")
      } catch (error) {
        if (isRefusal(error) || this.#closed) throw error
        if (isDefect(error) && ++defects >= defectsMax) {
          throw new AppendDefect(error.message, { cause: error })
        }
        if (this.#producer === producer) this.#producer = undefined
        void producer.then((old) => old.disconnect()).catch(() => undefined)
        await lane.patience.wait(`appending to partition ${lane.partition} of ${topic}`, error)
      }
    }
  }

  async #connect(): Promise<Producer> {
    const producer = this.#options.kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
      // The only thing that leads away from a frozen leader.
      metadataMaxAge: 3_000,
      // Must be said: kafkajs falls back to 5, also for an idempotent producer.
      retry: { ...retry, retries: Number.MAX_SAFE_INTEGER }
    })
    await producer.connect()
    return producer
  }

  #acknowledge(lane: Lane, batch: ReadonlyArray<Queued>, written: RecordMetadata): void {
    const base = Number(written.baseOffset)
    const appendedAt = Number(written.logAppendTime) as EpochMillis
    for (const [place, { call, index }] of batch.entries()) {
      call.receipts[index] = { partition: lane.partition, offset: base + place as Offset, appendedAt }
      if (--call.missing === 0) this.#end(call, { receipts: call.receipts })
    }
  }

  /** Once per call: a refused one may have other records under way. */
  #end(call: Call, result: AppendResult): void {
    if (call.bytes < 0) return
    this.#bufferedBytes = Math.max(0, this.#bufferedBytes - call.bytes)
    call.bytes = -1
    this.#calls--
    call.done(result)
    if (!this.#closed) this.#admit()
    if (this.#calls === 0) { for (const done of this.#idle.splice(0)) done() }
  }
}

const compressions = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, zstd: CompressionTypes.ZSTD } as const

const nextBatch = (queue: ReadonlyArray<Queued>): ReadonlyArray<Queued> => {
  let bytes = 0
  let count = 0
  for (; count < Math.min(sendRecordsMax, queue.length); count++) {
    const { call, index } = queue[count]!
    bytes += call.records[index]!.value.length
    if (count > 0 && bytes > sendBytesMax) break
  }
  return queue.slice(0, count)
}

const messageOf = ({ headers, key, value }: NewRecord, partition: Partition): Message => ({
  key,
  value: Buffer.from(value.buffer, value.byteOffset, value.byteLength),
  partition,
  ...(headers === undefined ? {} : { headers })
})

/** What a broker will never take from us as it is. */
const refusals = new Set([
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "TOPIC_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
  "SASL_AUTHENTICATION_FAILED"
])

/** Not the brokers' doing: trying again will not help. kafkajs has some that pass, so not at once. */
class AppendDefect extends Error {}

const defectsMax = 20

const isDefect = (error: unknown): error is Error =>
  error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError

const isRefusal = (error: unknown): boolean =>
  error instanceof AppendDefect ||
  error instanceof Error && (refusals.has((error as { readonly type?: string }).type ?? "") ||
      error.name === "KafkaJSSASLAuthenticationError")
