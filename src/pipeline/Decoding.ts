/**
 * Log batches into decoded batches. A record is a dead letter when its bytes do not decode, its schema is unknown, its fields
 * break the event schema, it is too large, or whoever appended it says so (a bad line of an import). The registry being away is
 * no dead letter: the caller waits.
 */
import { Effect } from "effect"
import { eventTsMax, propertiesViolation, quantityMax, recordBytesMax, violation } from "../domain/ClickEvent.ts"
import type { EventBatch } from "../domain/EventBatch.ts"
import { EventKind, isEvent, placeStride, Text } from "../domain/EventBatch.ts"
import { priceMax } from "../domain/Money.ts"
import { controlOf } from "../log/ControlRecords.ts"
import type { LogBatch } from "../log/EventLog.ts"
import type { RegistryError } from "../log/SchemaRegistry.ts"
import type { EncodedBatch, EventDecoder } from "../log/WireFormat.ts"

/** Headers of a record that its sender already knows to be a dead letter. */
export const deadLetterHeader = "guardian-dead-letter"
export const detailHeader = "guardian-detail"

export const decodeBatch = (decoder: EventDecoder, batch: LogBatch): Effect.Effect<EventBatch, RegistryError> =>
  Effect.map(decoder.decodeBatch(batch), (events) => judged(batch, events))

/** The decoded batch, once each record's fields and headers have been looked at. */
export const judged = (batch: EncodedBatch, events: EventBatch): EventBatch => {
  for (let i = 0; i < events.count; i++) {
    if (events.kinds[i] === EventKind.failed) declare(batch, events, i)
    else if (batch.valueEnd(i) - batch.valueStart(i) > recordBytesMax) {
      const length = batch.valueEnd(i) - batch.valueStart(i)
      events.fail(i, {
        reason: "record_too_large",
        detail: `${length} bytes; at most ${recordBytesMax} are taken`
      })
    } else if (!isPlain(events, i)) judge(events, i)
  }
  return events
}

/** A record that does not decode may say itself why, or what it is instead. */
const declare = (batch: EncodedBatch, events: EventBatch, index: number): void => {
  const headers = batch.headers(index)
  if (headers === undefined) return
  const control = controlOf(headers, batch.appendedAt(index))
  if (control !== undefined) {
    return events.control(
      index,
      control.watermark,
      `${control.kind}: the watermark is at least ${timeText(control.watermark)}`
    )
  }
  const reason = headers[deadLetterHeader]
  if (reason !== undefined) events.fail(index, { reason, detail: headers[detailHeader] ?? "" })
}

const timeText = (ms: number): string => Math.abs(ms) <= eventTsMax ? new Date(ms).toISOString() : String(ms)

const judge = (events: EventBatch, index: number): void => {
  const event = events.event(index)
  const broken = isEvent(event) ? violation(event) : undefined
  if (broken !== undefined) events.fail(index, { reason: "invalid", detail: broken })
}

/** Longest text of a plain event, bytes: at most as many UTF-16 units, so within every bound. */
const plainBytesMax = 128

/** True when it is plain that an event keeps all bounds: nearly always, and at a tenth of the cost of looking closely. */
const isPlain = (events: EventBatch, index: number): boolean => {
  const { places } = events
  const at = index * placeStride
  const eventIdLength = places[at + Text.eventId + 1]!
  const visitorIdLength = places[at + Text.visitorId + 1]!
  return eventIdLength > 0 && eventIdLength <= plainBytesMax &&
    visitorIdLength > 0 && visitorIdLength <= plainBytesMax &&
    (events.kinds[index] !== EventKind.other || isTypeWord(events, index)) &&
    places[at + Text.itemId + 1]! <= plainBytesMax &&
    places[at + Text.category + 1]! <= plainBytesMax &&
    isCurrency(events.bytes, places[at + Text.currency]!, places[at + Text.currency + 1]!) &&
    places[at + Text.url + 1]! <= longBytesMax &&
    places[at + Text.referrer + 1]! <= longBytesMax &&
    places[at + Text.userAgent + 1]! <= longBytesMax &&
    Math.abs(events.eventTs[index]!) <= eventTsMax &&
    events.price[index]! >= 0 && events.price[index]! <= priceMax &&
    events.quantity[index]! >= 0 && events.quantity[index]! <= quantityMax &&
    !breaksProperties(events, index)
}

const breaksProperties = ({ properties }: EventBatch, index: number): boolean =>
  properties.size > 0 && properties.has(index) && propertiesViolation(properties.get(index)!) !== undefined

/** As `EventType` says: a lower-case letter, then those, digits and underscores. */
const isTypeWord = (events: EventBatch, index: number): boolean => {
  const at = index * placeStride + Text.eventType
  const start = events.places[at]!
  const length = events.places[at + 1]!
  if (length === 0 || length > eventTypeMax) return false
  for (let i = 0; i < length; i++) {
    const code = events.bytes[start + i]!
    const isLetter = code >= 97 && code <= 122
    if (!isLetter && (i === 0 || !(code >= 48 && code <= 57 || code === 95))) return false
  }
  return true
}

const eventTypeMax = 64

/** None, or three capital letters. */
const isCurrency = (bytes: Buffer, start: number, length: number): boolean => {
  if (length === 0) return true
  if (length !== 3) return false
  for (let i = 0; i < 3; i++) if (!(bytes[start + i]! >= 65 && bytes[start + i]! <= 90)) return false
  return true
}

/** The same for url, referrer and user agent. */
const longBytesMax = 2_048
