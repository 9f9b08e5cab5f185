/**
 * What a row says that the log says too, as bytes: once in SQL from the row, once from the decoded record. The first 8 bytes of their
 * MD5 stand for them (against chance, not against a forger, who could as well rewrite the log).
 */
import { isUtf8 } from "node:buffer"
import { hash } from "node:crypto"
import type { EventBatch } from "../../domain/EventBatch.ts"
import { placeStride, Text } from "../../domain/EventBatch.ts"

/** A table whose rows come each from one record. */
export interface RecordTable {
  readonly table: "events_raw" | "late_events" | "rejected_records" | "dead_letters"
  /** What its rows belong to a day by. */
  readonly time: "event_ts" | "appended_at"
  /** Name -> SQL of it as text, in the order in which the digest takes them. */
  readonly fields: Readonly<Record<string, string>>
  /** Puts the same of a record together; returns false when the record is nothing that the table could hold. */
  readonly write: (digest: ContentDigest, events: EventBatch, index: number) => boolean
}

const millis = (column: string): string => `toString(toUnixTimestamp64Milli(${column}))`

const eventFields = {
  event_id: "event_id",
  visitor_id: "visitor_id",
  event_type: "toString(event_type)",
  item_id: "item_id",
  category: "toString(category)",
  currency: "toString(currency)",
  event_ts: millis("event_ts"),
  price: "toString(reinterpretAsInt64(price))",
  quantity: "toString(quantity)"
}

const writeEvent = (digest: ContentDigest, events: EventBatch, index: number): void => {
  for (const text of eventTexts) digest.text(events, index, text)
  digest.number(events.eventTs[index]!)
  digest.number(events.price[index]!)
  digest.number(events.quantity[index]!)
}

const eventTexts = [Text.eventId, Text.visitorId, Text.eventType, Text.itemId, Text.category, Text.currency]

const appended = { appended_at: millis("appended_at") }

/** Pairs in the order of the keys' bytes. */
const pairs = (column: string): string =>
  `arrayStringConcat(arrayMap((k, v) -> concat(toString(k), '\\x1e', v), mapKeys(mapSort(${column})), mapValues(mapSort(${column}))), '\\x1e')`

const keptFields = { key: "key", value: "value", headers: pairs("headers"), ...appended }

const writeKept = (digest: ContentDigest, events: EventBatch, index: number): true => {
  digest.bytes(events.source.key(index))
  digest.bytes(events.source.value(index))
  digest.pairs(events.source.headers(index) ?? {})
  digest.number(events.appendedAt[index]!)
  return true
}

export const recordTables: ReadonlyArray<RecordTable> = [
  {
    table: "events_raw",
    time: "event_ts",
    fields: {
      ...eventFields,
      url: "url",
      referrer: "referrer",
      user_agent: "user_agent",
      truncated: "if(truncated, '1', '0')",
      properties: pairs("properties"),
      ...appended
    },
    write: (digest, events, index) => {
      if (!holdsEvent(events, index)) return false
      writeEvent(digest, events, index)
      digest.text(events, index, Text.url)
      digest.text(events, index, Text.referrer)
      digest.text(events, index, Text.userAgent)
      digest.number(events.truncated[index]!)
      digest.pairs(events.properties.get(index) ?? {})
      digest.number(events.appendedAt[index]!)
      return true
    }
  },
  {
    table: "late_events",
    time: "event_ts",
    fields: { ...eventFields, original: "original", ...appended },
    write: (digest, events, index) => {
      if (!holdsEvent(events, index)) return false
      writeEvent(digest, events, index)
      digest.bytes(events.source.value(index))
      digest.number(events.appendedAt[index]!)
      return true
    }
  },
  {
    table: "rejected_records",
    time: "appended_at",
    fields: { event_id: "event_id", visitor_id: "visitor_id", event_ts_ms: "toString(event_ts_ms)", ...keptFields },
    write: (digest, events, index) => {
      if (!holdsEvent(events, index)) return false
      digest.text(events, index, Text.eventId)
      digest.text(events, index, Text.visitorId)
      digest.number(events.eventTs[index]!)
      return writeKept(digest, events, index)
    }
  },
  { table: "dead_letters", time: "appended_at", fields: keptFields, write: writeKept }
]

const holdsEvent = (events: EventBatch, index: number): boolean =>
  !events.failures.has(index) && events.places[index * placeStride + Text.visitorId + 1]! > 0

/** SQL of a row's content: its fields, each behind a mark that says where it begins. */
export const contentSql = ({ fields }: RecordTable): string =>
  `concat(${Object.values(fields).map((field) => `'\\x1f', ${field}`).join(", ")})`

/** SQL of one half of the digest, as a number below 2^32. */
export const halfSql = (content: string, half: 0 | 1): string =>
  `reinterpretAsUInt32(substring(MD5(${content}), ${1 + half * 4}, 4))`

/** Puts one record's content together, again and again in the same memory. */
export class ContentDigest {
  #memory = Buffer.allocUnsafe(1 << 16)
  #length = 0
  #starts: Array<number> = []
  /** Both halves of the digest, after `end`. */
  readonly halves = new Uint32Array(2)

  begin(): void {
    this.#length = 0
    this.#starts = []
  }

  /** As columns of texts keep it: what is no UTF-8 in it is replaced. */
  text(events: EventBatch, index: number, text: Text): void {
    const at = index * placeStride + text
    const start = events.places[at]!
    const end = start + events.places[at + 1]!
    const bytes = events.bytes.subarray(start, end)
    if (!isUtf8(bytes)) return this.bytes(Buffer.from(bytes.toString()))
    this.#mark(end - start)
    this.#length += events.bytes.copy(this.#memory, this.#length, start, end)
  }

  bytes(bytes: Uint8Array): void {
    this.#mark(bytes.length)
    this.#memory.set(bytes, this.#length)
    this.#length += bytes.length
  }

  number(value: number): void {
    this.#mark(24)
    this.#length += this.#memory.write(String(value), this.#length, "latin1")
  }

  pairs(pairs: Readonly<Record<string, string>>): void {
    const written = Object.entries(pairs)
    if (written.length === 0) return this.#mark(0)
    const parts = written.map(([key, value]) => [Buffer.from(key), Buffer.from(value)] as const)
    parts.sort(([a], [b]) => Buffer.compare(a, b))
    this.bytes(
      Buffer.concat(parts.flatMap(([key, value], i) => i === 0 ? [key, unit, value] : [unit, key, unit, value]))
    )
  }

  end(): void {
    const digest = hash("md5", this.#memory.subarray(0, this.#length), "buffer")
    this.halves[0] = digest.readUInt32LE(0)
    this.halves[1] = digest.readUInt32LE(4)
  }

  /** The fields, each as hex, in the order in which they were written. */
  fields(): ReadonlyArray<string> {
    return this.#starts.map((start, i) =>
      this.#memory.toString("hex", start, (this.#starts[i + 1] ?? this.#length + 1) - 1)
    )
  }

  /** The mark of a field, and room for it. */
  #mark(length: number): void {
    const needed = this.#length + 1 + length
    if (needed > this.#memory.length) {
      const larger = Buffer.allocUnsafe(needed * 2)
      this.#memory.copy(larger, 0, 0, this.#length)
      this.#memory = larger
    }
    this.#memory[this.#length++] = 0x1f
    this.#starts.push(this.#length)
  }
}

const unit = Buffer.from("\x1e")
