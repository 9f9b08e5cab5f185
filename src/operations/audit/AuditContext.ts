/**
 * What an audit is about: a day or everything, as of the newest checkpoints at its beginning. Whatever lies at or above a
 * checkpoint (a flush in the midst, one that was killed, a zombie's) belongs to no audit.
 */
import { Effect, Schema } from "effect"
import { CoreSettings } from "../../domain/Settings.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"

/** Everything, or one UTC day, by the epoch ms of its midnight. */
export type AuditScope = "all" | { readonly dayStart: number }

/** The newest checkpoint of a partition. */
export interface AuditedPartition {
  readonly partition: number
  /** Offsets before it are audited. */
  readonly offset: number
  /** Greatest event_ts accepted, epoch ms; the least safe integer when there is none. */
  readonly watermark: number
  readonly counters: Readonly<Record<string, number>>
  readonly recordHash: string
  readonly logId: string
  readonly partitions: number
}

/** A share of the scope that one query can bear: a run of days, and of a day with very many events some of the visitors. */
export interface Slice {
  /** Epoch ms, inclusive. */
  readonly from: number
  /** Epoch ms, exclusive. */
  readonly to: number
  /** Visitors whose hash modulo `buckets` is `bucket`. */
  readonly bucket: number
  readonly buckets: number
}

/** UTC days whose events were dropped, with whole partitions, to make room. */
export interface GoneDays {
  readonly days: number
  /** As "2026-01-31". */
  readonly first: string
  readonly last: string
  /** Midnight that ends them, epoch ms: events at or after it are kept. */
  readonly until: number
}

export interface AuditContext {
  readonly scope: AuditScope
  /** Undefined: everything is kept. */
  readonly gone: GoneDays | undefined
  readonly partitions: ReadonlyArray<AuditedPartition>
  readonly settings: CoreSettings
  /** They cover the scope without a gap and without an overlap, in time order. */
  readonly slices: ReadonlyArray<Slice>
  /** Events that one query takes, more or less. */
  readonly sliceEventsMax: number
  /** Differences that a check looks at again: see `InFlux.ts`. */
  readonly recheckedMax: number
}

/** What a check holds of one slice in our own memory: some 100 bytes for each. */
export const recheckedMax = 10_000

/**
 * Events of a slice: a query takes some 300 bytes for each, so that it stays below 500 MB, spilling included. A slice is read two
 * or three times.
 */
export const sliceEventsMax = 1_000_000

export const dayMs = 86_400_000

/** The times that a DateTime64(3) holds, epoch ms: 1970-01-01 to the end of 2299. */
const firstTime = 0
const lastTime = 10_413_791_999_000

/** Reads the checkpoints and cuts the scope into slices; undefined when nothing was ever processed. */
export const auditContext = Effect.fnUntraced(function*(
  scope: AuditScope,
  eventsMax: number = sliceEventsMax,
  differencesMax: number = recheckedMax
): Effect.fn.Return<AuditContext | undefined, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const rows = yield* warehouse.query(newestCheckpointsSql)
  if (rows.length === 0) return undefined
  const partitions = rows.map(partitionOf)
  const settings = Schema.decodeUnknownSync(CoreSettings)(JSON.parse(String(rows[0]!["settings"])))
  const gone = yield* goneDays
  const days = yield* warehouse.query(
    `SELECT toUnixTimestamp(toDateTime(toDate(event_ts), 'UTC')) * 1000 AS day_ms, count() AS events FROM events_raw
     WHERE offset < ${offsetsOf(partitions)} GROUP BY day_ms ORDER BY day_ms SETTINGS max_threads = 1`
  )
  return {
    scope,
    partitions,
    gone,
    settings,
    slices: keptSlices(
      slicesOf(scope, days.map((row) => [Number(row["day_ms"]), Number(row["events"])]), eventsMax),
      decidableFrom({ gone, settings })
    ),
    sliceEventsMax: eventsMax,
    recheckedMax: differencesMax
  }
})

/**
 * Days before the oldest that has events, in a quarter of an hour of which the pipeline accepted some: it was touched, and either no
 * late event lies in it that did so, or the KPIs counted accepted ones. A day that lacks its events between others that have them, or
 * after them, was not dropped but lost.
 */
const goneDays: Effect.Effect<GoneDays | undefined, WarehouseError, Warehouse> = Effect.gen(function*() {
  const [row] = yield* (yield* Warehouse).query(
    `WITH (SELECT toDate(min(event_ts)) FROM events_raw HAVING count() > 0) AS oldest
     SELECT uniqExact(toDate(quarter)) AS days, toString(min(toDate(quarter))) AS first, toString(max(toDate(quarter))) AS last,
       toUnixTimestamp(toDateTime(any(oldest), 'UTC')) AS until
     FROM touched_days
     WHERE cause = 'pipeline' AND kind = 'events' AND quarter < toDateTime(oldest, 'UTC') AND (
       quarter NOT IN (SELECT toStartOfFifteenMinutes(event_ts) FROM late_events WHERE event_ts < toDateTime(oldest, 'UTC'))
       OR quarter IN (
         SELECT quarter FROM (SELECT quarter, events, amended_events FROM event_quarters FINAL) WHERE events > amended_events
       )
     ) ${modestly}`
  )
  const days = Number(row!["days"])
  return days === 0 ?
    undefined :
    { days, first: String(row!["first"]), last: String(row!["last"]), until: Number(row!["until"]) * 1_000 }
})

