/**
 * A run of records of one partition after decoding, by columns: what the core steps through. Texts stay bytes, as the log has
 * them, until somebody needs one: most go to the warehouse as they came. An object per event, with its strings, cost more than
 * everything else that happens to it.
 */
import type { ClickEvent } from "./ClickEvent.ts"
import type { EpochMillis, EventId, Offset, Partition, VisitorId } from "./Identifiers.ts"
import type { Price } from "./Money.ts"
import { readString } from "./NativeText.ts"
import type { DecodeFailure } from "./Outcome.ts"

/** What the core must tell apart: `failed` is no event, `control` only carries time. */
export const EventKind = { failed: 0, click: 1, cart: 2, purchase: 3, other: 4, control: 5 } as const

/** The texts of an event: the place of each one's (start, length) within a stride of `places`. */
export const Text = {
  eventId: 0,
  visitorId: 2,
  eventType: 4,
  itemId: 6,
  category: 8,
  currency: 10,
  url: 12,
  referrer: 14,
  userAgent: 16
} as const
export type Text = typeof Text[keyof typeof Text]

/** Numbers per event in `places`. */
export const placeStride = 18

/** The properties of an event that has none: one object for all. */
export const noProperties: Readonly<Record<string, string>> = Object.freeze({})

/** Instead of a reason why it is none: the record is a control record. */
export const controlReason = "control"

/** The record as stored, for those that are kept whole: late, rejected, dead-lettered. */
export interface RecordSource {
  value(index: number): Uint8Array
  key(index: number): Uint8Array
  headers(index: number): Readonly<Record<string, string>> | undefined
}

export class EventBatch {
  readonly partition: Partition
  readonly count: number
  readonly source: RecordSource
  readonly offsets: Float64Array
  readonly appendedAt: Float64Array
  /** Of `EventKind`. */
  readonly kinds: Uint8Array
  readonly eventTs: Float64Array
  readonly price: Float64Array
  readonly quantity: Float64Array
  readonly truncated: Uint8Array
  /** Start and length in `bytes` of each text, `placeStride` numbers an event. */
  readonly places: Int32Array
  /** Of the events that have some, by index. */
  readonly properties = new Map<number, Readonly<Record<string, string>>>()
  /** Why a record is no event, by index. */
  readonly failures = new Map<number, DecodeFailure>()
  #bytes: Buffer
  #view: DataView
  #memory: ArrayBuffer

  /** An empty batch, to be filled by a decoder. Texts will lie in `bytes`. */
  constructor(partition: Partition, count: number, bytes: Buffer, source: RecordSource) {
    this.partition = partition
    this.count = count
    this.source = source
    // One piece of memory for all columns.
    this.#memory = takeMemory(count * bytesPerEvent)
    const memory = this.#memory
    const numbers = (column: number): Float64Array => new Float64Array(memory, column * 8 * count, count)
    this.offsets = numbers(0)
    this.appendedAt = numbers(1)
    this.eventTs = numbers(2)
    this.price = numbers(3)
    this.quantity = numbers(4)
    this.places = new Int32Array(memory, 5 * 8 * count, placeStride * count)
    this.kinds = new Uint8Array(memory, (5 * 8 + placeStride * 4) * count, count)
    this.truncated = new Uint8Array(memory, (5 * 8 + placeStride * 4 + 1) * count, count)
    this.kinds.fill(EventKind.failed)
    this.places.fill(0)
    this.#bytes = bytes
    this.#view = viewOf(bytes)
  }

  /** What `places` points into. */
  get bytes(): Buffer {
    return this.#bytes
  }

  /** Over `bytes`, beginning where it begins. */
  get view(): DataView {
    return this.#view
  }

  /** More bytes after those that are there, for events that were not decoded from the record's own; returns where they begin. */
  extend(bytes: Uint8Array): number {
    const start = this.#bytes.length
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    this.#view = viewOf(this.#bytes)
    return start
  }

  /** Says why a record is no event. What a decoder has noted of it no longer holds. */
  fail(index: number, why: DecodeFailure): void {
    this.places.fill(0, index * placeStride, (index + 1) * placeStride)
    this.properties.delete(index)
    this.kinds[index] = EventKind.failed
    this.failures.set(index, why)
  }

  /** Makes a record that did not decode one that only says that the watermark is at least `watermark`. */
  control(index: number, watermark: number, detail: string): void {
    this.kinds[index] = EventKind.control
    this.eventTs[index] = watermark
    this.failures.set(index, { reason: controlReason, detail })
  }

  /** A text as a string of its own. */
  text(index: number, text: Text): string {
    const at = index * placeStride + text
    return readString(this.#bytes, this.places[at]!, this.places[at + 1]!)
  }

  /** The event as an object, or why there is none. For the few that leave the fast path. */
  event(index: number): ClickEvent | DecodeFailure {
    const failure = this.failures.get(index)
    if (failure !== undefined) return failure
    return {
      eventId: this.text(index, Text.eventId) as EventId,
      visitorId: this.text(index, Text.visitorId) as VisitorId,
      eventTs: this.eventTs[index]! as EpochMillis,
      eventType: this.text(index, Text.eventType),
      itemId: this.text(index, Text.itemId),
      category: this.text(index, Text.category),
      price: this.price[index]! as Price,
      currency: this.text(index, Text.currency),
      quantity: this.quantity[index]!,
      url: this.text(index, Text.url),
      referrer: this.text(index, Text.referrer),
      userAgent: this.text(index, Text.userAgent),
      properties: this.properties.get(index) ?? noProperties,
      truncated: this.truncated[index] === 1
    }
  }

  /** Each record with its place: for those who look at events one by one. */
  *records(): Iterable<{
    readonly index: number
    readonly offset: Offset
    readonly appendedAt: EpochMillis
    readonly content: ClickEvent | DecodeFailure
  }> {
    for (let index = 0; index < this.count; index++) {
      yield {
        index,
        offset: this.offsets[index]! as Offset,
        appendedAt: this.appendedAt[index]! as EpochMillis,
        content: this.event(index)
      }
    }
  }

  /** Gives the memory of the columns to the next batch. The batch must not be used afterwards. */
  release(): void {
    if (spareMemory.length < spareMemoryMax) spareMemory.push(this.#memory)
    this.#memory = noMemory
  }
}

export const isEvent = (content: ClickEvent | DecodeFailure): content is ClickEvent => "visitorId" in content

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

const bytesPerEvent = 5 * 8 + placeStride * 4 + 2

/** Memory of batches that are done: without it the collector would run for these alone. */
const spareMemory: Array<ArrayBuffer> = []
const spareMemoryMax = 32
const noMemory = new ArrayBuffer(0)
const memoryBytesMin = 1 << 14

const takeMemory = (bytes: number): ArrayBuffer => {
  for (let i = spareMemory.length - 1; i >= 0; i--) {
    if (spareMemory[i]!.byteLength >= bytes) return spareMemory.splice(i, 1)[0]!
  }
  // Larger than asked for, so that batches of about the same size can have it later.
  spareMemory.length = 0
  return new ArrayBuffer(Math.max(memoryBytesMin, 2 ** Math.ceil(Math.log2(bytes))))
}
