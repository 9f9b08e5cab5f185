/**
 * The histories of visitors, by SQL: their sessions, put together by ClickHouse from events alone, and the single events that ids
 * and rule windows need. Session rows only say from when a visitor's events are worth reading.
 */
import { Effect } from "effect"
import type { Offset, Partition, SessionId, VisitorId } from "../domain/Identifiers.ts"
import { epochMillis } from "../domain/Identifiers.ts"
import type { Click } from "../sessionizer/Clicks.ts"
import { fingerprintSql, fingerprintWords } from "../sessionizer/Fingerprint.ts"
import type { SessionParts } from "../sessionizer/SessionParts.ts"
import type { SeenHistory, VisitorHistory } from "../sessionizer/VisitorHistory.ts"
import { literal, reachable, time } from "./RecoverySql.ts"
import { RowBinaryReader } from "./RowBinaryReader.ts"
import type { HistoryRequest, VisitHistory } from "./StateStore.ts"
import type { Warehouse, WarehouseError } from "./Warehouse.ts"

/**
 * SQL text of visitor ids in one query, UTF-16 units. A query for thousands of visitors reads the whole horizon, however many they
 * are, so the fewer queries the better; the client allows statements of 64 MiB.
 */
const visitorsTextMax = 4_000_000

/** Statements that run side by side. */
const statementsAtOnce = 2

/** Shows a history for every visitor asked for: those of one statement while others are still under way. */
export const readHistories = Effect.fnUntraced(function*(
  warehouse: Warehouse["Service"],
  request: HistoryRequest,
  reportingCurrency: string,
  visit: VisitHistory
): Effect.fn.Return<void, WarehouseError> {
  const bounds = yield* findBounds(warehouse, request)
  const known: Array<Wanted> = []
  for (const { partition, visitors } of request.partitions) {
    for (const [visitorId, given] of visitors) {
      const bound = given === undefined ? bounds.get(visitorId) : { from: given, events: 0 }
      if (bound === undefined) visit(partition, { visitorId, sessions: [], seen: [], clicks: [] })
      else known.push({ partition, visitorId, ...bound, literal: literal(visitorId) })
    }
  }
  yield* Effect.forEach(
    chunks(request, known),
    (chunk) => readChunk(warehouse, chunk, reportingCurrency, visit),
    { concurrency: statementsAtOnce, discard: true }
  )
})

/** From when a visitor's events matter, and about how many there are; 0: not known. */
interface Bound {
  readonly from: number
  readonly events: number
}

/** The bounds of those visitors of whom nobody knows it yet; of those that are missing no event matters. */
const findBounds = Effect.fnUntraced(function*(
  warehouse: Warehouse["Service"],
  { partitions }: HistoryRequest
): Effect.fn.Return<ReadonlyMap<string, Bound>, WarehouseError> {
  const unknown = partitions.flatMap(({ visitors }) =>
    [...visitors].flatMap(([visitorId, from]) => from === undefined ? [literal(visitorId)] : [])
  )
  const bounds = new Map<string, Bound>()
  for (let start = 0; start < unknown.length;) {
    const end = statementEnd(unknown, start, (text) => text)
    const reader = new RowBinaryReader(
      yield* warehouse.queryBytes(boundsSql(unknown.slice(start, end), reachable(partitions)))
    )
    while (!reader.done) bounds.set(reader.string(), { from: reader.integer(), events: reader.uint32() })
    start = end
  }
  return bounds
})

/** Where the ids from `start` on that fit into one statement end. */
const statementEnd = <A>(all: ReadonlyArray<A>, start: number, text: (each: A) => string): number => {
  let end = start
  for (
    let length = 0;
    end < all.length && (end === start || length + text(all[end]!).length < visitorsTextMax);
    end++
  ) {
    length += text(all[end]!).length + 1
  }
  return end
}

const boundsSql = (visitors: ReadonlyArray<string>, condition: string): string => `
SELECT visitor_id, toUnixTimestamp64Milli(min(started_at)), max(events)
FROM sessions_raw
WHERE visitor_id IN (${visitors.join(",")}) AND (${condition})
GROUP BY visitor_id
${visitors.length > visitorsByFilterMax ? "SETTINGS ignore_data_skipping_indices = 'by_visitor'" : ""}`