/** A session that began later has all of its events among those that are kept: none before it is within the gap. */
export const decidableFrom = ({ gone, settings }: Pick<AuditContext, "gone" | "settings">): number =>
  gone === undefined ? firstTime : gone.until + settings.gapMs

/** Ids of sessions that opened before were dropped with their days, if those of `sessions_raw` were dropped as well. */
export const keptIdFrom = ({ gone }: Pick<AuditContext, "gone">): string => idPrefix(gone?.until ?? firstTime)

/** Session ids begin with their opening event's time. */
export const idPrefix = (ms: number): string => ms.toString(16).padStart(12, "0")

/** The slices from a time on; one that is empty where all lie before it. */
const keptSlices = (slices: ReadonlyArray<Slice>, begin: number): ReadonlyArray<Slice> => {
  const kept = slices.filter(({ to }) => to > begin).map((slice) => ({ ...slice, from: Math.max(slice.from, begin) }))
  const { to } = slices.at(-1)!
  return kept.length > 0 ? kept : [{ from: to, to, bucket: 0, buckets: 1 }]
}

const newestCheckpointsSql = `
SELECT partition, offset, watermark_ms, counters, record_hash, log_id, partitions, settings
FROM checkpoints ORDER BY partition, offset DESC, written_at DESC LIMIT 1 BY partition`

const partitionOf = (row: Readonly<Record<string, unknown>>): AuditedPartition => ({
  partition: Number(row["partition"]),
  offset: Number(row["offset"]),
  watermark: Number(row["watermark_ms"]),
  counters: Object.fromEntries(
    Object.entries(row["counters"] as Record<string, string>).map(([name, count]) => [name, Number(count)])
  ),
  recordHash: String(row["record_hash"]),
  logId: String(row["log_id"]),
  partitions: Number(row["partitions"])
})

/** The checkpoint of a row's partition: `offset < below(context)`, `version <= below(context)`. */
export const below = ({ partitions }: Pick<AuditContext, "partitions">): string => offsetsOf(partitions)

const offsetsOf = (partitions: ReadonlyArray<AuditedPartition>): string =>
  byPartition(partitions, ({ offset }) => offset, "UInt64")

/** A number for each partition, as an expression over the column `partition`; 0 for a partition without a checkpoint. */
export const byPartition = (
  partitions: ReadonlyArray<AuditedPartition>,
  value: (partition: AuditedPartition) => number,
  type: "UInt64" | "Int64"
): string =>
  `transform(partition, CAST([${partitions.map(({ partition }) => partition).join(", ")}], 'Array(UInt16)'), ` +
  `CAST([${partitions.map(value).join(", ")}], 'Array(${type})'), to${type}(0))`

/** Days with few events together, a day with too many by visitors. `days`: midnight and number of events, ascending. */
export const slicesOf = (
  scope: AuditScope,
  days: ReadonlyArray<readonly [number, number]>,
  eventsMax: number
): ReadonlyArray<Slice> => {
  const [begin, end] = scope === "all" ? [firstTime, lastTime] : [scope.dayStart, scope.dayStart + dayMs]
  const ranges: Array<{ from: number; to: number; events: number }> = []
  for (const [day, events] of days) {
    if (day + dayMs <= begin || day >= end) continue
    const last = ranges.at(-1)
    if (last !== undefined && last.events + events <= eventsMax) {
      last.events += events
      last.to = day + dayMs
    } else ranges.push({ from: last?.to ?? begin, to: day + dayMs, events })
  }
  // Rows that nothing accounts for may lie where there are no events.
  if (ranges.length === 0) ranges.push({ from: begin, to: end, events: 0 })
  ranges.at(-1)!.to = end
  return ranges.flatMap(({ events, from, to }) => {
    const buckets = Math.max(1, Math.ceil(events / eventsMax))
    return Array.from({ length: buckets }, (_, bucket) => ({ from, to, bucket, buckets }))
  })
}

/** Offsets from .. to - 1, of every partition. */
export interface Offsets {
  readonly from: number
  readonly to: number
}

/** Cuts offsets so that a query reads some `eventsMax` records of all partitions together. */
export const chunksOf = ({ from, to }: Offsets, partitions: number, eventsMax: number): ReadonlyArray<Offsets> => {
  const step = Math.max(1, Math.floor(eventsMax / partitions))
  return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => ({
    from: from + i * step,
    to: Math.min(to, from + (i + 1) * step)
  }))
}

/** Everything below the checkpoints. */
export const allOffsets = ({ partitions }: AuditContext): Offsets => ({
  from: 0,
  to: Math.max(...partitions.map(({ offset }) => offset))
})

/** A time as an expression; what no DateTime64 holds is cut to what it does. */
export const time = (ms: number): string =>
  `fromUnixTimestamp64Milli(toInt64(${Math.min(lastTime, Math.max(firstTime, ms))}), 'UTC')`

/** The visitors of a slice, as a condition. */
export const visitorsOf = ({ bucket, buckets }: Slice): string =>
  buckets === 1 ? "1" : `cityHash64(visitor_id) % ${buckets} = ${bucket}`

/**
 * Behind every query: one thread, after ingestion and analysts (their priorities are in ServerConfig.ts), and on disk what would
 * take much memory, so that an audit beside a running pipeline costs it little.
 */
export const modestly = "SETTINGS max_threads = 1, priority = 20, max_bytes_before_external_sort = 150000000, " +
  "max_bytes_before_external_group_by = 150000000, max_bytes_ratio_before_external_sort = 0, " +
  "max_bytes_ratio_before_external_group_by = 0"
