/**
 * Where one event went: every record with its id, what became of it and why, and the session that it counts in.
 *
 * Accepted, late, rejected and dead-lettered records stand in the database. Duplicates do not, and neither does what is not
 * processed yet: those are found in the log, in the partitions of the visitors concerned, or in all when no visitor is known.
 */
import { Effect, Schema } from "effect"
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import type { LogError, OffsetOutOfRange, PartitionRange } from "../../log/EventLog.ts"
import { EventLog } from "../../log/EventLog.ts"
import type { LogSection } from "../../log/LogSection.ts"
import { partitionOf } from "../../log/Partitioner.ts"
import type { RegistryError, SchemaRegistry } from "../../log/SchemaRegistry.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import type { Warehouse } from "../../warehouse/Warehouse.ts"
import { scan } from "./LogScan.ts"
import type { ScannedRecord } from "./LogScan.ts"
import { stored } from "./StoredRecords.ts"
import type { StoredRecord, TracedSession } from "./StoredRecords.ts"
import { tracedRecordsMax } from "./TraceRequest.ts"
import type { TraceRequest } from "./TraceRequest.ts"

export type TracedOutcome =
  | "accepted"
  | "duplicate"
  | "late"
  | "rejected"
  | "dead-lettered"
  | "not processed yet"
  | "unknown"

export interface TracedRecord {
  readonly partition: Partition
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  readonly outcome: TracedOutcome
  readonly why: string
  /** As senders write it; of a record that is no longer in the log what the database knows. */
  readonly event?: Readonly<Record<string, unknown>> | undefined
  /** Where an accepted event counts now. */
  readonly session?: TracedSession | undefined
  /** Of a duplicate: the accepted record that it repeats. */
  readonly repeats?: { readonly partition: Partition; readonly offset: Offset } | undefined
}

export interface Trace {
  /** In the order of partition and offset. */
  readonly records: ReadonlyArray<TracedRecord>
  /** Records of the log that were looked at. */
  readonly scanned: number
  readonly partitionsScanned: ReadonlyArray<number>
  /** True when there are more than are listed. */
  readonly cut: boolean
}

/** The database speaks of another log: its offsets say nothing about this one. */
export class TraceRefused extends Schema.TaggedError<TraceRefused>()("TraceRefused", { message: Schema.String }) {}

/** The database is asked only when there are checkpoints: before the first one it says nothing that holds. */
export const trace = Effect.fnUntraced(function*(
  request: TraceRequest
): Effect.fn.Return<
  Trace,
  TraceRefused | LogError | OffsetOutOfRange | RegistryError | WarehouseError,
  EventLog | SchemaRegistry | Warehouse
> {
  const log = yield* EventLog
  if (request.checkpoints.some(({ logId }) => logId !== log.logId)) {
    return yield* new TraceRefused({
      message: "The database was made from another log than the one here: what it says of offsets does not hold. " +
        "guardian doctor says more."
    })
  }
  const ranges = yield* log.ranges
  const durable = ranges.map((range, partition) =>
    request.checkpoints.find((checkpoint) => checkpoint.partition === partition)?.position.offset ?? range.start
  )
  const found = (request.checkpoints.length === 0 ? [] : yield* stored(request)).filter(
    // A half-done flush may have left rows at or above the checkpoint: they are not decided yet.
    ({ offset, partition }) => offset < durable[partition]!
  )
  const sections = sectionsToScan(request, found, ranges, durable)
  const scanned = yield* scan(request, sections, tracedRecordsMax)
  const records = judge(found, scanned, durable)
  return {
    records: records.slice(0, tracedRecordsMax),
    scanned: sections.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0),
    partitionsScanned: sections.filter(({ from, to }) => from < to).map(({ partition }) => partition),
    cut: records.length > tracedRecordsMax || scanned.length >= tracedRecordsMax
  }
})

/** A visitor's records are all in one partition; only what is not processed yet may be of visitors that we do not know. */
const sectionsToScan = (
  { visitorId }: TraceRequest,
  found: ReadonlyArray<StoredRecord>,
  ranges: ReadonlyArray<PartitionRange>,
  durable: ReadonlyArray<Offset>
): ReadonlyArray<LogSection> => {
  const visitors = visitorId === undefined ? found.flatMap((record) => record.visitorId ?? []) : [visitorId]
  const whole = new Set(visitors.map((visitor) => partitionOf(visitor, ranges.length)))
  return ranges.flatMap(({ end, start }, number) => {
    const partition = number as Partition
    if (whole.has(partition) || whole.size === 0) return [{ partition, from: start, to: end }]
    return visitorId === undefined ? [{ partition, from: Math.max(start, durable[number]!), to: end }] : []
  })
}

const judge = (
  found: ReadonlyArray<StoredRecord>,
  scanned: ReadonlyArray<ScannedRecord>,
  durable: ReadonlyArray<Offset>
): ReadonlyArray<TracedRecord> => {
  const byPlace = new Map(found.map((record) => [place(record), record]))
  const records: Array<TracedRecord> = []
  for (const record of scanned) {
    const known = byPlace.get(place(record))
    byPlace.delete(place(record))
    records.push({
      partition: record.partition,
      offset: record.offset,
      appendedAt: record.appendedAt,
      event: record.event,
      ...(record.offset >= durable[record.partition]! ?
        pending(durable[record.partition]!) :
        known === undefined ?
        untold(record, found) :
        told(known))
    })
  }
  // What is no longer in the log, or lies in a partition that was not scanned.
  for (const record of byPlace.values()) {
    const { appendedAt, event, offset, partition } = record
    records.push({ partition, offset, appendedAt, event, ...told(record) })
  }
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

const place = ({ offset, partition }: { readonly partition: number; readonly offset: number }): string =>
  `${partition}:${offset}`

type Verdict = Pick<TracedRecord, "outcome" | "why" | "session" | "repeats">

const told = ({ outcome, session, why }: StoredRecord): Verdict => ({ outcome, why, session })

const pending = (next: Offset): Verdict => ({
  outcome: "not processed yet",
  why: `the pipeline goes on at offset ${next} of this partition`
})

/** Processed, and in no table. */
const untold = (record: ScannedRecord, found: ReadonlyArray<StoredRecord>): Verdict => {
  if (record.failure !== undefined) {
    return { outcome: "dead-lettered", why: `${record.failure.reason}: ${record.failure.detail}` }
  }
  // An id may be accepted again once lateness has forgotten it: the newest one before is meant.
  const original = found
    .filter((other) =>
      other.outcome === "accepted" && other.visitorId === record.visitorId && other.offset < record.offset
    )
    .reduce<StoredRecord | undefined>(
      (newest, other) => newest === undefined || other.offset > newest.offset ? other : newest,
      undefined
    )
  return original === undefined ?
    {
      outcome: "unknown",
      why: "it was processed, but the database has no row of it: its day was probably removed there by retention"
    } :
    {
      outcome: "duplicate",
      why: `repeats the record at offset ${original.offset} of the same visitor, which was accepted`,
      repeats: { partition: original.partition, offset: original.offset }
    }
}
