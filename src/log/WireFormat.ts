/**
 * The value of a record: Confluent's wire format (byte 0, the schema's id as four bytes, big end first, the Avro body;
 * docs.confluent.io, "Wire format"). Our own schema goes through `FastAvro`, every other through the library, which resolves
 * older and newer writers to the schema that this program reads.
 */
import type avro from "avsc"
import { Clock, Effect } from "effect"
import { isUtf8 } from "node:buffer"
import { avroSchema } from "../domain/ClickEvent.ts"
import type { ClickEvent } from "../domain/ClickEvent.ts"
import type { RecordSource } from "../domain/EventBatch.ts"
import { EventBatch, EventKind, noProperties, placeStride, Text } from "../domain/EventBatch.ts"
import type { EpochMillis, EventId, Offset, Partition, VisitorId } from "../domain/Identifiers.ts"
import type { Price } from "../domain/Money.ts"
import { hasShape } from "./AvroShape.ts"
import { FastAvroEncoder, FastAvroParser } from "./FastAvro.ts"
import { avroType } from "./SchemaRegistry.ts"
import type { AvroSchemaJson, RegistryError } from "./SchemaRegistry.ts"

/** Magic byte and schema id. */
export const headBytes = 5

/** Registered under this name (Confluent's TopicNameStrategy for a topic `clickstream`). */
export const eventSubject = "clickstream-value"

/** An id that the registry did not know is asked for again after this, ms. */
export const unknownIdMs = 5_000

/** Why a value is no event. Such a record is a dead letter. */
export class DecodeFailure {
  readonly reason: "undecodable" | "unknown_schema"
  readonly detail: string
  constructor(reason: "undecodable" | "unknown_schema", detail: string) {
    this.reason = reason
    this.detail = detail
  }
}

/** The event as a record's value, written with our schema, which has this id in the registry. */
export const encodeEvent = (schemaId: number, event: ClickEvent): Buffer => {
  if (schemaId !== headId) {
    head.writeUInt32BE(schemaId, 1)
    headId = schemaId
  }
  return encoder.encode(head, event)
}

const encoder = new FastAvroEncoder()
const head = Buffer.alloc(headBytes)
let headId = 0

/** What decodes the bodies of one schema id. */
interface Codec {
  /** True when the writer's schema is ours. */
  readonly own: boolean
  readonly writer: avro.Type
  readonly resolver: avro.Resolver | undefined
}

/** What a batch of records is to the decoder; a `LogBatch` is one. */
export interface EncodedBatch extends RecordSource {
  readonly partition: Partition
  readonly count: number
  readonly bytes: Buffer
  offset(index: number): Offset
  appendedAt(index: number): EpochMillis
  valueStart(index: number): number
  valueEnd(index: number): number
  value(index: number): Buffer
}

/**
 * Decodes record values. `lookup` is the registry's `byId`; an id is asked for once, because its schema never changes.
 *
 * `decodeBatch` is what a pipeline uses; `decodeKnown` is its synchronous part, for ids that are learned.
 */
export class EventDecoder {
  readonly #lookup: (id: number) => Effect.Effect<AvroSchemaJson | undefined, RegistryError>
  readonly #fast = new FastAvroParser()
  readonly #codecs = new Map<number, Codec | DecodeFailure>()
  /** When the registry last said that it does not know an id. */
  readonly #unknown = new Map<number, number>()
  /** The last id whose schema is ours: spares the map. */
  #ownId = -1

  constructor(lookup: (id: number) => Effect.Effect<AvroSchemaJson | undefined, RegistryError>) {
    this.#lookup = lookup
  }

  /** The records of a batch; asks the registry for schemas that are not known yet, and fails only with it. */
  decodeBatch(batch: EncodedBatch): Effect.Effect<EventBatch, RegistryError> {
    return Effect.suspend(() => {
      const decoded = this.decodeKnown(batch)
      const missed = new Set<number>()
      for (const [index, { reason }] of decoded.failures) {
        if (reason === "unknown_schema") missed.add(schemaIdAt(batch.bytes, batch.valueStart(index)))
      }
      if (missed.size === 0) return Effect.succeed(decoded)
      return Effect.map(
        Effect.forEach(missed, (id) => this.learn(id)),
        (learned) => learned.includes(true) ? this.decodeKnown(batch) : decoded
      )
    })
  }

