/** What the database knows of an event id. */
import { Effect } from "effect"
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { mentionSql } from "./Mention.ts"
import { tracedRecordsMax } from "./TraceRequest.ts"
import type { TraceRequest } from "./TraceRequest.ts"

/** The session as the view `sessions` shows it. */
export interface TracedSession {
  readonly sessionId: string
  /** The id that the event was accepted under, when another session has absorbed that one since. */
  readonly acceptedAs?: string | undefined
  readonly startedAt: string
  readonly endedAt: string
  readonly events: number
  readonly isOpen: boolean
}

export interface StoredRecord {
  readonly partition: Partition
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  readonly outcome: "accepted" | "late" | "rejected" | "dead-lettered"
  readonly why: string
  /** Absent for a dead letter. */
  readonly visitorId: string | undefined
  readonly event: Readonly<Record<string, unknown>> | undefined
  readonly session: TracedSession | undefined
}

/** Needs the tables: ask only when there is a checkpoint. */
export const stored = (
  request: TraceRequest
): Effect.Effect<ReadonlyArray<StoredRecord>, WarehouseError, Warehouse> =>
  Effect.map(
    Effect.all([accepted(request), late(request), rejected(request), deadLettered(request)]),
    (found) => found.flat()
  )

type Row = Readonly<Record<string, unknown>>

const query = (sql: string, parameters: Readonly<Record<string, unknown>>) =>
  Warehouse.use((warehouse) => warehouse.query(sql, parameters))

const parametersOf = ({ eventId, visitorId }: TraceRequest) => ({ id: eventId, visitor: visitorId ?? "" })
const byId = "event_id = {id:String} AND ({visitor:String} = '' OR visitor_id = {visitor:String})"
const placeColumns = "partition, offset, toUnixTimestamp64Milli(appended_at) AS appended_ms"
const inOrder = `ORDER BY partition, offset LIMIT ${tracedRecordsMax}`

const placeOf = (row: Row) => ({
  partition: Number(row["partition"]) as Partition,
  offset: Number(row["offset"]) as Offset,
  appendedAt: Number(row["appended_ms"]) as EpochMillis
})

const eventOf = (row: Row) => ({
  event_id: row["event_id"],
  visitor_id: row["visitor_id"],
  event_ts: isoTime(row["event_time"]),
  ...(row["event_type"] !== undefined && { event_type: row["event_type"] }),
  ...(row["item_id"] !== undefined && row["item_id"] !== "" && { item_id: row["item_id"] })
})

/** ClickHouse's "2026-01-02 03:04:05.678" in UTC. */
const isoTime = (text: unknown): string => `${String(text).replace(" ", "T")}Z`

const accepted = Effect.fnUntraced(function*(request: TraceRequest) {
  const columns =
    `${placeColumns}, event_id, visitor_id, toString(event_ts) AS event_time, event_type, item_id, session_id`
  const rows = yield* query(
    `SELECT ${columns} FROM events WHERE amendment_id = '' AND ${byId} ${inOrder}`,
    parametersOf(request)
  )
  if (rows.length === 0) return []
  const first = yield* query(
    `SELECT partition, offset, session_id FROM events_raw WHERE ${byId} LIMIT 1 BY partition, offset`,
    parametersOf(request)
  )
  const acceptedAs = new Map(
    first.map((row) => [`${String(row["partition"])}:${String(row["offset"])}`, row["session_id"]])
  )
  const sessions = yield* sessionsOf([...new Set(rows.map((row) => String(row["session_id"])))])
  return rows.map((row): StoredRecord => {
    const sessionId = String(row["session_id"])
    const before = acceptedAs.get(`${String(row["partition"])}:${String(row["offset"])}`)
    const session = sessions.get(sessionId)
    return {
      ...placeOf(row),
      outcome: "accepted",
      why: "in time, and no accepted event of its visitor had this id",
      visitorId: String(row["visitor_id"]),
      event: eventOf(row),
      session: session === undefined || before === undefined || before === sessionId ?
        session :
        { ...session, acceptedAs: String(before) }
    }
  })
})