/** A visitor to read. */
interface Wanted extends Bound {
  readonly partition: Partition
  readonly visitorId: VisitorId
  readonly literal: string
}

/** A part of a request that fits into one statement. */
interface Chunk {
  readonly visitors: ReadonlyArray<Wanted>
  readonly condition: string
  readonly from: number
  readonly recentFrom: number
  readonly withIds: boolean
}

/**
 * A visitor with so many events in a session has blocks of its own in the table: a few such are found by the Bloom filters, and do not
 * make the statements for all others long.
 */
const busyEventsMin = 10_000
/** Sessions that began at most this long before all that is recent are read with it; only others make a statement read far back, ms. */
const nearMs = 3_600_000

const chunks = ({ partitions }: HistoryRequest, known: ReadonlyArray<Wanted>): ReadonlyArray<Chunk> => {
  const numbers = partitions.map(({ partition }) => partition).join(",")
  const durable = partitions.map((each) => `(partition = ${each.partition} AND offset < ${each.durable})`).join(" OR ")
  const recentFrom = Math.min(...partitions.map((each) => each.recentFrom))
  const withIds = partitions.some((each) => each.withIds)
  const groups = Object.values(
    Object.groupBy(
      known,
      ({ events, from }) => events >= busyEventsMin ? "busy" : from >= recentFrom - nearMs ? "near" : "far"
    )
  )
  const found: Array<Chunk> = []
  for (const group of groups) {
    for (let start = 0; start < group.length;) {
      const end = statementEnd(group, start, (visitor) => visitor.literal)
      const visitors = group.slice(start, end)
      found.push({
        visitors,
        condition: `visitor_id IN (${
          visitors.map((visitor) => visitor.literal).join(",")
        }) AND partition IN (${numbers}) AND (${durable})`,
        from: visitors.reduce((least, { from }) => Math.min(least, from), recentFrom),
        recentFrom,
        withIds
      })
      start = end
    }
  }
  return found
}

const readChunk = (warehouse: Warehouse["Service"], chunk: Chunk, reportingCurrency: string, visit: VisitHistory) =>
  Effect.map(warehouse.queryBytes(historiesSql(chunk)), (bytes) => {
    const found = historiesOf(bytes, reportingCurrency)
    for (const { partition, visitorId } of chunk.visitors) {
      visit(partition, found.get(visitorId) ?? { visitorId, sessions: [], seen: [], clicks: [] })
    }
  }) satisfies Effect.Effect<unknown, WarehouseError>

/** From so many visitors on, looking each up in the Bloom filter of every granule costs more than reading the granules. */
const visitorsByFilterMax = 500

/**
 * One row per visitor and session_id at acceptance, with the ids, clicks and purchases that still matter in arrays. A repeated flush
 * may have stored an event twice, with the same content: whatever counts or adds up goes by the offset, so that it does not matter.
 * Leaving repeated rows out first (LIMIT 1 BY, FINAL) would have one thread do it, and take twice as long.
 */
const historiesSql = ({ condition, from, recentFrom, visitors, withIds }: Chunk): string => {
  const isClick = "event_type IN ('view', 'click')"
  const isRecent = `event_ts >= ${time(recentFrom)}`
  const ms = (column: string) => `toUnixTimestamp64Milli(${column})`
  return `
SELECT visitor_id, session_id, min(offset), max(offset),
  ${ms("min(event_ts)")}, argMin((offset, url, referrer, user_agent), (event_ts, offset)),
  ${ms("max(event_ts)")}, argMax((offset, url), (event_ts, offset)),
  uniqExact(offset), uniqExactIf(offset, ${isClick}), uniqExactIf(offset, event_type = 'add_to_cart'),
  groupUniqArrayIf(item_id, item_id != ''),
  groupUniqArrayIf((offset, toString(currency), toDecimal128(price, 4) * quantity), event_type = 'purchase'),
  groupArrayIf((${fingerprintSql}, ${ms("event_ts")}), ${withIds ? isRecent : "false"}),
  groupArrayIf((${ms("event_ts")}, item_id, offset, ${ms("appended_at")}), ${isRecent} AND ${isClick})
FROM events_raw
WHERE toStartOfHour(event_ts) >= toStartOfHour(${time(from)}) AND event_ts >= ${time(from)} AND ${condition}
GROUP BY visitor_id, session_id
SETTINGS ignore_data_skipping_indices = '${
    visitors.length > visitorsByFilterMax ? "by_visitor," : ""
  }by_event_id,by_offset'`
}

