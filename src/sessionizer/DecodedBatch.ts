/** A run of records of one partition after decoding: what the core steps through. Columns instead of an object per record. */
import type { ClickEvent } from "../domain/ClickEvent.ts"
import type { EpochMillis, Offset, Partition } from "../domain/Identifiers.ts"
import type { DecodeFailure } from "../domain/Outcome.ts"

export interface DecodedBatch {
  readonly partition: Partition
  readonly offsets: ReadonlyArray<Offset>
  readonly appendedAt: ReadonlyArray<EpochMillis>
  /** The event, or why there is none. */
  readonly events: ReadonlyArray<ClickEvent | DecodeFailure>
  /** The record as stored, for those that are kept whole: late, rejected, dead-lettered. */
  readonly source: RecordSource
}

export interface RecordSource {
  value(index: number): Uint8Array
  key(index: number): Uint8Array
  headers(index: number): Readonly<Record<string, string>> | undefined
}

export const isEvent = (event: ClickEvent | DecodeFailure): event is ClickEvent => "visitorId" in event
