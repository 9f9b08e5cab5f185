/**
 * The histories of visitors, by SQL: their sessions, put together by ClickHouse from events alone, and the single events that ids
 * and rule windows need. Session rows only say from when a visitor's events are worth reading.
 */
import { Effect } from "effect"
import type { Offset, Partition, SessionId, VisitorId } from "../domain/Identifiers.ts"
import { epochMillis } from "../domain/Identifiers.ts"
import { ClickHistory } from "../sessionizer/ClickHistory.ts"
import { fingerprintSql, fingerprintWords } from "../sessionizer/Fingerprint.ts"
import type { SessionParts } from "../sessionizer/SessionParts.ts"
import type { SeenHistory } from "../sessionizer/VisitorHistory.ts"
import { NativeReader } from "./NativeReader.ts"
import { literal, reachable, time } from "./RecoverySql.ts"
import { RowBinaryReader } from "./RowBinaryReader.ts"
import type { HistoryRequest, OpenHistoriesRequest, PartitionBounds, VisitHistory } from "./StateStore.ts"
import type { Warehouse, WarehouseError } from "./Warehouse.ts"

/**
 * SQL text of visitor ids in one query, UTF-16 units. A query for thousands of visitors reads the whole horizon, however many they
 * are, so the fewer queries the better; the client allows statements of 64 MiB.
 */
const visitorsTextMax = 4_000_000

/** Chunks whose statements run side by side. */
const chunksAtOnce = 2

/** Shows a history for every visitor asked for: those of one statement while others are still under way. */
export const readHistories = Effect.fnUntraced(function*(
  warehouse: Warehouse["Service"],
  request: HistoryRequest,
  reportingCurrency: string,
  busyEventsMin: number,
  visit: VisitHistory
): Effect.fn.Return<void, WarehouseError> {
  const bounds = yield* findBounds(warehouse, request)
  const known: Array<Wanted> = []
  for (const { partition, visitors } of request.partitions) {
    for (const [visitorId, given] of visitors) {
      const bound = given === undefined ? bounds.get(visitorId) : { from: given, events: 0 }
      if (bound === undefined) visit(partition, { visitorId, sessions: [], seen: [], clicks: new ClickHistory() })
      else known.push({ partition, visitorId, ...bound, literal: literal(visitorId) })
    }
  }
  yield* Effect.forEach(
    chunks(request, known, busyEventsMin),
    (chunk) => readChunk(warehouse, chunk, reportingCurrency, visit),
    { concurrency: chunksAtOnce, discard: true }
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

/**
 * Shows histories of all visitors with sessions that may still grow, a share after the other. A share is a range of visitor ids, and
 * the events of an hour lie in their order: reading everybody so takes one pass over the events, together.
 */
export const readOpenHistories = Effect.fnUntraced(function*(
  warehouse: Warehouse["Service"],
  { from, isEnough, partitions, visitors }: OpenHistoriesRequest,
  reportingCurrency: string,
  visit: VisitHistory
): Effect.fn.Return<void, WarehouseError> {
  const known = partitions.filter(({ reachableFrom }) => reachableFrom > -Infinity)
  if (known.length === 0) return
  const shares = Math.ceil(visitors / visitorsOfShare)
  const sample = new RowBinaryReader(yield* warehouse.queryBytes(sampleSql(reachable(known), shares * samplesOfShare)))
    .strings()
  const borders = Array.from({ length: shares + 1 }, (_, share) => sample[share * samplesOfShare])
  for (let share = 0; share < shares && !isEnough(); share++) {
    const [first, next] = [borders[share], borders[share + 1]]
    if (share > 0 && first === undefined) break
    const bytes = yield* warehouse.queryBytes(historiesSql({
      condition: [
        ...(share > 0 ? [`visitor_id >= ${literal(first!)}`] : []),
        ...(next !== undefined ? [`visitor_id < ${literal(next)}`] : []),
        belowDurable(known)
      ].join(" AND "),
      from,
      recentFrom: Math.min(...known.map(({ recentFrom }) => recentFrom)),
      withIds: false,
      isBusy: false,
      byFilter: false
    }))
    for (const history of historiesOf(bytes, reportingCurrency).values()) visit(history.partition, history)
  }
})

/** Visitors that are read together: so many that a statement's fixed cost does not count, so few that others get their turn. */
const visitorsOfShare = 8_000
const samplesOfShare = 8

const sampleSql = (condition: string, samples: number): string => `
SELECT arraySort(groupArraySample(${samples}, 1)(visitor_id))
FROM sessions_raw
WHERE ${condition}`

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
interface Chunk extends EventsOf {
  readonly visitors: ReadonlyArray<Wanted>
}

/** Whose events a statement reads, and which of them. */
interface EventsOf {
  readonly condition: string
  readonly from: number
  readonly recentFrom: number
  readonly withIds: boolean
  /** Its visitors have so many events that these come by a statement of their own. */
  readonly isBusy: boolean
  /** Few visitors: the Bloom filters find their events. */
  readonly byFilter: boolean
}

/**
 * A visitor with so many events in a session has blocks of its own in the table: a few such are found by the Bloom filters, and do not
 * make the statements for all others long.
 */
export const busyEvents = 10_000
/** Sessions that began at most this long before all that is recent are read with it; only others make a statement read far back, ms. */
const nearMs = 3_600_000

const chunks = (
  { partitions }: HistoryRequest,
  known: ReadonlyArray<Wanted>,
  busyEventsMin: number
): ReadonlyArray<Chunk> => {
  const durable = belowDurable(partitions)
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
        condition: `visitor_id IN (${visitors.map((visitor) => visitor.literal).join(",")}) AND ${durable}`,
        from: visitors.reduce((least, { from }) => Math.min(least, from), recentFrom),
        recentFrom,
        withIds,
        isBusy: visitors[0]!.events >= busyEventsMin,
        byFilter: visitors.length <= visitorsByFilterMax
      })
      start = end
    }
  }
  return found
}

