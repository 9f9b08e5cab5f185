/**
 * A flush as blocks of rows, in the order in which they must be acknowledged: data, then the days it touched, then the decision
 * hashes, and only then the checkpoint that makes it count. Writing any of it again changes nothing.
 */
import type { EpochMillis, Partition, SessionId } from "../domain/Identifiers.ts"
import type { CoreSettings } from "../domain/Settings.ts"
import { coreVersion, longestWindowMs } from "../domain/Settings.ts"
import type { AcceptedEvents, Changes, KeptRecord, Tombstone } from "../sessionizer/Changes.ts"
import type { Finding } from "../sessionizer/Finding.ts"
import type { CorePosition } from "../sessionizer/PartitionCore.ts"
import type { Session } from "../sessionizer/Session.ts"
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
      keptBlock("dead_letters", flushes, (changes) => changes.deadLetters)
    ],
    [sessionsBlock(flushes), aliasesBlock(flushes), findingsBlock(flushes, identity.settings)],
    [touchedDaysBlock(flushes, identity.settings)],
    [decisionHashesBlock(flushes, identity)],
    [checkpointsBlock(flushes, identity)]
  ].map((step) => step.filter((block) => block.rows > 0)).filter((step) => step.length > 0)

const eventsBlock = (flushes: ReadonlyArray<PartitionFlush>): TableBlock => {
  const of = <A>(read: (events: AcceptedEvents) => ReadonlyArray<A>): ReadonlyArray<A> =>
    flushes.length === 1 ? read(flushes[0]!.changes.events) : flushes.flatMap(({ changes }) => read(changes.events))
  const eventId = of((events) => events.eventId)
  return {
    table: "events_raw",
    rows: eventId.length,
    columns: [
      { name: "event_id", type: "String", values: eventId },
      { name: "visitor_id", type: "String", values: of((events) => events.visitorId) },
      { name: "event_ts", type: "DateTime64(3, 'UTC')", values: of((events) => events.eventTs) },
      { name: "event_type", type: "LowCardinality(String)", values: of((events) => events.eventType) },
      { name: "item_id", type: "String", values: of((events) => events.itemId) },
      { name: "category", type: "LowCardinality(String)", values: of((events) => events.category) },
      { name: "price", type: "Decimal(18, 4)", values: of((events) => events.price) },
      { name: "currency", type: "LowCardinality(String)", values: of((events) => events.currency) },
      { name: "quantity", type: "UInt32", values: of((events) => events.quantity) },
      { name: "url", type: "String", values: of((events) => events.url) },
      { name: "referrer", type: "String", values: of((events) => events.referrer) },
      { name: "user_agent", type: "String", values: of((events) => events.userAgent) },
      { name: "properties", type: "Map(String, String)", values: of((events) => events.properties) },
      { name: "truncated", type: "Bool", values: of((events) => events.truncated) },
      { name: "appended_at", type: "DateTime64(3, 'UTC')", values: of((events) => events.appendedAt) },
      {
        name: "partition",
        type: "UInt16",
        values: flushes.flatMap(({ changes, partition }) =>
          Array.from<number>({ length: changes.events.length }).fill(partition)
        )
      },
      { name: "offset", type: "UInt64", values: of((events) => events.offset) },
      { name: "session_id", type: "String", values: of((events) => events.sessionId) }
    ]
  }
}

/** A session row: a living session or the tombstone of one that was merged away. */
const eachSessionRow = (
  { changes }: PartitionFlush,
  visit: (
    id: SessionId,
    startedAt: EpochMillis,
    endedAt: EpochMillis,
    version: number,
    row: Session | Tombstone
  ) => void
): void => {
  for (const session of changes.sessions) {
    if (!session.merged) visit(session.id, session.startedAt, session.endedAt, session.version, session)
  }
  for (const tombstone of changes.tombstones) {
    visit(tombstone.absorbedId, tombstone.startedAt, tombstone.endedAt, tombstone.version, tombstone)
  }
}

const noAmounts: ReadonlyMap<string, bigint> = new Map()

