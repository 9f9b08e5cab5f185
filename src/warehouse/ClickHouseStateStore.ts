/**
 * The state store in ClickHouse: recovery's questions as SQL. All partitions of a process share each query, and nothing but
 * events below the checkpoint is trusted: session rows only say whose events are worth reading, and from when.
 */
import { Effect, Layer } from "effect"
import type { Offset, Partition, SessionId, VisitorId } from "../domain/Identifiers.ts"
import { epochMillis } from "../domain/Identifiers.ts"
import type { CoreSettings } from "../domain/Settings.ts"
import type { Click } from "../sessionizer/Clicks.ts"
import { fingerprintSql, fingerprintWords } from "../sessionizer/Fingerprint.ts"
import type { SessionParts } from "../sessionizer/SessionParts.ts"
import type { SeenHistory, VisitorHistory } from "../sessionizer/VisitorHistory.ts"
import { noWatermark } from "./FlushBlocks.ts"
import { RowBinaryReader } from "./RowBinaryReader.ts"
import type { Checkpoint, HistoryRequest } from "./StateStore.ts"
import { StateStore } from "./StateStore.ts"
import type { WarehouseError } from "./Warehouse.ts"
import { Warehouse } from "./Warehouse.ts"

/**
 * SQL text of visitor ids in one query, UTF-16 units. A query for thousands of visitors reads the whole horizon, however many they
 * are, so the fewer queries the better; the client allows statements of 64 MiB.
 */
const visitorsTextMax = 4_000_000

export const layer = (settings: CoreSettings): Layer.Layer<StateStore, never, Warehouse> =>
  Layer.effect(StateStore, make(settings))

const make = Effect.fnUntraced(
  function*(settings: CoreSettings): Effect.fn.Return<StateStore["Service"], never, Warehouse> {
    const warehouse = yield* Warehouse
    return StateStore.of({
      checkpoints: Effect.map(warehouse.query(checkpointsSql), (rows) => rows.map(checkpointOf)),
      openVisitors: (partitions, visit) => {
        const known = partitions.filter(({ reachableFrom }) => reachableFrom > -Infinity)
        if (known.length === 0) return Effect.void
        const bounds = known.map(({ partition, reachableFrom }) =>
          `(partition = ${partition} AND ended_at >= ${time(reachableFrom)})`
        )
        return Effect.map(warehouse.queryBytes(openVisitorsSql(bounds.join(" OR "))), (bytes) => {
          const reader = new RowBinaryReader(bytes)
          while (!reader.done) {
            visit(reader.uint16() as Partition, reader.uint32(), reader.integer(), reader.integer())
          }
        })
      },
      histories: (request) =>
        Effect.map(
          Effect.forEach(chunks(request), (chunk) => readChunk(warehouse, chunk, settings.reportingCurrency)),
          (found) => found.flat()
        ),
      disagreements: Effect.map(warehouse.query(disagreementsSql), (rows) =>
        rows.map((row) => ({
          partition: Number(row["partition"]),
          offset: Number(row["offset"]),
          runs: row["runs"] as ReadonlyArray<string>
        }))),
      write: (block) => warehouse.insert(block)
    })
  }
)

const checkpointsSql = `
SELECT partition, offset, watermark_ms, counters, decision_hash, record_hash, log_id, partitions, settings, core_version
FROM checkpoints FINAL
WHERE (partition, offset) IN (SELECT partition, max(offset) FROM checkpoints GROUP BY partition)
ORDER BY partition`

const disagreementsSql = `
SELECT partition, offset, groupUniqArray(concat('run ', run_id, ': ', toString(hash))) AS runs
FROM decision_hashes
GROUP BY partition, offset, core_version
HAVING uniqExact(hash) > 1
ORDER BY partition, offset
LIMIT 10`