const belowDurable = (partitions: ReadonlyArray<PartitionBounds>): string =>
  `partition IN (${partitions.map(({ partition }) => partition).join(",")}) AND (${
    partitions.map((each) => `(partition = ${each.partition} AND offset < ${each.durable})`).join(" OR ")
  })`

const readChunk = Effect.fnUntraced(function*(
  warehouse: Warehouse["Service"],
  chunk: Chunk,
  reportingCurrency: string,
  visit: VisitHistory
): Effect.fn.Return<void, WarehouseError> {
  const [sessions, events] = yield* Effect.all([
    warehouse.queryBytes(historiesSql(chunk)),
    chunk.isBusy ? warehouse.queryBytes(busyEventsSql(chunk)) : Effect.succeed(Buffer.alloc(0))
  ], { concurrency: "unbounded" })
  const found = historiesOf(sessions, reportingCurrency)
  if (chunk.isBusy) addEvents(events, chunk, found)
  for (const { partition, visitorId } of chunk.visitors) {
    visit(partition, found.get(visitorId) ?? { visitorId, sessions: [], seen: [], clicks: new ClickHistory() })
  }
})

/** From so many visitors on, looking each up in the Bloom filter of every granule costs more than reading the granules. */
const visitorsByFilterMax = 500

const isClick = "event_type IN ('view', 'click')"

const ms = (column: string): string => `toUnixTimestamp64Milli(${column})`

/**
 * One row per visitor and session_id at acceptance, with the ids, clicks and purchases that still matter in arrays. A repeated flush
 * may have stored an event twice, with the same content: whatever counts or adds up goes by the offset, so that it does not matter.
 * Leaving repeated rows out first (LIMIT 1 BY, FINAL) would have one thread do it, and take twice as long.
 */
const historiesSql = ({ byFilter, condition, from, isBusy, recentFrom, withIds }: EventsOf): string => {
  const isRecent = isBusy ? "false" : `event_ts >= ${time(recentFrom)}`
  // One number for both: comparing tuples costs several times as much.
  const place = `bitOr(bitShiftLeft(toUInt128(${ms("event_ts")}), 64), toUInt128(offset)) AS place`
  return `
SELECT visitor_id, session_id, any(partition), min(offset), max(offset),
  ${
    ms("min(event_ts)")
  }, argMin(offset, ${place}), argMin(url, place), argMin(referrer, place), argMin(user_agent, place),
  ${ms("max(event_ts)")}, argMax(offset, place), argMax(url, place),
  uniqExact(offset), uniqExactIf(offset, ${isClick}), uniqExactIf(offset, event_type = 'add_to_cart'),
  groupUniqArrayIf(item_id, item_id != ''),
  groupUniqArrayIf((offset, toString(currency), toDecimal128(price, 4) * quantity), event_type = 'purchase'),
  groupArrayIf((${fingerprintSql}, ${ms("event_ts")}), ${withIds ? isRecent : "false"}),
  groupArrayIf((${ms("event_ts")}, item_id, offset, ${ms("appended_at")}), ${isRecent} AND ${isClick})
FROM events_raw
WHERE toStartOfHour(event_ts) >= toStartOfHour(${time(from)}) AND event_ts >= ${time(from)} AND ${condition}
GROUP BY visitor_id, session_id
SETTINGS ignore_data_skipping_indices = '${ignoredIndices(byFilter)}'`
}

