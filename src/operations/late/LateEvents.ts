/**
 * The late events of a day or of all: where each lies in the log, how late it was, what it is worth, whether it only repeats a
 * record before it, and which amendment holds it.
 *
 * A repeat has the same visitor and event_id as a record before it in the log, accepted or late, and a time at most `repeatMs` from
 * it. The views of the KPIs say the same (clickhouse/0016), and the audit a third time.
 */
import { Effect, Schema } from "effect"
import { CoreSettings } from "../../domain/Settings.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"

/** Records of one id whose times are further apart than this are two events, ms. */
export const repeatMs = 3_600_000

/** Something asked of late events that cannot be; the message says why and what can. */
export class LateRefused extends Schema.TaggedError<LateRefused>()("LateRefused", { message: Schema.String }) {}

export interface ListedLateEvent {
  readonly partition: number
  readonly offset: number
  readonly eventId: string
  readonly visitorId: string
  /** ISO 8601. */
  readonly eventTs: string
  readonly eventType: string
  /** How far it was behind the watermark of its partition, seconds; the allowed lateness included. */
  readonly behindSec: number
  /** What it would have added to a day's revenue: price times quantity of a purchase. */
  readonly value: string
  /** Empty: the reporting currency. */
  readonly currency: string
  readonly isRepeat: boolean
  /** The amendment that has folded it in; empty: none. */
  readonly amendment: string
  /** Day of the reporting zone, its status, and when and by whom it was changed after it was final (empty: never). */
  readonly day: string
  readonly status: string
  readonly reopenedAt: string
  readonly reopenedBy: string
}

/** Newest first by the time the log took them, at most `limit`. `day` is one of the reporting zone, "2026-03-01". */
export const lateEvents = Effect.fnUntraced(function*(
  { day, limit }: { readonly day?: string | undefined; readonly limit: number }
): Effect.fn.Return<ReadonlyArray<ListedLateEvent>, WarehouseError | LateRefused, Warehouse> {
  const warehouse = yield* Warehouse
  const place = yield* readPlace
  if (place === undefined) return []
  const zone = `'${place.timeZone}'`
  const among = day === undefined ? "1" : duringSql(yield* spanOf(place, day))
  const picked = `SELECT * FROM late_events FINAL WHERE ${among} AND ${place.below}
    ORDER BY appended_at DESC, partition, offset DESC LIMIT ${limit}`
  const rows = yield* warehouse.query(`
    SELECT l.partition AS partition, toUInt64(l.offset) AS offset, l.event_id AS event_id, l.visitor_id AS visitor_id,
      toUnixTimestamp64Milli(l.event_ts) AS ts, toString(l.event_type) AS event_type,
      dateDiff('millisecond', l.event_ts, l.watermark) AS behind_ms,
      toString(if(l.event_type = 'purchase', toDecimal128(l.price, 4) * l.quantity, toDecimal128(0, 4))) AS value,
      toString(l.currency) AS currency, (l.partition, l.offset) IN (${repeatsSql(picked)}) AS is_repeat,
      a.amendment_id AS amendment, toString(toDate(l.event_ts, ${zone})) AS day, d.status AS status,
      toUnixTimestamp64Milli(d.reopened_at) AS reopened_ms, d.reopened_by AS reopened_by
    FROM (${picked}) AS l
    LEFT JOIN (SELECT partition, offset, amendment_id FROM standing_amended_events) AS a
      ON l.partition = a.partition AND l.offset = a.offset
    LEFT JOIN (SELECT metric_date, status, reopened_at, reopened_by FROM daily_metrics WHERE segment = 'all') AS d
      ON toDate(l.event_ts, ${zone}) = d.metric_date
    ORDER BY l.appended_at DESC, l.partition, l.offset DESC`)
  return rows.map((row) => ({
    partition: Number(row["partition"]),
    offset: Number(row["offset"]),
    eventId: String(row["event_id"]),
    visitorId: String(row["visitor_id"]),
    eventTs: isoTime(row["ts"]),
    eventType: String(row["event_type"]),
    behindSec: Number(row["behind_ms"]) / 1_000,
    value: String(row["value"]),
    currency: String(row["currency"]),
    isRepeat: Number(row["is_repeat"]) === 1,
    amendment: String(row["amendment"]),
    day: String(row["day"]),
    status: String(row["status"]),
    reopenedAt: Number(row["reopened_ms"]) === 0 ? "" : isoTime(row["reopened_ms"]),
    reopenedBy: String(row["reopened_by"])
  }))
})