const sessionsOf = (ids: ReadonlyArray<string>) =>
  Effect.map(
    query(
      "SELECT session_id, toString(started_at) AS start, toString(ended_at) AS end, events, is_open FROM sessions " +
        "WHERE session_id IN {ids:Array(String)}",
      { ids }
    ),
    (rows) =>
      new Map(rows.map((row): [string, TracedSession] => [String(row["session_id"]), {
        sessionId: String(row["session_id"]),
        startedAt: isoTime(row["start"]),
        endedAt: isoTime(row["end"]),
        events: Number(row["events"]),
        isOpen: row["is_open"] === true
      }]))
  )

const late = (request: TraceRequest) => {
  const settings = request.checkpoints[0] === undefined ? {} : JSON.parse(request.checkpoints[0].settings) as Row
  return Effect.map(
    query(
      `SELECT ${placeColumns}, event_id, visitor_id, toString(event_ts) AS event_time, event_type, item_id, ` +
        "toString(watermark) AS watermark_time, dateDiff('millisecond', event_ts, watermark) AS behind_ms, " +
        "(SELECT groupArray(((partition, offset), amendment_id)) FROM standing_amended_events WHERE event_id = {id:String}) AS held, " +
        "arrayFirst(pair -> pair.1 = (partition, offset), held).2 AS amendment_id " +
        `FROM late_events FINAL WHERE ${byId} ${inOrder}`,
      parametersOf(request)
    ),
    (rows) =>
      rows.map((row): StoredRecord => ({
        ...placeOf(row),
        outcome: "late",
        why: `event_ts was ${seconds(row["behind_ms"])} behind the watermark of its partition ` +
          `(${isoTime(row["watermark_time"])}); ${seconds(settings["latenessMs"])} are allowed` +
          (row["amendment_id"] === "" ? "" : `; amendment ${String(row["amendment_id"])} folded it into its day`),
        visitorId: String(row["visitor_id"]),
        event: eventOf(row),
        session: undefined
      }))
  )
}

const seconds = (ms: unknown): string => `${Number(ms) / 1_000} s`

const rejected = (request: TraceRequest) =>
  Effect.map(
    query(
      `SELECT ${placeColumns}, event_id, visitor_id, event_ts_ms, reason, detail FROM rejected_records FINAL ` +
        `WHERE ${byId} ${inOrder}`,
      parametersOf(request)
    ),
    (rows) =>
      rows.map((row): StoredRecord => ({
        ...placeOf(row),
        outcome: "rejected",
        why: `${String(row["reason"])}: ${String(row["detail"])}`,
        visitorId: String(row["visitor_id"]),
        event: { event_id: row["event_id"], visitor_id: row["visitor_id"], event_ts_ms: Number(row["event_ts_ms"]) },
        session: undefined
      }))
  )

/** By text: what did not decode has no fields. */
const deadLettered = (request: TraceRequest) => {
  const id = mentionSql(request.eventId)
  const visitor = request.visitorId === undefined ? undefined : mentionSql(request.visitorId)
  return Effect.map(
    query(
      `SELECT ${placeColumns}, reason, detail FROM dead_letters FINAL ` +
        "WHERE (match(value, {pattern:String}) OR position(value, unhex({avro:String})) > 0) " +
        "AND ({visitor:String} = '' OR match(value, {visitorPattern:String}) " +
        `OR position(value, unhex({visitorAvro:String})) > 0) ${inOrder}`,
      {
        pattern: id.pattern,
        avro: id.avroHex,
        visitor: request.visitorId ?? "",
        visitorPattern: visitor?.pattern ?? "",
        visitorAvro: visitor?.avroHex ?? ""
      }
    ),
    (rows) =>
      rows.map((row): StoredRecord => ({
        ...placeOf(row),
        outcome: "dead-lettered",
        why: `${String(row["reason"])}: ${String(row["detail"])}`,
        visitorId: undefined,
        event: undefined,
        session: undefined
      }))
  )
}
