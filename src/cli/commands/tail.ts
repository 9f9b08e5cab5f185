import { Effect, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import type { ClickEvent } from "../../domain/ClickEvent.ts"
import { toJson } from "../../domain/ClickEvent.ts"
import { controlReason, isEvent } from "../../domain/EventBatch.ts"
import type { Offset, Partition } from "../../domain/Identifiers.ts"
import { formatAmount } from "../../domain/Money.ts"
import type { DecodeFailure } from "../../domain/Outcome.ts"
import type { LogBatch, PartitionRange } from "../../log/EventLog.ts"
import { EventLog } from "../../log/EventLog.ts"
import { readSection } from "../../log/LogSection.ts"
import { SchemaRegistry } from "../../log/SchemaRegistry.ts"
import { EventDecoder } from "../../log/WireFormat.ts"
import { decodeBatch } from "../../pipeline/Decoding.ts"
import { dataDir, json, print } from "../Flags.ts"
import { logReadingLayer } from "../LogReading.ts"
import { spokenTime } from "../Spoken.ts"

/** All of them are held in memory until they are in order. */
const linesMax = 100_000
/** Records of one read. */
const readRecordsMax = 1_000

const lines = Flag.Int("lines").pipe(
  Flag.withAlias("n"),
  Flag.withDescription("How many of the newest records"),
  Flag.filter((count) => count >= 0 && count <= linesMax, (count) => `0 to ${linesMax} are possible, not ${count}`),
  Flag.withDefault(10)
)
const follow = Flag.Boolean("follow").pipe(
  Flag.withAlias("f"),
  Flag.withDescription("Go on with what is appended, until stopped"),
  Flag.withDefault(false)
)

/** The newest records of the log, decoded. */
export const tail = Command.make(
  "tail",
  { lines, follow, dataDir, json },
  Effect.fn(function*({ dataDir, follow, json, lines }) {
    yield* Effect.gen(function*() {
      const ranges = yield* (yield* EventLog).ranges
      const registry = yield* SchemaRegistry
      const decoder = new EventDecoder((id) => registry.byId(id))
      const printed = json ? jsonLine : textLine
      for (const record of yield* newest(decoder, ranges, lines)) yield* print(printed(record))
      if (follow) yield* followed(decoder, ranges, (record) => print(printed(record)))
    }).pipe(Effect.provide(logReadingLayer(dataDir)))
  })
).pipe(Command.withDescription("Print the newest records of the log"))

interface TailedRecord {
  readonly partition: Partition
  readonly offset: Offset
  readonly appendedAt: number
  readonly content: ClickEvent | DecodeFailure
  readonly value: Buffer
}

/** The last of all partitions by append time. */
const newest = Effect.fnUntraced(
  function*(decoder: EventDecoder, ranges: ReadonlyArray<PartitionRange>, count: number) {
    const records: Array<TailedRecord> = []
    for (const [partition, { end, start }] of ranges.entries()) {
      const section = { partition: partition as Partition, from: Math.max(start, end - count), to: end }
      yield* readSection(section, readRecordsMax).pipe(
        Stream.mapEffect((batch) => recordsOf(decoder, batch)),
        Stream.runForEach((found) => Effect.sync(() => records.push(...found.filter((record) => record.offset < end))))
      )
    }
    records.sort((a, b) => a.appendedAt - b.appendedAt || a.partition - b.partition || a.offset - b.offset)
    return count === 0 ? [] : records.slice(-count)
  }
)

/** Everything from the ends of the partitions on, as it comes. */
const followed = <E, R>(
  decoder: EventDecoder,
  ranges: ReadonlyArray<PartitionRange>,
  each: (record: TailedRecord) => Effect.Effect<void, E, R>
) =>
  Effect.flatMap(EventLog, (log) =>
    Effect.forEach(
      ranges,
      ({ end }, partition) =>
        log.read(partition as Partition, end, { recordsMax: readRecordsMax }).pipe(
          Stream.mapEffect((batch) => recordsOf(decoder, batch)),
          Stream.runForEach((records) => Effect.forEach(records, each, { discard: true }))
        ),
      { concurrency: "unbounded", discard: true }
    ))

const recordsOf = (decoder: EventDecoder, batch: LogBatch) =>
  Effect.map(
    decodeBatch(decoder, batch),
    (events) =>
      [...events.records()].map(({ appendedAt, content, index, offset }): TailedRecord => ({
        partition: events.partition,
        offset,
        appendedAt,
        content,
        value: batch.value(index)
      }))
  )

const jsonLine = ({ appendedAt, content, offset, partition, value }: TailedRecord): string =>
  JSON.stringify({
    partition,
    offset,
    appendedAt: spokenTime(appendedAt),
    ...(isEvent(content) ?
      { event: toJson(content) } :
      content.reason === controlReason ?
      { control: content.detail } :
      { deadLetter: { ...content, valueBase64: value.toString("base64") } })
  })

const textLine = (record: TailedRecord): string => {
  const { appendedAt, content, offset, partition, value } = record
  const place = `${spokenTime(appendedAt)}  ${partition}:${offset}`
  if (!isEvent(content) && content.reason === controlReason) return `${place}  CONTROL ${content.detail}`
  return isEvent(content) ?
    `${place}  ${eventText(content)}` :
    `${place}  DEAD LETTER ${content.reason}: ${content.detail}  ${excerpt(value)}`
}

const eventText = (event: ClickEvent): string => {
  const price = event.price === 0 ? "" : `${event.quantity} x ${formatAmount(event.price)} ${event.currency}`.trimEnd()
  const parts = [event.eventType, event.visitorId, event.eventId, event.itemId, price, event.url]
  return [`${spokenTime(event.eventTs)}`, ...parts.filter((part) => part !== "").map(oneLine)].join("  ")
}

/** Bytes shown of a value that is no event. */
const excerptBytes = 80

const excerpt = (value: Buffer): string =>
  `${oneLine(value.toString("utf8", 0, excerptBytes))}${value.length > excerptBytes ? ".." : ""}`

/** Senders choose these texts: control characters must not reach a terminal. */
const oneLine = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