const checkpointOf = (row: Readonly<Record<string, unknown>>): Checkpoint => {
  const counters = row["counters"] as Readonly<Record<string, string>>
  const watermark = Number(row["watermark_ms"])
  return {
    partition: Number(row["partition"]) as Partition,
    position: {
      offset: Number(row["offset"]) as Offset,
      watermark: watermark === noWatermark ? -Infinity : watermark,
      counts: {
        received: Number(counters["received"]),
        accepted: Number(counters["accepted"]),
        duplicate: Number(counters["duplicate"]),
        late: Number(counters["late"]),
        rejected: Number(counters["rejected"]),
        deadLettered: Number(counters["dead_lettered"])
      },
      decisionHash: BigInt(String(row["decision_hash"]))
    },
    recordHash: String(row["record_hash"]),
    logId: String(row["log_id"]),
    partitions: Number(row["partitions"]),
    settings: String(row["settings"]),
    coreVersion: Number(row["core_version"])
  }
}

/** Without FINAL: any version may carry the bound, tombstones too. */
const openVisitorsSql = (condition: string): string => `
SELECT partition, kafkaMurmurHash(visitor_id) AS hash, toUnixTimestamp64Milli(min(started_at)), toUnixTimestamp64Milli(max(ended_at))
FROM sessions_raw
WHERE ${condition}
GROUP BY partition, hash`

/** A part of a request that fits into one statement. */
interface Chunk {
  readonly visitors: ReadonlyArray<{ readonly partition: Partition; readonly visitorId: VisitorId }>
  readonly condition: string
  readonly from: number
  readonly recentFrom: number
}

const chunks = (request: HistoryRequest): ReadonlyArray<Chunk> => {
  const partitions = new Set(request.partitions.map(({ partition }) => partition))
  const durable = request.partitions.map((each) => `(partition = ${each.partition} AND offset < ${each.durable})`).join(
    " OR "
  )
  const recentFrom = Math.min(...request.partitions.map((each) => each.recentFrom))
  const all = request.partitions.flatMap(({ partition, visitors }) =>
    [...visitors].map(([visitorId, from]) => ({ partition, visitorId, from, literal: literal(visitorId) }))
  )
  // Those whose sessions began before all that is recent last: only their own statements read farther back.
  all.sort((a, b) => b.from - a.from)
  const found: Array<Chunk> = []
  for (let start = 0; start < all.length;) {
    const isRecent = all[start]!.from >= recentFrom
    let end = start
    for (
      let text = 0;
      end < all.length && (end === start || text + all[end]!.literal.length < visitorsTextMax) &&
      all[end]!.from >= recentFrom === isRecent;
      end++
    ) {
      text += all[end]!.literal.length + 1
    }
    const visitors = all.slice(start, end)
    found.push({
      visitors,
      condition: `visitor_id IN (${visitors.map((visitor) => visitor.literal).join(",")}) AND partition IN (${
        [...partitions].join(",")
      }) AND (${durable})`,
      from: Math.min(recentFrom, visitors.at(-1)!.from),
      recentFrom
    })
    start = end
  }
  return found
}

const readChunk = (warehouse: Warehouse["Service"], chunk: Chunk, reportingCurrency: string) =>
  Effect.map(warehouse.queryBytes(historiesSql(chunk, reportingCurrency)), (bytes) => {
    const found = readHistories(bytes)
    return chunk.visitors.map(({ partition, visitorId }) => ({
      partition,
      history: found.get(visitorId) ?? { visitorId, sessions: [], seen: [], clicks: [] }
    }))
  }) satisfies Effect.Effect<unknown, WarehouseError>

/** From so many visitors on, looking each up in the Bloom filter of every granule costs more than reading the granules. */
const visitorsByFilterMax = 500

/**
 * One row per visitor and session_id at acceptance, with the ids and clicks that still matter in arrays. A repeated flush may have
 * stored an event twice, with the same content: one row per offset is enough.
 */
