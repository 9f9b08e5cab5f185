/**
 * A flush as blocks of rows, in the order in which they must be acknowledged: data, then the days it touched, then the decision
 * hashes, and only then the checkpoint that makes it count. Writing any of it again changes nothing.
 */
import type { Partition, SessionId } from "../domain/Identifiers.ts"
import type { CoreSettings } from "../domain/Settings.ts"
import { coreVersion, longestWindowMs } from "../domain/Settings.ts"
import type { AcceptedEvents, Changes, Tombstone } from "../sessionizer/Changes.ts"
import type { Finding } from "../sessionizer/Finding.ts"
import type { KeptRecord } from "../sessionizer/KeptRecord.ts"
import type { NumberColumn } from "../sessionizer/NumberColumn.ts"
import type { CorePosition } from "../sessionizer/PartitionCore.ts"
import type { SessionRows } from "../sessionizer/SessionRows.ts"
import { TextColumn } from "../sessionizer/TextColumn.ts"
import type { Column, TableBlock } from "./TableBlock.ts"

/** What one partition brings to a flush. */
export interface PartitionFlush {
  readonly partition: Partition
  readonly changes: Changes
  readonly position: CorePosition
  readonly recordHash: string
}

/** Who flushes: the same for all rows of a run. */
export interface FlushIdentity {
  readonly logId: string
  readonly partitions: number
  readonly runId: string
  readonly settings: CoreSettings
}

export const dayMs = 86_400_000

/** KPIs are computed in parts of this length, ms. */
const quarterMs = 900_000

/** Where gaps are shorter than the windows of rules, sessions are taken to be no longer than this, ms. */
const sessionMsMax = dayMs

/** Watermark of a partition that has accepted nothing yet, as stored. */
export const noWatermark = Number.MIN_SAFE_INTEGER

/** Blocks of one step may be written side by side; a step begins when the one before it is acknowledged. Empty blocks are left out. */
export const flushSteps = (
  flushes: ReadonlyArray<PartitionFlush>,
  identity: FlushIdentity
): ReadonlyArray<ReadonlyArray<TableBlock>> =>
  [
    [
      eventsBlock(flushes),
      keptBlock("late_events", flushes, (changes) => changes.late),
      keptBlock("rejected_records", flushes, (changes) => changes.rejected),
      keptBlock("dead_letters", flushes, (changes) => changes.deadLetters),
      controlsBlock(flushes)
    ],
    [sessionsBlock(flushes), aliasesBlock(flushes), findingsBlock(flushes, identity.settings)],
    [touchedDaysBlock(flushes, identity.settings)],
    [decisionHashesBlock(flushes, identity)],
    [checkpointsBlock(flushes, identity)]
  ].map((step) => step.filter((block) => block.rows > 0)).filter((step) => step.length > 0)

const eventsBlock = (flushes: ReadonlyArray<PartitionFlush>): TableBlock => {
  const parts = flushes.map(({ changes }) => changes.events)
  const of = <A>(read: (events: AcceptedEvents) => A): ReadonlyArray<A> => parts.map(read)
  const numbers = (read: (events: AcceptedEvents) => Float64Array): Float64Array => joined(parts.map(read))
  return {
    table: "events_raw",
    rows: parts.reduce((sum, { length }) => sum + length, 0),
    columns: [
      { name: "event_id", type: "Texts", values: of((events) => events.eventId) },
      { name: "visitor_id", type: "Texts", values: of((events) => events.visitorId) },
      { name: "event_ts", type: "DateTime64(3, 'UTC')", values: numbers((events) => events.eventTs) },
      { name: "event_type", type: "Words", values: of((events) => events.eventType) },
      { name: "item_id", type: "Texts", values: of((events) => events.itemId) },
      { name: "category", type: "Words", values: of((events) => events.category) },
      { name: "price", type: "Decimal(18, 4)", values: numbers((events) => events.price) },
      { name: "currency", type: "Words", values: of((events) => events.currency) },
      { name: "quantity", type: "UInt32", values: numbers((events) => events.quantity) },
      { name: "url", type: "Texts", values: of((events) => events.url) },
      { name: "referrer", type: "Texts", values: of((events) => events.referrer) },
      { name: "user_agent", type: "Texts", values: of((events) => events.userAgent) },
      { name: "properties", type: "Map(String, String)", values: parts.flatMap(({ properties }) => properties) },
      { name: "truncated", type: "Bool", values: parts.flatMap(({ truncated }) => truncated) },
      { name: "appended_at", type: "DateTime64(3, 'UTC')", values: numbers((events) => events.appendedAt) },
      {
        name: "partition",
        type: "UInt16",
        values: joined(
          flushes.map(({ changes, partition }) => new Float64Array(changes.events.length).fill(partition))
        )
      },
      { name: "offset", type: "UInt64", values: numbers((events) => events.offset) },
      { name: "session_id", type: "Texts", values: of((events) => events.sessionId) }
    ]
  }
}