  /** The same without asking: a schema id that was never learned reads as unknown. */
  decodeKnown(batch: EncodedBatch): EventBatch {
    const events = new EventBatch(batch.partition, batch.count, batch.bytes, batch)
    /** Events that did not come in our own encoding, or hold text that is no UTF-8: they get bytes of ours. */
    const written: Array<readonly [index: number, event: ClickEvent]> = []
    for (let i = 0; i < batch.count; i++) {
      events.offsets[i] = batch.offset(i)
      events.appendedAt[i] = batch.appendedAt(i)
      const start = batch.valueStart(i)
      const end = batch.valueEnd(i)
      if (end - start < headBytes || events.bytes[start] !== 0) {
        events.fail(i, notFramed)
        continue
      }
      const id = schemaIdAt(events.bytes, start)
      if (id === this.#ownId && this.#fast.parse(events, i, start + headBytes, end)) {
        if (hasPlainIds(events, i) || hasUtf8Ids(events, i)) this.#classify(events, i)
        else {
          events.kinds[i] = EventKind.other
          written.push([i, events.event(i) as ClickEvent])
        }
        continue
      }
      const decoded = this.#decodeSlowly(id, batch.value(i))
      if (decoded instanceof DecodeFailure) events.fail(i, decoded)
      else written.push([i, decoded])
    }
    if (written.length > 0) this.#rewrite(events, written)
    return events
  }