const historiesSql = ({ condition, from, recentFrom, visitors }: Chunk, reportingCurrency: string): string => {
  const isReporting = `currency IN ('', ${literal(reportingCurrency)})`
  const isClick = "event_type IN ('view', 'click')"
  const isRecent = `event_ts >= ${time(recentFrom)}`
  const ms = (column: string) => `toUnixTimestamp64Milli(${column})`
  return `
SELECT visitor_id, session_id, min(offset), max(offset),
  ${ms("min(event_ts)")}, argMin(offset, (event_ts, offset)), ${
    ms("max(event_ts)")
  }, argMax(offset, (event_ts, offset)),
  count(), countIf(${isClick}), countIf(event_type = 'add_to_cart'), countIf(event_type = 'purchase'),
  groupUniqArrayIf(item_id, item_id != ''),
  sumIf(toDecimal128(price, 4) * quantity, event_type = 'purchase' AND ${isReporting}),
  sumMapIf(map(toString(currency), toDecimal128(price, 4) * quantity), event_type = 'purchase' AND NOT ${isReporting}),
  argMin(url, (event_ts, offset)), argMin(referrer, (event_ts, offset)), argMin(user_agent, (event_ts, offset)),
  argMax(url, (event_ts, offset)),
  groupArrayIf((${fingerprintSql}, ${ms("event_ts")}), ${isRecent}),
  groupArrayIf((${ms("event_ts")}, item_id, offset, ${ms("appended_at")}), ${isRecent} AND ${isClick})
FROM (
  SELECT visitor_id, session_id, event_id, offset, event_ts, event_type, item_id, price, quantity, currency, url, referrer,
    user_agent, appended_at
  FROM events_raw
  WHERE toStartOfHour(event_ts) >= toStartOfHour(${time(from)}) AND event_ts >= ${time(from)} AND ${condition}
  LIMIT 1 BY partition, offset
)
GROUP BY visitor_id, session_id
SETTINGS ignore_data_skipping_indices = '${
    visitors.length > visitorsByFilterMax ? "by_visitor,by_event_id,by_offset" : "by_event_id,by_offset"
  }'`
}

interface MutableHistory {
  readonly visitorId: VisitorId
  readonly sessions: Array<SessionParts>
  readonly seen: Array<SeenHistory>
  clicks: Array<Click>
}

const readHistories = (bytes: Buffer): ReadonlyMap<string, VisitorHistory> => {
  const reader = new RowBinaryReader(bytes)
  const histories = new Map<string, MutableHistory>()
  while (!reader.done) {
    const visitorId = reader.string() as VisitorId
    let history = histories.get(visitorId)
    if (history === undefined) histories.set(visitorId, history = { visitorId, sessions: [], seen: [], clicks: [] })
    const parts = readSessionParts(reader)
    history.sessions.push(parts)
    history.seen.push(readSeen(reader))
    for (let count = reader.length(); count > 0; count--) {
      history.clicks.push({
        eventTs: epochMillis(reader.integer()),
        item: reader.string(),
        offset: reader.integer() as Offset,
        appendedAt: epochMillis(reader.integer()),
        sessionId: parts.sessionId
      })
    }
  }
  for (const history of histories.values()) history.clicks.sort((a, b) => a.offset - b.offset)
  return histories
}

const readSessionParts = (reader: RowBinaryReader): SessionParts => ({
  sessionId: reader.string() as SessionId,
  openedOffset: reader.integer() as Offset,
  lastChangedOffset: reader.integer() as Offset,
  startedAt: epochMillis(reader.integer()),
  firstOffset: reader.integer() as Offset,
  endedAt: epochMillis(reader.integer()),
  lastOffset: reader.integer() as Offset,
  events: reader.integer(),
  clicks: reader.integer(),
  carts: reader.integer(),
  purchases: reader.integer(),
  items: reader.strings(),
  revenue: reader.int128(),
  revenueByCurrency: reader.amounts(),
  entryUrl: reader.string(),
  firstReferrer: reader.string(),
  userAgent: reader.string(),
  exitUrl: reader.string()
})

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

/** A time that ClickHouse can hold: lateness before 1970 would leave its range. */
const time = (ms: number): string => `fromUnixTimestamp64Milli(toInt64(${Math.max(0, Math.floor(ms))}), 'UTC')`

const literal = (text: string): string =>
  `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\0", "\\0")}'`