const joined = (parts: ReadonlyArray<Float64Array>): Float64Array => {
  const whole = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** A session row: a living session or the tombstone of one that was merged away. */
const eachSessionRow = (
  { changes: { sessions, tombstones } }: PartitionFlush,
  visit: (openedAt: number, startedAt: number, version: number) => void
): void => {
  const { openedAt, startedAt, version } = sessions
  for (let i = 0; i < sessions.length; i++) visit(openedAt.values[i]!, startedAt.values[i]!, version.values[i]!)
  for (const tombstone of tombstones) {
    visit(openedAtOf(tombstone.absorbedId), tombstone.startedAt, tombstone.version)
  }
}

/** The living sessions of all partitions, then the tombstones, which count nothing. */
const sessionsBlock = (flushes: ReadonlyArray<PartitionFlush>): TableBlock => {
  const parts = flushes.map(({ changes }) => changes.sessions)
  const graves = flushes.flatMap(({ changes, partition }) =>
    changes.tombstones.map((tombstone) => ({ partition, tombstone }))
  )
  const lived = parts.reduce((sum, { length }) => sum + length, 0)
  const numbers = (
    read: (rows: SessionRows) => NumberColumn,
    ofGrave: (tombstone: Tombstone) => number
  ): Float64Array =>
    joined([
      ...parts.map((rows) => read(rows).values),
      Float64Array.from(graves, ({ tombstone }) => ofGrave(tombstone))
    ])
  const texts = (
    read: (rows: SessionRows) => TextColumn,
    ofGrave: (tombstone: Tombstone) => string
  ): ReadonlyArray<TextColumn> => [
    ...parts.map(read),
    TextColumn.of(graves.map(({ tombstone }) => ofGrave(tombstone)))
  ]
  const nothing = () => 0
  const noText = () => ""
  return {
    table: "sessions_raw",
    rows: lived + graves.length,
    columns: [
      { name: "session_id", type: "Texts", values: texts((rows) => rows.sessionId, (grave) => grave.absorbedId) },
      { name: "visitor_id", type: "Texts", values: texts((rows) => rows.visitorId, (grave) => grave.visitorId) },
      {
        name: "started_at",
        type: "DateTime64(3, 'UTC')",
        values: numbers((rows) => rows.startedAt, (grave) => grave.startedAt)
      },
      {
        name: "ended_at",
        type: "DateTime64(3, 'UTC')",
        values: numbers((rows) => rows.endedAt, (grave) => grave.endedAt)
      },
      { name: "events", type: "UInt32", values: numbers((rows) => rows.events, nothing) },
      { name: "clicks", type: "UInt32", values: numbers((rows) => rows.clicks, nothing) },
      { name: "carts", type: "UInt32", values: numbers((rows) => rows.carts, nothing) },
      { name: "purchases", type: "UInt32", values: numbers((rows) => rows.purchases, nothing) },
      { name: "unique_items", type: "UInt32", values: numbers((rows) => rows.uniqueItems, nothing) },
      {
        name: "revenue",
        type: "Decimal(38, 4)",
        values: [...parts.flatMap(({ revenue }) => revenue), ...graves.map(() => 0n)]
      },
      {
        name: "revenue_by_currency",
        type: "Map(String, Decimal(38, 4))",
        values: [...parts.flatMap(({ revenueByCurrency }) => revenueByCurrency), ...graves.map(() => noAmounts)]
      },
      { name: "entry_url", type: "Texts", values: texts((rows) => rows.entryUrl, noText) },
      { name: "exit_url", type: "Texts", values: texts((rows) => rows.exitUrl, noText) },
      { name: "first_referrer", type: "Texts", values: texts((rows) => rows.firstReferrer, noText) },
      { name: "user_agent", type: "Texts", values: texts((rows) => rows.userAgent, noText) },
      {
        name: "merged_into",
        type: "Texts",
        values: [TextColumn.empty(lived), TextColumn.of(graves.map(({ tombstone }) => tombstone.mergedInto))]
      },
      {
        name: "partition",
        type: "UInt16",
        values: joined([
          ...flushes.map(({ changes, partition }) => new Float64Array(changes.sessions.length).fill(partition)),
          Float64Array.from(graves, ({ partition }) => partition)
        ])
      },
      { name: "version", type: "UInt64", values: numbers((rows) => rows.version, (grave) => grave.version) }
    ]
  }
}

const noAmounts: ReadonlyMap<string, bigint> = new Map()

const aliasesBlock = (flushes: ReadonlyArray<PartitionFlush>): TableBlock => {
  const rows = flushes.flatMap(({ changes, partition }) =>
    changes.tombstones.map((tombstone) => ({ partition, tombstone }))
  )
  return {
    table: "session_aliases",
    rows: rows.length,
    columns: [
      { name: "absorbed_id", type: "String", values: rows.map((row) => row.tombstone.absorbedId) },
      { name: "session_id", type: "String", values: rows.map((row) => row.tombstone.mergedInto) },
      { name: "partition", type: "UInt16", values: rows.map((row) => row.partition) },
      { name: "version", type: "UInt64", values: rows.map((row) => row.tombstone.version) }
    ]
  }
}

const findingsBlock = (flushes: ReadonlyArray<PartitionFlush>, settings: CoreSettings): TableBlock => {
  const rows = flushes.flatMap(({ changes, partition }) => changes.findings.map((finding) => ({ partition, finding })))
  const of = <A>(read: (finding: Finding) => A): Array<A> => rows.map((row) => read(row.finding))
  return {
    table: "findings_raw",
    rows: rows.length,
    columns: [
      { name: "finding_id", type: "String", values: of((finding) => finding.id) },
      { name: "rule", type: "LowCardinality(String)", values: of((finding) => finding.rule.name) },
      { name: "visitor_id", type: "String", values: of((finding) => finding.visitorId) },
      { name: "session_id", type: "String", values: of((finding) => finding.sessionId) },
      { name: "window_start", type: "DateTime64(3, 'UTC')", values: of((finding) => finding.windowStart) },
      { name: "window_end", type: "DateTime64(3, 'UTC')", values: of((finding) => finding.windowEnd) },
      { name: "clicks", type: "UInt32", values: of((finding) => finding.clicks) },
      { name: "unique_items", type: "UInt32", values: of((finding) => finding.items.size) },
      {
        name: "score",
        type: "Float64",
        values: of((finding) => finding.rule.score(finding.clicks, finding.items.size, settings))
      },
      { name: "found_at_offset", type: "UInt64", values: of((finding) => finding.foundAtOffset) },
      { name: "appended_at", type: "DateTime64(3, 'UTC')", values: of((finding) => finding.foundAppendedAt) },
      { name: "withdrawn", type: "UInt8", values: of((finding) => finding.standing ? 0 : 1) },
      { name: "partition", type: "UInt16", values: rows.map((row) => row.partition) },
      { name: "version", type: "UInt64", values: of((finding) => finding.version) }
    ]
  }
}

const keptBlock = (
  table: "late_events" | "rejected_records" | "dead_letters",
  flushes: ReadonlyArray<PartitionFlush>,
  read: (changes: Changes) => ReadonlyArray<KeptRecord>
): TableBlock => {
  const rows = flushes.flatMap(({ changes, partition }) => read(changes).map((record) => ({ partition, record })))
  const of = <A>(read: (record: KeptRecord) => A): Array<A> => rows.map((row) => read(row.record))
  const place: ReadonlyArray<Column> = [
    { name: "appended_at", type: "DateTime64(3, 'UTC')", values: of((record) => record.appendedAt) },
    { name: "partition", type: "UInt16", values: rows.map((row) => row.partition) },
    { name: "offset", type: "UInt64", values: of((record) => record.offset) }
  ]
  const why: ReadonlyArray<Column> = [
    { name: "reason", type: "LowCardinality(String)", values: of((record) => record.reason) },
    { name: "detail", type: "String", values: of((record) => record.detail) },
    { name: "key", type: "Bytes", values: of((record) => record.key) },
    { name: "value", type: "Bytes", values: of((record) => record.value) },
    { name: "headers", type: "Map(String, String)", values: of((record) => record.headers) }
  ]
  const event: ReadonlyArray<Column> = [
    { name: "event_id", type: "String", values: of((record) => record.event?.eventId ?? "") },
    { name: "visitor_id", type: "String", values: of((record) => record.event?.visitorId ?? "") }
  ]
  const columns: Record<typeof table, ReadonlyArray<Column>> = {
    dead_letters: [...place, ...why],
    rejected_records: [
      ...place,
      ...why,
      ...event,
      { name: "event_ts_ms", type: "Int64", values: of((record) => record.event?.eventTs ?? 0) }
    ],
    late_events: [
      ...place,
      ...event,
      { name: "event_ts", type: "DateTime64(3, 'UTC')", values: of((record) => record.event?.eventTs ?? 0) },
      { name: "event_type", type: "LowCardinality(String)", values: of((record) => record.event?.eventType ?? "") },
      { name: "item_id", type: "String", values: of((record) => record.event?.itemId ?? "") },
      { name: "category", type: "LowCardinality(String)", values: of((record) => record.event?.category ?? "") },
      { name: "price", type: "Decimal(18, 4)", values: of((record) => record.event?.price ?? 0) },
      { name: "currency", type: "LowCardinality(String)", values: of((record) => record.event?.currency ?? "") },
      { name: "quantity", type: "UInt32", values: of((record) => record.event?.quantity ?? 0) },
      { name: "watermark", type: "DateTime64(3, 'UTC')", values: of((record) => record.watermark) },
      { name: "original", type: "Bytes", values: of((record) => record.value) }
    ]
  }
  return { table, rows: rows.length, columns: columns[table] }
}

const controlsBlock = (flushes: ReadonlyArray<PartitionFlush>): TableBlock => {
  const rows = flushes.flatMap(({ changes, partition }) => changes.controls.map((control) => ({ partition, control })))
  return {
    table: "control_records",
    rows: rows.length,
    columns: [
      { name: "partition", type: "UInt16", values: rows.map(({ partition }) => partition) },
      { name: "offset", type: "UInt64", values: rows.map(({ control }) => control.offset) },
      { name: "appended_at", type: "DateTime64(3, 'UTC')", values: rows.map(({ control }) => control.appendedAt) },
      { name: "watermark_ms", type: "Int64", values: rows.map(({ control }) => control.watermark) }
    ]
  }
}

/**
 * What KPIs must be computed again, in quarters of an hour, which lie within one local hour and day of every time zone since 2000.
 * Kind `events`: each accepted or late event's quarter. Kind `sessions`: for each session row every quarter from its start to its
 * opening event's: the one that a session leaves when its start moves is among them, since the opening event never lies before
 * the start. Findings need no more, as long as sessions lie further apart than windows are long: the click that raises or withdraws
 * one changes the only session that its window overlaps. Otherwise all sessions are touched that the window may overlap.
 */
const touchedDaysBlock = (flushes: ReadonlyArray<PartitionFlush>, settings: CoreSettings): TableBlock => {
  const rows = flushes.flatMap((flush) => {
    const { events, late } = flush.changes
    const byEvents = new TouchedQuarters()
    const { eventTs, offset } = events
    for (let i = 0; i < offset.length; i++) byEvents.touch(Math.floor(eventTs[i]! / quarterMs), offset[i]! + 1)
    for (const { event, offset } of late) byEvents.touch(Math.floor(event!.eventTs / quarterMs), offset + 1)
    const bySessions = new TouchedQuarters()
    eachSessionRow(flush, (openedAt, startedAt, version) => {
      const openingQuarter = Math.floor(openedAt / quarterMs)
      for (let quarter = Math.floor(startedAt / quarterMs); quarter <= openingQuarter; quarter++) {
        bySessions.touch(quarter, version)
      }
    })
    if (settings.gapMs < longestWindowMs(settings)) {
      for (const { version, windowEnd, windowStart } of flush.changes.findings) {
        const lastQuarter = Math.floor(windowEnd / quarterMs)
        for (let quarter = Math.floor((windowStart - sessionMsMax) / quarterMs); quarter <= lastQuarter; quarter++) {
          bySessions.touch(quarter, version)
        }
      }
    }
    return [...byEvents.rows("events", flush.partition), ...bySessions.rows("sessions", flush.partition)]
  })
  return {
    table: "touched_days",
    rows: rows.length,
    columns: [
      { name: "day", type: "Date", values: rows.map(({ quarter }) => Math.floor(quarter * quarterMs / dayMs)) },
      { name: "partition", type: "UInt16", values: rows.map(({ partition }) => partition) },
      { name: "cause", type: "LowCardinality(String)", values: rows.map(() => "pipeline") },
      { name: "kind", type: "LowCardinality(String)", values: rows.map(({ kind }) => kind) },
      // Epoch seconds: ClickHouse turns them into its DateTime.
      { name: "quarter", type: "UInt32", values: rows.map(({ quarter }) => quarter * quarterMs / 1_000) },
      { name: "version", type: "UInt64", values: rows.map(({ version }) => version) }
    ]
  }
}

/** Quarters of an hour since 1970 with the greatest version that touched them. They come in runs, so a run is put down at its end. */
class TouchedQuarters {
  readonly #versions = new Map<number, number>()
  #quarter = Number.NaN
  #version = 0

  touch(quarter: number, version: number): void {
    if (quarter === this.#quarter) {
      if (version > this.#version) this.#version = version
    } else {
      this.#endRun()
      this.#quarter = quarter
      this.#version = version
    }
  }

  rows(kind: "events" | "sessions", partition: Partition) {
    this.#endRun()
    return Array.from(this.#versions, ([quarter, version]) => ({ kind, partition, quarter, version }))
  }

  #endRun(): void {
    if (this.#version > (this.#versions.get(this.#quarter) ?? 0)) this.#versions.set(this.#quarter, this.#version)
  }
}

/** A session's opening event's time is the first twelve hex digits of its id. */
const openedAtOf = (id: SessionId): number => Number.parseInt(id.slice(0, 12), 16)

const decisionHashesBlock = (flushes: ReadonlyArray<PartitionFlush>, identity: FlushIdentity): TableBlock => {
  const rows = flushes.flatMap(({ changes, partition, position }) => [
    ...changes.decisionHashes.map(([offset, hash]) => ({ partition, offset, hash })),
    { partition, offset: position.offset, hash: position.decisionHash }
  ])
  return {
    table: "decision_hashes",
    rows: rows.length,
    columns: [
      { name: "partition", type: "UInt16", values: rows.map((row) => row.partition) },
      { name: "offset", type: "UInt64", values: rows.map((row) => row.offset) },
      { name: "run_id", type: "String", values: rows.map(() => identity.runId) },
      { name: "hash", type: "UInt64", values: rows.map((row) => row.hash) },
      { name: "core_version", type: "UInt32", values: rows.map(() => coreVersion) }
    ]
  }
}

const checkpointsBlock = (flushes: ReadonlyArray<PartitionFlush>, identity: FlushIdentity): TableBlock => ({
  table: "checkpoints",
  rows: flushes.length,
  columns: [
    { name: "partition", type: "UInt16", values: flushes.map((flush) => flush.partition) },
    { name: "offset", type: "UInt64", values: flushes.map(({ position }) => position.offset) },
    {
      name: "watermark_ms",
      type: "Int64",
      values: flushes.map(({ position }) => position.watermark === -Infinity ? noWatermark : position.watermark)
    },
    {
      name: "counters",
      type: "Map(String, UInt64)",
      values: flushes.map(({ position: { counts } }) =>
        new Map([
          ["received", counts.received],
          ["accepted", counts.accepted],
          ["duplicate", counts.duplicate],
          ["late", counts.late],
          ["rejected", counts.rejected],
          ["dead_lettered", counts.deadLettered]
        ].map(([name, count]) => [name as string, BigInt(count!)]))
      )
    },
    { name: "decision_hash", type: "UInt64", values: flushes.map(({ position }) => position.decisionHash) },
    { name: "record_hash", type: "String", values: flushes.map((flush) => flush.recordHash) },
    { name: "log_id", type: "String", values: flushes.map(() => identity.logId) },
    { name: "partitions", type: "UInt16", values: flushes.map(() => identity.partitions) },
    { name: "settings", type: "String", values: flushes.map(() => JSON.stringify(identity.settings)) },
    { name: "core_version", type: "UInt32", values: flushes.map(() => coreVersion) },
    { name: "run_id", type: "String", values: flushes.map(() => identity.runId) }
  ]
})
