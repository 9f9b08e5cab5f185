/**
 * What a fold needs of the database for some visitors: their late events, those that amendments hold, and the accepted sessions
 * that any of these reach.
 */
import { Effect, Stream } from "effect"
import type { ClickEvent } from "../../domain/ClickEvent.ts"
import type { RecordSource } from "../../domain/EventBatch.ts"
import { isEvent } from "../../domain/EventBatch.ts"
import type { EpochMillis, EventId, Offset, Partition, VisitorId } from "../../domain/Identifiers.ts"
import type { Price } from "../../domain/Money.ts"
import { SchemaRegistry } from "../../log/SchemaRegistry.ts"
import type { RegistryError } from "../../log/SchemaRegistry.ts"
import type { EncodedBatch } from "../../log/WireFormat.ts"
import { EventDecoder } from "../../log/WireFormat.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import type { AcceptedSession, LateRecord, SessionFigures } from "./FoldedSessions.ts"
import type { LatePlace } from "./LateEvents.ts"
import { timeSql } from "./LateEvents.ts"

type Row = Readonly<Record<string, unknown>>

/** The late events of a SELECT of late_events, with all that their records say. */
export const lateRecords = Effect.fnUntraced(function*(
  late: string,
  amendmentId: string
): Effect.fn.Return<ReadonlyArray<LateRecord>, WarehouseError | RegistryError, Warehouse | SchemaRegistry> {
  const registry = yield* SchemaRegistry
  const decoder = new EventDecoder((id) => registry.byId(id))
  const rows = yield* (yield* Warehouse).query(
    `SELECT partition, toString(offset) AS offset, toString(toUnixTimestamp64Milli(appended_at)) AS appended_ms,
       hex(original) AS original FROM (${late}) ORDER BY partition, offset`
  )
  const batches = [...Map.groupBy(rows, (row) => Number(row["partition"]))]
  return yield* Stream.fromIterable(batches).pipe(
    Stream.mapEffect(([partition, ofPartition]) =>
      Effect.map(
        decoder.decodeBatch(encodedBatch(partition, ofPartition)),
        (events) =>
          [...events.records()].map(({ appendedAt, content, offset }): LateRecord => {
            // It was decoded once, or it would be no late event.
            if (!isEvent(content)) throw new Error(`late record ${partition}/${offset}: ${content.detail}`)
            return { event: content, partition, offset, appendedAt, amendmentId }
          })
      )
    ),
    Stream.runFold(() => [] as ReadonlyArray<LateRecord>, (all, some) => [...all, ...some])
  )
})

const encodedBatch = (partition: number, rows: ReadonlyArray<Row>): EncodedBatch => {
  const values = rows.map((row) => Buffer.from(String(row["original"]), "hex"))
  const ends: Array<number> = []
  for (const value of values) ends.push((ends.at(-1) ?? 0) + value.length)
  const source: RecordSource = { value: (i) => values[i]!, key: () => noBytes, headers: () => undefined }
  return {
    ...source,
    partition: partition as Partition,
    count: rows.length,
    bytes: Buffer.concat(values),
    offset: (i) => Number(rows[i]!["offset"]) as Offset,
    appendedAt: (i) => Number(rows[i]!["appended_ms"]) as EpochMillis,
    valueStart: (i) => i === 0 ? 0 : ends[i - 1]!,
    valueEnd: (i) => ends[i]!,
    value: (i) => values[i]!
  }
}

const noBytes = Buffer.alloc(0)

/** The late events of these visitors that amendments hold now. `visitors` is a SELECT of ids. */
export const standingRecords = Effect.fnUntraced(function*(
  visitors: string
): Effect.fn.Return<ReadonlyArray<LateRecord>, WarehouseError, Warehouse> {
  const rows = yield* (yield* Warehouse).query(
    `SELECT *, toString(toUnixTimestamp64Milli(event_ts)) AS ts, toString(toUnixTimestamp64Milli(appended_at)) AS appended_ms,
       toString(toInt128(toDecimal128(price, 4) * 10000)) AS price_units
     FROM standing_amended_events WHERE visitor_id IN (${visitors}) ORDER BY partition, offset`
  )
  return rows.map((row): LateRecord => ({
    event: {
      eventId: String(row["event_id"]) as EventId,
      visitorId: String(row["visitor_id"]) as VisitorId,
      eventTs: Number(row["ts"]) as EpochMillis,
      eventType: String(row["event_type"]),
      itemId: String(row["item_id"]),
      category: String(row["category"]),
      price: Number(row["price_units"]) as Price,
      currency: String(row["currency"]),
      quantity: Number(row["quantity"]),
      url: String(row["url"]),
      referrer: String(row["referrer"]),
      userAgent: String(row["user_agent"]),
      properties: row["properties"] as ClickEvent["properties"],
      truncated: Boolean(row["truncated"])
    },
    partition: Number(row["partition"]),
    offset: Number(row["offset"]),
    appendedAt: Number(row["appended_ms"]),
    amendmentId: String(row["amendment_id"])
  }))
})

