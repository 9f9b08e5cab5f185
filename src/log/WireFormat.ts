/**
 * The value of a record: Confluent's wire format (byte 0, the schema's id as four bytes, big end first, the Avro body;
 * docs.confluent.io, "Wire format"). Our own schema goes through `FastAvro`, every other through the library, which resolves
 * older and newer writers to the schema that this program reads.
 */
import type avro from "avsc"
import { Clock, Effect } from "effect"
import { avroSchema } from "../domain/ClickEvent.ts"
import type { ClickEvent } from "../domain/ClickEvent.ts"
import type { EpochMillis, EventId, VisitorId } from "../domain/Identifiers.ts"
import type { Price } from "../domain/Money.ts"
import { hasShape } from "./AvroShape.ts"
import { FastAvroDecoder, FastAvroEncoder, noProperties } from "./FastAvro.ts"
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
  readonly message: string
  constructor(reason: "undecodable" | "unknown_schema", message: string) {
    this.reason = reason
    this.message = message
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

/**
 * Decodes record values. `lookup` is the registry's `byId`; an id is asked for once, because its schema never changes.
 *
 * `decodeBatch` is what a pipeline uses; `decode` is its synchronous part, for ids that are learned.
 */
export class EventDecoder {
  readonly #lookup: (id: number) => Effect.Effect<AvroSchemaJson | undefined, RegistryError>
  readonly #fast = new FastAvroDecoder()
  readonly #codecs = new Map<number, Codec | DecodeFailure>()
  /** When the registry last said that it does not know an id. */
  readonly #unknown = new Map<number, number>()
  /** The last id whose schema is ours: spares the map. */
  #ownId = -1

  constructor(lookup: (id: number) => Effect.Effect<AvroSchemaJson | undefined, RegistryError>) {
    this.#lookup = lookup
  }

  /** The event, or why there is none. An id that was never learned reads as unknown: `learn` it and decode again. */
  decode(bytes: Buffer): ClickEvent | DecodeFailure {
    if (bytes.length < headBytes || bytes[0] !== 0) return notFramed
    const id = schemaIdOf(bytes)
    if (id === this.#ownId) {
      const event = this.#fast.decode(bytes, headBytes)
      if (event !== undefined) return event
    }
    const codec = this.#codecs.get(id)
    if (codec === undefined) return new DecodeFailure("unknown_schema", `the registry has no schema with id ${id}`)
    if (codec instanceof DecodeFailure) return codec
    if (codec.own && id !== this.#ownId) {
      this.#ownId = id
      return this.decode(bytes)
    }
    return decodeSlowly(codec, bytes)
  }

  /** The records of a batch, in order; asks the registry for schemas that are not known yet, and fails only with it. */
  decodeBatch(
    batch: { readonly count: number; value(index: number): Buffer }
  ): Effect.Effect<ReadonlyArray<ClickEvent | DecodeFailure>, RegistryError> {
    return Effect.suspend(() => {
      const decoded = this.#decodeAll(batch)
      const missed = new Set<number>()
      for (let i = 0; i < decoded.length; i++) {
        const one = decoded[i]!
        if (one instanceof DecodeFailure && one.reason === "unknown_schema") missed.add(schemaIdOf(batch.value(i)))
      }
      if (missed.size === 0) return Effect.succeed(decoded)
      return Effect.map(
        Effect.forEach(missed, (id) => this.learn(id)),
        (learned) => learned.includes(true) ? this.#decodeAll(batch) : decoded
      )
    })
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

  #decodeAll(
    batch: { readonly count: number; value(index: number): Buffer }
  ): ReadonlyArray<ClickEvent | DecodeFailure> {
    const decoded: Array<ClickEvent | DecodeFailure> = []
    for (let i = 0; i < batch.count; i++) decoded.push(this.decode(batch.value(i)))
    return decoded
  }
}

/** Ids remembered as unknown. */
const unknownIdsMax = 1_000

const schemaIdOf = (bytes: Buffer): number => bytes[1]! * 0x1000000 + (bytes[2]! << 16 | bytes[3]! << 8 | bytes[4]!)

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