/** The database as late events see it. */
export interface LatePlace {
  readonly settings: CoreSettings
  readonly timeZone: string
  /** By partition: before this time (watermark - lateness) everything is decided, epoch ms. */
  readonly decidedMs: ReadonlyMap<number, number>
  /** SQL: the record lies below the checkpoint of its partition. What lies above belongs to a flush that is not done. */
  readonly below: string
}

/** Undefined when nothing was ever processed. */
export const readPlace: Effect.Effect<LatePlace | undefined, WarehouseError, Warehouse> = Effect.gen(function*() {
  const warehouse = yield* Warehouse
  const heads = yield* warehouse.query(
    "SELECT partition, toString(max(c.offset)) AS offset, toString(argMax(watermark_ms, c.offset)) AS watermark_ms, " +
      "argMax(settings, c.offset) AS settings FROM checkpoints AS c GROUP BY partition ORDER BY partition"
  )
  if (heads.length === 0) return undefined
  const [reporting] = yield* warehouse.query("SELECT time_zone FROM reporting")
  const settings = Schema.decodeUnknownSync(CoreSettings)(JSON.parse(String(heads[0]!["settings"])))
  const list = (name: string) => heads.map((row) => String(row[name])).join(", ")
  return {
    settings,
    timeZone: String(reporting!["time_zone"]),
    decidedMs: new Map(
      heads.map((row) => [Number(row["partition"]), Number(row["watermark_ms"]) - settings.latenessMs])
    ),
    below: `offset < transform(partition, [${list("partition")}]::Array(UInt16), ` +
      `[${list("offset")}]::Array(UInt64), toUInt64(0))`
  }
})

/** Epoch ms: inclusive, exclusive. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** The instants of a day of the reporting zone; its length is 23 or 25 hours where the clock changes. */
export const spanOf = Effect.fnUntraced(function*(
  { timeZone }: LatePlace,
  day: string
): Effect.fn.Return<Span, WarehouseError | LateRefused, Warehouse> {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || Number.isNaN(Date.parse(day))) {
    return yield* new LateRefused({ message: `"${day}" is no day: write it as 2026-03-01.` })
  }
  const [row] = yield* (yield* Warehouse).query(
    `SELECT toUnixTimestamp(toDateTime(toDate({day:String}), '${timeZone}')) AS first,
       toUnixTimestamp(toDateTime(toDate({day:String}) + 1, '${timeZone}')) AS after`,
    { day }
  )
  return { from: Number(row!["first"]) * 1_000, to: Number(row!["after"]) * 1_000 }
})

/** SQL: `event_ts` lies in the span. */
export const duringSql = ({ from, to }: Span): string => `event_ts >= ${timeSql(from)} AND event_ts < ${timeSql(to)}`

export const timeSql = (ms: number): string => `fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC')`

/**
 * Partition and offset of those of the late events that are repeats. The accepted events are looked up by the hours around, which
 * lead their key.
 * @param late a SELECT of rows of late_events
 */
export const repeatsSql = (late: string): string => `
  SELECT l.partition, l.offset FROM (${late}) AS l
  INNER JOIN (
    SELECT visitor_id, event_id, event_ts, offset FROM events_raw
    WHERE (visitor_id, event_id) IN (SELECT visitor_id, event_id FROM (${late}))
      AND toDate(event_ts) IN (SELECT toDate(event_ts) + arrayJoin([-1, 0, 1]) FROM (${late}))
      AND toStartOfHour(event_ts) IN (SELECT toStartOfHour(event_ts) + toIntervalHour(arrayJoin([-1, 0, 1])) FROM (${late}))
    UNION ALL
    SELECT visitor_id, event_id, event_ts, offset FROM late_events
    WHERE (visitor_id, event_id) IN (SELECT visitor_id, event_id FROM (${late}))
  ) AS earlier ON l.visitor_id = earlier.visitor_id AND l.event_id = earlier.event_id
  WHERE earlier.offset < l.offset AND abs(dateDiff('millisecond', earlier.event_ts, l.event_ts)) <= ${repeatMs}`

const isoTime = (ms: unknown): string => new Date(Number(ms)).toISOString()
