/** Looks for an event id in the bytes of the log: most records are passed over without decoding. */
import { Effect, Stream } from "effect"
import { toJson } from "../../domain/ClickEvent.ts"
import { controlReason, isEvent } from "../../domain/EventBatch.ts"
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import type { DecodeFailure } from "../../domain/Outcome.ts"
import type { LogBatch } from "../../log/EventLog.ts"
import type { LogSection } from "../../log/LogSection.ts"
import { readSection } from "../../log/LogSection.ts"
import { SchemaRegistry } from "../../log/SchemaRegistry.ts"
import { EventDecoder } from "../../log/WireFormat.ts"
import { decodeBatch } from "../../pipeline/Decoding.ts"
import { mentions } from "./Mention.ts"
import type { TraceRequest } from "./TraceRequest.ts"

export interface ScannedRecord {
  readonly partition: Partition
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  readonly visitorId: string | undefined
  readonly event: Readonly<Record<string, unknown>> | undefined
  /** Why it is no event; then its bytes mention the id. */
  readonly failure: DecodeFailure | undefined
}

/** Records of one read. */
const readRecordsMax = 10_000

/** The records with this id, at most `recordsMax` of each section. */
export const scan = Effect.fnUntraced(
  function*(request: TraceRequest, sections: ReadonlyArray<LogSection>, recordsMax: number) {
    const registry = yield* SchemaRegistry
    const decoder = new EventDecoder((id) => registry.byId(id))
    const wanted = Buffer.from(request.eventId)
    const total = sections.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0)
    let seen = 0
    return (yield* Effect.forEach(sections, (section) =>
      readSection(section, readRecordsMax).pipe(
        Stream.tap((batch) => Effect.sync(() => request.onProgress?.(seen += batch.count, total))),
        Stream.filter((batch) => anyContains(batch, wanted)),
        Stream.mapEffect((batch) => matches(decoder, batch, request)),
        Stream.flatMap(Stream.fromIterable),
        Stream.filter(({ offset }) => offset < section.to),
        Stream.take(recordsMax),
        Stream.runCollect
      ))).flat()
  }
)

const anyContains = (batch: LogBatch, wanted: Buffer): boolean => {
  for (let i = 0; i < batch.count; i++) if (batch.value(i).includes(wanted)) return true
  return false
}

const matches = (decoder: EventDecoder, batch: LogBatch, { eventId, visitorId }: TraceRequest) =>
  Effect.map(decodeBatch(decoder, batch), (events) => {
    const found: Array<ScannedRecord> = []
    for (const { appendedAt, content: event, index: i, offset } of events.records()) {
      const hit = isEvent(event) ?
        event.eventId === eventId && (visitorId === undefined || event.visitorId === visitorId) :
        event.reason !== controlReason && mentions(batch.value(i), eventId) &&
        (visitorId === undefined || mentions(batch.value(i), visitorId))
      if (!hit) continue
      found.push({
        partition: events.partition,
        offset,
        appendedAt,
        visitorId: isEvent(event) ? event.visitorId : undefined,
        event: isEvent(event) ? toJson(event) : undefined,
        failure: isEvent(event) ? undefined : event
      })
    }
    return found
  })
