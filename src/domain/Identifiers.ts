/**
 * Branded identifiers. A brand costs nothing at run time; it keeps an offset from being passed as a time.
 */
import { Schema } from "effect"
import { hash } from "node:crypto"

/** Half of a surrogate pair has no bytes of its own in UTF-8: ids that differ by one would be the same in the log. */
const Id = Schema.String.check(
  Schema.isMinLength(1),
  Schema.isMaxLength(128),
  Schema.makeFilter((text: string) => text.isWellFormed(), { expected: "text without halves of surrogate pairs" })
)

/** Who did it; the log's partition key. 1 to 128 UTF-16 units. */
export const VisitorId = Id.pipe(Schema.brand("VisitorId"))
export type VisitorId = typeof VisitorId.Type

/** The sender's idempotency key, unique within a visitor while lateness remembers it. 1 to 128 UTF-16 units. */
export const EventId = Id.pipe(Schema.brand("EventId"))
export type EventId = typeof EventId.Type

/** 12 hex digits of the opening event's epoch milliseconds + 20 hex digits of a hash: ids are in time order. */
export type SessionId = string & { readonly SessionId: unique symbol }

/** 20 hex digits: a hash of rule, visitor and window start. */
export type FindingId = string & { readonly FindingId: unique symbol }

/** Milliseconds since 1970-01-01T00:00:00Z, a safe integer. */
export type EpochMillis = number & { readonly EpochMillis: unique symbol }

/** A record's position in its partition: a safe integer (a partition would need 285 years at 1 M records/s to pass it). */
export type Offset = number & { readonly Offset: unique symbol }

/** A partition's number, from 0. */
export type Partition = number & { readonly Partition: unique symbol }

/** Casts for numbers whose unit the caller knows; no check, no cost. */
export const epochMillis = (value: number): EpochMillis => value as EpochMillis
export const offset = (value: number): Offset => value as Offset
export const partition = (value: number): Partition => value as Partition

const separator = "\u001f"

/**
 * The id of a session from its opening event (lowest offset): hex time, then 80 bits of SHA-256. SHA-256 because ids are keys
 * of a table that everyone's sessions share, and senders choose the input: a weaker hash could be made to collide on purpose.
 */
export const sessionId = (visitor: VisitorId, event: EventId, eventTs: EpochMillis): SessionId =>
  flat(
    eventTs.toString(16).padStart(12, "0") + digest20(`${visitor}${separator}${event}${separator}${eventTs}`)
  ) as SessionId

/** V8 keeps a joined string as a tree of its parts: twice the memory, and slow to write. Through bytes it becomes one piece. */
const flat = (text: string): string => Buffer.from(text, "latin1").toString("latin1")

/** The id of a finding: stable for a rule, visitor and window. */
export const findingId = (rule: string, visitor: VisitorId, windowStart: EpochMillis): FindingId =>
  digest20(`${rule}${separator}${visitor}${separator}${windowStart}`) as FindingId

/** The id of an event whose sender gave none (DESIGN: hex SHA-256 of five fields joined by U+001F, absent ones empty). */
export const derivedEventId = (
  fields: { visitorId: string; eventTs: number; eventType: string; itemId: string; url: string }
): EventId =>
  hash(
    "sha256",
    [fields.visitorId, String(fields.eventTs), fields.eventType, fields.itemId, fields.url].join(separator)
  ) as EventId

const digest20 = (text: string): string => hash("sha256", text).slice(0, 20)
