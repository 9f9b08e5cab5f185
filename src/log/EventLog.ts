/**
 * The port of the event log: a fixed number of partitions, each a gapless or gapped but ascending run of records. Adapters:
 * `sqlite/` (embedded), `kafka/`. Every adapter passes `test/log/conformance.ts`.
 */
import { Context, Schema } from "effect"
import type { Effect, Stream } from "effect"
import type { EpochMillis, Offset, Partition } from "../domain/Identifiers.ts"

/** A record to append. The partition is `partitionOf(key)`: Kafka's murmur2 of the key's UTF-8 bytes, in every adapter. */
export interface NewRecord {
  readonly key: string
  readonly value: Uint8Array
  /** Few and small; absent on the hot path. No headers and an empty set of them may become the same. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** Where a record went. It is given only when the record is durable. */
export interface Receipt {
  readonly partition: Partition
  readonly offset: Offset
  readonly appendedAt: EpochMillis
}

/** A run of records of one partition, in offset order, as stored. Accessors instead of objects: nothing is allocated per record. */
export interface LogBatch {
  readonly partition: Partition
  readonly count: number
  /** Offset of record i (0 <= i < count): ascending, but not always adjacent. */
  offset(index: number): Offset
  /** The log's clock when it took record i, ms. */
  appendedAt(index: number): EpochMillis
  /** Memory in which all values of the batch lie. */
  readonly bytes: Buffer
  /** Where the value of record i begins and ends in `bytes`. */
  valueStart(index: number): number
  valueEnd(index: number): number
  /** The value's bytes: a view, valid as long as the batch is. */
  value(index: number): Buffer
  key(index: number): Buffer
  headers(index: number): Readonly<Record<string, string>> | undefined
}

/** First offset that is held, and the one that the next record will get. */
export interface PartitionRange {
  readonly start: Offset
  readonly end: Offset
}

/** The log cannot do it now: full disk, lost file, broken page. `retryable` says whether waiting can heal it. */
export class LogError extends Schema.TaggedError<LogError>()("LogError", {
  message: Schema.String,
  retryable: Schema.Boolean,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** `offset` is before the first record that the log still holds. */
export class OffsetOutOfRange extends Schema.TaggedError<OffsetOutOfRange>()("OffsetOutOfRange", {
  partition: Schema.Number,
  offset: Schema.Number,
  start: Schema.Number,
  end: Schema.Number,
  message: Schema.String
}) {}

export class EventLog extends Context.Service<EventLog, {
  /** Made when the log was created; another log under the same path has another. */
  readonly logId: string
  readonly partitions: number
  /** Appends durably, in order within a partition; receipts in the order of the records. */
  append(records: ReadonlyArray<NewRecord>): Effect.Effect<ReadonlyArray<Receipt>, LogError>
  /**
   * The records of a partition from an offset on, for ever: at the end it waits for more. Demand-driven: nothing is read ahead
   * beyond `recordsMax` records. Fails with OffsetOutOfRange when `from` was trimmed or lies beyond the end.
   */
  read(
    partition: Partition,
    from: Offset,
    options: { readonly recordsMax: number }
  ): Stream.Stream<LogBatch, LogError | OffsetOutOfRange>
  /** By partition number. */
  readonly ranges: Effect.Effect<ReadonlyArray<PartitionRange>, LogError>
  /** Drops whole batches whose newest record was appended before `before`; returns how many records went. */
  trim(before: EpochMillis): Effect.Effect<number, LogError>
}>()("guardian/log/EventLog") {}