interface MutableHistory {
  readonly visitorId: VisitorId
  readonly sessions: Array<SessionParts>
  readonly seen: Array<SeenHistory>
  clicks: Array<Click>
}

const historiesOf = (bytes: Buffer, reportingCurrency: string): ReadonlyMap<string, VisitorHistory> => {
  const reader = new RowBinaryReader(bytes)
  const histories = new Map<string, MutableHistory>()
  while (!reader.done) {
    const visitorId = reader.string() as VisitorId
    let history = histories.get(visitorId)
    if (history === undefined) histories.set(visitorId, history = { visitorId, sessions: [], seen: [], clicks: [] })
    const parts = readSessionParts(reader, reportingCurrency)
    history.sessions.push(parts)
    history.seen.push(readSeen(reader))
    readClicks(reader, parts.sessionId, history.clicks)
  }
  for (const history of histories.values()) history.clicks = inOrder(history.clicks)
  return histories
}

const readSessionParts = (reader: RowBinaryReader, reportingCurrency: string): SessionParts => {
  const sessionId = reader.string() as SessionId
  const openedOffset = reader.integer() as Offset
  const lastChangedOffset = reader.integer() as Offset
  const startedAt = epochMillis(reader.integer())
  const firstOffset = reader.integer() as Offset
  const entryUrl = reader.string()
  const firstReferrer = reader.string()
  const userAgent = reader.string()
  const endedAt = epochMillis(reader.integer())
  const lastOffset = reader.integer() as Offset
  const exitUrl = reader.string()
  const events = reader.integer()
  const clicks = reader.integer()
  const carts = reader.integer()
  const items = reader.strings()
  const purchases = reader.length()
  let revenue = 0n
  const revenueByCurrency = new Map<string, bigint>()
  for (let i = 0; i < purchases; i++) {
    reader.integer()
    const currency = reader.string()
    const amount = reader.int128()
    if (currency === "" || currency === reportingCurrency) revenue += amount
    else revenueByCurrency.set(currency, (revenueByCurrency.get(currency) ?? 0n) + amount)
  }
  return {
    sessionId,
    openedOffset,
    lastChangedOffset,
    startedAt,
    firstOffset,
    endedAt,
    lastOffset,
    events,
    clicks,
    carts,
    purchases,
    items,
    revenue,
    revenueByCurrency,
    entryUrl,
    firstReferrer,
    userAgent,
    exitUrl
  }
}

const readSeen = (reader: RowBinaryReader): SeenHistory => {
  const count = reader.length()
  const prints = new Int32Array(count * fingerprintWords)
  const times = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    for (let word = 0; word < fingerprintWords; word++) prints[i * fingerprintWords + word] = reader.uint32()
    times[i] = reader.integer()
  }
  return { prints, times }
}

const readClicks = (reader: RowBinaryReader, sessionId: SessionId, into: Array<Click>): void => {
  for (let count = reader.length(); count > 0; count--) {
    into.push({
      eventTs: epochMillis(reader.integer()),
      item: reader.string(),
      offset: reader.integer() as Offset,
      appendedAt: epochMillis(reader.integer()),
      sessionId
    })
  }
}

/** Clicks in offset order, each once. */
const inOrder = (clicks: Array<Click>): Array<Click> => {
  clicks.sort((a, b) => a.offset - b.offset)
  return clicks.filter((click, i) => i === 0 || clicks[i - 1]!.offset !== click.offset)
}
