/** Records that are no part of the result: kept as they came, with the reason. */
import type { ClickEvent } from "../domain/ClickEvent.ts"
import type { EventBatch } from "../domain/EventBatch.ts"
import { isEvent } from "../domain/EventBatch.ts"
import type { EpochMillis, Offset } from "../domain/Identifiers.ts"
import type { DecodeFailure } from "../domain/Outcome.ts"
import { eventTsMin } from "../domain/Settings.ts"

/** A record that is kept whole, with its bytes. */
export interface KeptRecord {
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly reason: string
  readonly detail: string
  /** Absent when the bytes did not decode. */
  readonly event: ClickEvent | undefined
  /** Watermark when the record was judged, ms. */
  readonly watermark: number
}

/** The record at `index` of a batch. */
export const keptRecord = (events: EventBatch, index: number, why: DecodeFailure, watermark: number): KeptRecord => {
  const event = events.event(index)
  return {
    offset: events.offsets[index]! as Offset,
    appendedAt: events.appendedAt[index]! as EpochMillis,
    key: events.source.key(index),
    value: events.source.value(index),
    headers: events.source.headers(index) ?? {},
    reason: why.reason,
    detail: why.detail,
    event: isEvent(event) ? event : undefined,
    watermark
  }
}

/** Why an event with this time is rejected. */
export const refusal = (eventTs: number, appendedAt: number): DecodeFailure =>
  eventTs < eventTsMin ?
    { reason: "before_2000", detail: "event_ts is before 2000-01-01" } :
    { reason: "future", detail: `event_ts is ${eventTs - appendedAt} ms after the append time` }

export const lateReason: DecodeFailure = { reason: "late", detail: "event_ts is before watermark - allowed lateness" }