  #rewrite(events: EventBatch, written: ReadonlyArray<readonly [number, ClickEvent]>): void {
    const bodies = written.map(([, event]) => encoder.encode(noHead, event))
    let start = events.extend(Buffer.concat(bodies))
    for (const [at, [index]] of written.entries()) {
      const end = start + bodies[at]!.length
      if (!this.#fast.parse(events, index, start, end)) {
        throw new Error("an event that was just encoded does not decode")
      }
      this.#classify(events, index)
      start = end
    }
  }

  #classify(events: EventBatch, index: number): void {
    events.kinds[index] = kindOf(events, index)
  }

  #decodeSlowly(id: number, bytes: Buffer): ClickEvent | DecodeFailure {
    const codec = this.#codecs.get(id)
    if (codec === undefined) return new DecodeFailure("unknown_schema", `the registry has no schema with id ${id}`)
    if (codec instanceof DecodeFailure) return codec
    if (codec.own) this.#ownId = id
    return decodeSlowly(codec, bytes)
  }

  /** Asks the registry for an id's schema, unless it is known or was asked for a moment ago. True: it is known now. */
  learn(id: number): Effect.Effect<boolean, RegistryError> {
    return Effect.gen({ self: this }, function*() {
      if (this.#codecs.has(id)) return true
      const now = yield* Clock.currentTimeMillis
      const asked = this.#unknown.get(id)
      if (asked !== undefined && now < asked + unknownIdMs) return false
      const schema = yield* this.#lookup(id)
      if (schema === undefined) {
        // Junk has random ids: forget the oldest answers first.
        if (this.#unknown.size >= unknownIdsMax) this.#unknown.delete(this.#unknown.keys().next().value!)
        this.#unknown.delete(id)
        this.#unknown.set(id, now)
        return false
      }
      this.#codecs.set(id, codecOf(id, schema))
      this.#unknown.delete(id)
      return true
    })
  }
}

/** Ids remembered as unknown. */
const unknownIdsMax = 1_000

const schemaIdAt = (bytes: Buffer, start: number): number =>
  bytes[start + 1]! * 0x1000000 + (bytes[start + 2]! << 16 | bytes[start + 3]! << 8 | bytes[start + 4]!)

const noHead = new Uint8Array(0)

/** True when all ids are ASCII. Two lie side by side, with a length between them that is below 128 where they are short. */
const hasPlainIds = (events: EventBatch, index: number): boolean => {
  const { bytes, places, view } = events
  const at = index * placeStride
  let start = places[at + Text.eventId]!
  const end = places[at + Text.visitorId]! + places[at + Text.visitorId + 1]!
  let every = 0
  for (; start + 4 <= end; start += 4) every |= view.getInt32(start, true)
  for (; start < end; start++) every |= bytes[start]!
  const item = places[at + Text.itemId]!
  const itemEnd = item + places[at + Text.itemId + 1]!
  for (start = item; start < itemEnd; start++) every |= bytes[start]!
  return (every & 0x80808080) === 0
}

/** Ids name things: two texts that decode to the same string must be the same bytes. */
const hasUtf8Ids = (events: EventBatch, index: number): boolean => {
  const at = index * placeStride
  return [Text.eventId, Text.visitorId, Text.itemId].every((text) => {
    const start = events.places[at + text]!
    return isUtf8(events.bytes.subarray(start, start + events.places[at + text + 1]!))
  })
}

const kindOf = (events: EventBatch, index: number): number => {
  const at = index * placeStride + Text.eventType
  const start = events.places[at]!
  switch (events.places[at + 1]) {
    case 4:
      return isWord(events.bytes, start, viewWord) ? EventKind.click : EventKind.other
    case 5:
      return isWord(events.bytes, start, clickWord) ? EventKind.click : EventKind.other
    case 8:
      return isWord(events.bytes, start, purchaseWord) ? EventKind.purchase : EventKind.other
    case 11:
      return isWord(events.bytes, start, cartWord) ? EventKind.cart : EventKind.other
    default:
      return EventKind.other
  }
}

const viewWord = Buffer.from("view")
const clickWord = Buffer.from("click")
const purchaseWord = Buffer.from("purchase")
const cartWord = Buffer.from("add_to_cart")

const isWord = (bytes: Buffer, start: number, word: Buffer): boolean => {
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false
  return true
}

const notFramed = new DecodeFailure("undecodable", "the value does not begin with byte 0 and a schema id")

const reader = avroType(avroSchema)
/** Names and types without attributes: what decides how bytes are read. */
const readerForm = JSON.stringify(reader.schema())

const codecOf = (id: number, schema: AvroSchemaJson): Codec | DecodeFailure => {
  try {
    const writer = avroType(schema)
    const own = JSON.stringify(writer.schema()) === readerForm
    return { own, writer, resolver: own ? undefined : reader.createResolver(writer) }
  } catch (error) {
    return new DecodeFailure("undecodable", `schema ${id} cannot be read as an event: ${(error as Error).message}`)
  }
}

const decodeSlowly = (codec: Codec, bytes: Buffer): ClickEvent | DecodeFailure => {
  try {
    if (!hasShape(codec.writer, bytes, headBytes)) {
      return new DecodeFailure("undecodable", "the body does not have the shape that its schema says")
    }
    const { offset, value } = reader.decode(bytes, headBytes, codec.resolver) as { offset: number; value: RawEvent }
    if (offset !== bytes.length) {
      return new DecodeFailure("undecodable", "the body is longer or shorter than its schema says")
    }
    return toEvent(value)
  } catch (error) {
    return new DecodeFailure("undecodable", (error as Error).message)
  }
}

/** The library's record: fields named as in the schema. */
interface RawEvent {
  readonly event_id: string
  readonly visitor_id: string
  readonly event_ts: number
  readonly event_type: string
  readonly item_id: string
  readonly category: string
  readonly price: number
  readonly currency: string
  readonly quantity: number
  readonly url: string
  readonly referrer: string
  readonly user_agent: string
  readonly properties: Readonly<Record<string, string>>
  readonly truncated: boolean
}

const toEvent = (raw: RawEvent): ClickEvent => ({
  eventId: raw.event_id as EventId,
  visitorId: raw.visitor_id as VisitorId,
  eventTs: raw.event_ts as EpochMillis,
  eventType: raw.event_type,
  itemId: raw.item_id,
  category: raw.category,
  price: raw.price as Price,
  currency: raw.currency,
  quantity: raw.quantity,
  url: raw.url,
  referrer: raw.referrer,
  userAgent: raw.user_agent,
  properties: Object.keys(raw.properties).length === 0 ? noProperties : raw.properties,
  truncated: raw.truncated
})