/** An amended session as it stands. */
export interface StandingSession extends SessionFigures {
  readonly lateEvents: number
  readonly replaces: ReadonlyArray<string>
}

export const standingSessions = Effect.fnUntraced(function*(
  visitors: string
): Effect.fn.Return<ReadonlyArray<StandingSession>, WarehouseError, Warehouse> {
  const rows = yield* (yield* Warehouse).query(
    `SELECT *, ${figuresSql} FROM standing_amended_sessions WHERE visitor_id IN (${visitors})`
  )
  return rows.map((row) => ({
    ...figuresOf(row),
    lateEvents: Number(row["late_events"]),
    replaces: row["replaces"] as ReadonlyArray<string>
  }))
})

/** The accepted sessions of the late events' visitors that lie within the gap of one of them. */
export const reachedSessions = Effect.fnUntraced(function*(
  { below, settings: { gapMs } }: LatePlace,
  visitors: string,
  late: ReadonlyArray<LateRecord>
): Effect.fn.Return<ReadonlyArray<AcceptedSession>, WarehouseError, Warehouse> {
  if (late.length === 0) return []
  const warehouse = yield* Warehouse
  const times = Map.groupBy(late, ({ event }) => event.visitorId as string)
  const from = late.reduce((least, { event }) => Math.min(least, event.eventTs), Infinity) - gapMs
  const to = late.reduce((most, { event }) => Math.max(most, event.eventTs), -Infinity) + gapMs
  const sessions = `SELECT * FROM sessions_raw FINAL WHERE merged_into = '' AND visitor_id IN (${visitors})
    AND started_at <= ${timeSql(to)} AND ended_at >= ${timeSql(from)}`
  const near = (yield* warehouse.query(`SELECT *, ${figuresSql} FROM (${sessions})`)).map(figuresOf).filter((session) =>
    times.get(session.visitorId)?.some(({ event: { eventTs } }) =>
      eventTs >= session.startedAt - gapMs && eventTs <= session.endedAt + gapMs
    ) === true
  )
  if (near.length === 0) return []
  const first = near.reduce((least, { startedAt }) => Math.min(least, startedAt), Infinity)
  const last = near.reduce((most, { endedAt }) => Math.max(most, endedAt), -Infinity)
  const details = new Map(
    (yield* warehouse.query(
      `SELECT s.session_id AS id, groupUniqArrayIf(e.item_id, e.item_id != '') AS items,
         toString(minIf(e.offset, e.event_ts = s.started_at)) AS first_offset,
         toString(maxIf(e.offset, e.event_ts = s.ended_at)) AS last_offset
       FROM (
         SELECT visitor_id, event_ts, item_id, offset FROM events_raw FINAL
         WHERE event_ts >= ${timeSql(first)} AND event_ts <= ${
        timeSql(last)
      } AND visitor_id IN (${visitors}) AND ${below}
       ) AS e
       INNER JOIN (SELECT session_id, visitor_id, started_at, ended_at FROM (${sessions})) AS s ON s.visitor_id = e.visitor_id
       WHERE e.event_ts >= s.started_at AND e.event_ts <= s.ended_at
       GROUP BY id`
    )).map((row) => [String(row["id"]), row])
  )
  return near.flatMap((session) => {
    const detail = details.get(session.sessionId)
    return detail === undefined ? [] : [{
      ...session,
      items: new Set(detail["items"] as ReadonlyArray<string>),
      firstOffset: Number(detail["first_offset"]),
      lastOffset: Number(detail["last_offset"])
    }]
  })
})

/** Times as epoch ms, amounts as ten-thousandths, both as text. */
const figuresSql = `toString(toUnixTimestamp64Milli(started_at)) AS started_ms,
  toString(toUnixTimestamp64Milli(ended_at)) AS ended_ms, toString(toInt128(revenue * 10000)) AS revenue_units,
  mapApply((k, v) -> (toString(k), toString(toInt128(v * 10000))), revenue_by_currency) AS by_currency_units`

const figuresOf = (row: Row): SessionFigures => ({
  sessionId: String(row["session_id"]),
  visitorId: String(row["visitor_id"]),
  startedAt: Number(row["started_ms"]),
  endedAt: Number(row["ended_ms"]),
  events: Number(row["events"]),
  clicks: Number(row["clicks"]),
  carts: Number(row["carts"]),
  purchases: Number(row["purchases"]),
  uniqueItems: Number(row["unique_items"]),
  revenue: BigInt(String(row["revenue_units"])),
  revenueByCurrency: new Map(
    Object.entries(row["by_currency_units"] as Record<string, string>).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([currency, amount]) => [currency, BigInt(amount)])
  ),
  entryUrl: String(row["entry_url"]),
  exitUrl: String(row["exit_url"]),
  firstReferrer: String(row["first_referrer"]),
  userAgent: String(row["user_agent"]),
  partition: Number(row["partition"])
})