/** The ids and clicks of busy visitors, a row each and by column: arrays of them would cost several times their size. */
const busyEventsSql = ({ byFilter, condition, recentFrom, withIds }: EventsOf): string => `
SELECT toLowCardinality(visitor_id), toLowCardinality(session_id), toLowCardinality(item_id), CAST(${isClick}, 'UInt8'),
  toFloat64(${ms("event_ts")}), toFloat64(offset), toFloat64(${ms("appended_at")})${
  withIds ? `, ${fingerprintSql}` : ""
}
FROM events_raw
WHERE toStartOfHour(event_ts) >= toStartOfHour(${time(recentFrom)}) AND event_ts >= ${time(recentFrom)} AND ${condition}
  ${withIds ? "" : `AND ${isClick}`}
SETTINGS ignore_data_skipping_indices = '${ignoredIndices(byFilter)}'
FORMAT Native`

const ignoredIndices = (byFilter: boolean): string => `${byFilter ? "" : "by_visitor,"}by_event_id,by_offset`

interface MutableHistory {
  readonly partition: Partition
  readonly visitorId: VisitorId
  readonly sessions: Array<SessionParts>
  readonly seen: Array<SeenHistory>
  readonly clicks: ClickHistory
}

const historiesOf = (bytes: Buffer, reportingCurrency: string): ReadonlyMap<string, MutableHistory> => {
  const reader = new RowBinaryReader(bytes)
  const histories = new Map<string, MutableHistory>()
  while (!reader.done) {
    const visitorId = reader.string() as VisitorId
    let history = histories.get(visitorId)
    const sessionId = reader.string() as SessionId
    const partition = reader.uint16() as Partition
    if (history === undefined) {
      histories.set(visitorId, history = { partition, visitorId, sessions: [], seen: [], clicks: new ClickHistory() })
    }
    const parts = readSessionParts(reader, sessionId, reportingCurrency)
    history.sessions.push(parts)
    history.seen.push(readSeen(reader))
    readClicks(reader, parts.sessionId, history.clicks)
  }
  return histories
}

/** Ids and clicks of busy visitors, into their histories. */
const addEvents = (
  bytes: Buffer,
  { withIds }: Chunk,
  histories: ReadonlyMap<string, MutableHistory>
): void => {
  const reader = new NativeReader(bytes)
  while (reader.next()) {
    const visitors = reader.dictionary()
    const sessions = reader.dictionary()
    const items = reader.dictionary()
    const isClicks = reader.uint8()
    const times = reader.float64()
    const offsets = reader.float64()
    const appendedAt = reader.float64()
    const owners = visitors.texts.map((visitorId) => histories.get(visitorId))
    for (let i = 0; i < reader.rows; i++) {
      if (isClicks[i] === 0) continue
      owners[visitors.indexes[i]!]!.clicks.add(
        times[i]!,
        items.texts[items.indexes[i]!]!,
        offsets[i]!,
        appendedAt[i]!,
        sessions.texts[sessions.indexes[i]!]! as SessionId
      )
    }
    if (withIds) addIds(reader, times, visitors.indexes, owners)
  }
}

const addIds = (
  reader: NativeReader,
  times: Float64Array,
  indexes: ArrayLike<number>,
  owners: ReadonlyArray<MutableHistory | undefined>
): void => {
  const words = Array.from({ length: fingerprintWords }, () => reader.words())
  const counts = new Uint32Array(owners.length)
  for (let i = 0; i < reader.rows; i++) counts[indexes[i]!]!++
  const seen = Array.from(counts, (count) => ({
    prints: new Int32Array(count * fingerprintWords),
    times: new Float64Array(count)
  }))
  counts.fill(0)
  for (let i = 0; i < reader.rows; i++) {
    const owner = indexes[i]!
    const at = counts[owner]!++
    seen[owner]!.times[at] = times[i]!
    for (let word = 0; word < fingerprintWords; word++) {
      seen[owner]!.prints[at * fingerprintWords + word] = words[word]![i]!
    }
  }
  for (const [owner, history] of owners.entries()) if (counts[owner]! > 0) history!.seen.push(seen[owner]!)
}

const readSessionParts = (reader: RowBinaryReader, sessionId: SessionId, reportingCurrency: string): SessionParts => {
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

const readClicks = (reader: RowBinaryReader, sessionId: SessionId, into: ClickHistory): void => {
  for (let count = reader.length(); count > 0; count--) {
    into.add(reader.integer(), reader.string(), reader.integer(), reader.integer(), sessionId)
  }
}