/** Filled in one pass, like the events. A tombstone counts nothing. */
const sessionsBlock = (flushes: ReadonlyArray<PartitionFlush>): TableBlock => {
  const ids: Array<string> = []
  const visitorIds: Array<string> = []
  const startedAts: Array<number> = []
  const endedAts: Array<number> = []
  const events: Array<number> = []
  const clicks: Array<number> = []
  const carts: Array<number> = []
  const purchases: Array<number> = []
  const uniqueItems: Array<number> = []
  const revenues: Array<bigint> = []
  const revenuesByCurrency: Array<ReadonlyMap<string, bigint>> = []
  const entryUrls: Array<string> = []
  const exitUrls: Array<string> = []
  const firstReferrers: Array<string> = []
  const userAgents: Array<string> = []
  const mergedInto: Array<string> = []
  const partitions: Array<number> = []
  const versions: Array<number> = []
  for (const flush of flushes) {
    eachSessionRow(flush, (id, startedAt, endedAt, version, row) => {
      ids.push(id)
      startedAts.push(startedAt)
      endedAts.push(endedAt)
      versions.push(version)
      visitorIds.push(row.visitorId)
      partitions.push(flush.partition)
      const session = "mergedInto" in row ? undefined : row
      mergedInto.push("mergedInto" in row ? row.mergedInto : "")
      events.push(session?.events ?? 0)
      clicks.push(session?.clicks ?? 0)
      carts.push(session?.carts ?? 0)
      purchases.push(session?.purchases ?? 0)
      uniqueItems.push(session?.uniqueItems ?? 0)
      revenues.push(session?.revenue ?? 0n)
      revenuesByCurrency.push(sorted(session?.revenueByCurrency))
      entryUrls.push(session?.entryUrl ?? "")
      exitUrls.push(session?.exitUrl ?? "")
      firstReferrers.push(session?.firstReferrer ?? "")
      userAgents.push(session?.userAgent ?? "")
    })
  }
  return {
    table: "sessions_raw",
    rows: ids.length,
    columns: [
      { name: "session_id", type: "String", values: ids },
      { name: "visitor_id", type: "String", values: visitorIds },
      { name: "started_at", type: "DateTime64(3, 'UTC')", values: startedAts },
      { name: "ended_at", type: "DateTime64(3, 'UTC')", values: endedAts },
      { name: "events", type: "UInt32", values: events },
      { name: "clicks", type: "UInt32", values: clicks },
      { name: "carts", type: "UInt32", values: carts },
      { name: "purchases", type: "UInt32", values: purchases },
      { name: "unique_items", type: "UInt32", values: uniqueItems },
      { name: "revenue", type: "Decimal(38, 4)", values: revenues },
      { name: "revenue_by_currency", type: "Map(String, Decimal(38, 4))", values: revenuesByCurrency },
      { name: "entry_url", type: "String", values: entryUrls },
      { name: "exit_url", type: "String", values: exitUrls },
      { name: "first_referrer", type: "String", values: firstReferrers },
      { name: "user_agent", type: "String", values: userAgents },
      { name: "merged_into", type: "String", values: mergedInto },
      { name: "partition", type: "UInt16", values: partitions },
      { name: "version", type: "UInt64", values: versions }
    ]
  }
}

/**
 * By currency code: a row has one possible content, in whatever order purchases came. A copy, since the session goes on while
 * the block is written.
 */
const sorted = (amounts: ReadonlyMap<string, bigint> | undefined): ReadonlyMap<string, bigint> =>
  amounts === undefined ? noAmounts : new Map([...amounts].sort(([a], [b]) => a < b ? -1 : 1))

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
    for (let i = 0; i < events.length; i++) {
      byEvents.touch(Math.floor(events.eventTs[i]! / quarterMs), events.offset[i]! + 1)
    }
    for (const { event, offset } of late) byEvents.touch(Math.floor(event!.eventTs / quarterMs), offset + 1)
    const bySessions = new TouchedQuarters()
    eachSessionRow(flush, (id, startedAt, _endedAt, version) => {
      const openingQuarter = Math.floor(openedAt(id) / quarterMs)
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
const openedAt = (id: SessionId): number => Number.parseInt(id.slice(0, 12), 16)

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
