/**
 * Pages of sessions, newest first, without merging all that there is: ids are in time order and the table's key, so the ids of a
 * page are found by the key backwards, and only that range is read with its newest versions. What a filter leaves out of it makes
 * the page short; then a longer range is looked at, up to a limit, and the cursor says where to go on.
 */
import { Effect } from "effect"
import type { ApiSources } from "./ApiSources.ts"
import type { TookTooLong, Unavailable } from "./contract/Problems.ts"
import type { Session } from "./contract/SessionsGroup.ts"
import { ask } from "./Question.ts"
import type { Parameters } from "./Question.ts"

export interface SessionQuery {
  readonly limit: number
  /** Ids below it; exclusive. */
  readonly before: string
  /** Ids from it on. */
  readonly from: string
  readonly flagged?: boolean | undefined
  readonly minEvents: number
  readonly minPurchases: number
}

/** Where a page lies: its rows are those with `low <= session_id < before` that fit, the first `limit` of them. */
export interface SessionRange {
  readonly low: string
  /** Whether nothing lies below it. */
  readonly atEnd: boolean
  /** With a filter: the only ids in it that may fit. */
  readonly ids?: ReadonlyArray<string>
}

export const sessionColumns =
  `session_id, visitor_id, started_at, ended_at, duration_sec, events, clicks, carts, purchases,
  unique_items, revenue, CAST(revenue_by_currency, 'Map(String, String)') AS revenue_by_currency, entry_url, exit_url,
  first_referrer, user_agent, is_open, partition`

/** From the parts' own bounds: no row is read. Empty texts when there is no session. */
const spanSql = "SELECT min(session_id) AS oldest, max(session_id) AS newest FROM sessions_raw"

/** The k-th id below `before`, counted with tombstones: a little further than needed does no harm. All rows from `from` on are read. */
const reachSql = `SELECT min(session_id) AS low, count() AS found FROM (
  SELECT session_id FROM sessions_raw WHERE session_id < {before:String} AND session_id >= {from:String}
  ORDER BY session_id DESC LIMIT 1 BY session_id LIMIT {ids:UInt32}
)`

const filters = `events >= {min_events:UInt32} AND purchases >= {min_purchases:UInt32}`
/** Quarters in which sessions of this range may have started: opening events lie within a day of the start. */
const flaggedIds =
  `(SELECT session_id FROM flagged_sessions WHERE session_id >= {low:String} AND session_id < {before:String})`

export const pageSql = (flagged: boolean | undefined, { ids }: SessionRange): string =>
  `SELECT ${sessionColumns} FROM ${ids === undefined ? "sessions" : "listed_sessions(ids = {ids:Array(String)})"}
WHERE session_id >= {low:String} AND session_id < {before:String} AND ${filters}${
    flagged === undefined ? "" : ` AND session_id ${flagged ? "IN" : "NOT IN"} ${flaggedIds}`
  } ORDER BY session_id DESC LIMIT {limit:UInt32}`

export const parametersOf = (query: SessionQuery, { ids, low }: Pick<SessionRange, "ids" | "low">): Parameters => ({
  low,
  ...ids !== undefined && { ids },
  before: query.before,
  limit: query.limit,
  min_events: query.minEvents,
  min_purchases: query.minPurchases
})

/** How far back the first look goes, with a filter and without, and how much further the next, at least and at most. */
const firstLookMs = 10_000
const firstFilteredLookMs = 30_000
const furtherMin = 2
const furtherMax = 64

/** How much further a look goes that found too little: as much as its findings let expect, with some to spare. */
const furtherFor = (wanted: number, found: number): number =>
  found === 0 ? furtherMax : Math.min(furtherMax, Math.max(furtherMin, 1.5 * wanted / found))

/** The newest session that may be on the page, and the oldest of all. Both from the parts' own bounds: no row is read. */
const spanOf = Effect.fnUntraced(function*(query: SessionQuery) {
  const [span] = yield* ask<{ readonly oldest: string; readonly newest: string }>(spanSql)
  const { newest, oldest } = span!
  const top = newest === "" ? 0 : Math.min(timeOf(query.before), timeOf(newest) + 1)
  /** Where a look of this length begins, and whether it reaches the end. */
  return (lookMs: number) => {
    const from = idAt(Math.max(0, top - lookMs))
    const isLast = from <= query.from || from <= oldest || from === idAt(0)
    return { from: isLast ? query.from : from, isLast }
  }
})

/**
 * Looks back from `before` for so many ids, further and further: ids begin with their time, so a look reads the parts and granules of
 * that time only. Without it ClickHouse reads every id of the table, however few are asked for.
 */
const plainRange = Effect.fnUntraced(function*(query: SessionQuery, ids: number) {
  const begin = yield* spanOf(query)
  for (let lookMs = firstLookMs;;) {
    const { from, isLast } = begin(lookMs)
    const [reach] = yield* ask<{ readonly low: string; readonly found: number }>(reachSql, {
      before: query.before,
      from,
      ids
    })
    const { found, low } = reach!
    if (found >= ids) return { low, atEnd: false }
    // To the very end: what amendments made of late events alone has an id that is not among these.
    if (isLast) return { low: query.from, atEnd: true }
    lookMs *= furtherFor(ids, found)
  }
})

/**
 * The ids of a page among stored rows of any version, read without merging or sorting them: sessions grow, so hardly one fits that does not
 * fit any more. Such a page is short, and its cursor goes on. What amendments made stands elsewhere, and may fit.
 */
const fittingSql = (flagged: boolean | undefined): string =>
  `SELECT count() AS looked, arraySlice(arrayReverseSort(arrayDistinct(arrayConcat(
  groupUniqArrayIf(session_id, merged_into = '' AND ${filters}${
    flagged === undefined ? "" : ` AND session_id ${flagged ? "IN" : "NOT IN"} ${flaggedIds}`
  }),
  (SELECT groupArray(session_id) FROM amended_sessions WHERE session_id >= {low:String} AND session_id < {before:String})
))), 1, {limit:UInt32}) AS ids FROM sessions_raw WHERE session_id >= {low:String} AND session_id < {before:String}`

/** Stored rows that one request with a filter looks at, more or less. */
const rowsMax = 200_000

/** The same for sessions that fit a filter. */
const filteredRange = Effect.fnUntraced(function*(query: SessionQuery) {
  const begin = yield* spanOf(query)
  for (let lookMs = firstFilteredLookMs;;) {
    const { from, isLast } = begin(lookMs)
    const [found] = yield* ask<{ readonly looked: number; readonly ids: ReadonlyArray<string> }>(
      fittingSql(query.flagged),
      parametersOf(query, { low: from })
    )
    const { ids, looked } = found!
    if (ids.length >= query.limit) return { low: ids.at(-1)!, atEnd: false, ids }
    // A cursor is a whole id; no other one lies between the two.
    if (isLast || looked >= rowsMax) return { low: isLast ? from : from.padEnd(idLength, "0"), atEnd: isLast, ids }
    lookMs *= Math.min(
      furtherFor(query.limit, ids.length),
      looked === 0 ? furtherMax : Math.max(furtherMin, rowsMax / looked)
    )
  }
})

/** Finds a range that holds a full page, or as much as one request may look at. */
export const rangeOf = (query: SessionQuery): Effect.Effect<SessionRange, Unavailable | TookTooLong, ApiSources> =>
  query.flagged !== undefined || query.minEvents > 0 || query.minPurchases > 0 ?
    filteredRange(query) :
    // Only tombstones are left out, for which the slack is.
    plainRange(query, query.limit + 50)

/** The id to go on below, or undefined at the end. */
export const continuation = (
  query: SessionQuery,
  range: SessionRange,
  rows: ReadonlyArray<typeof Session.Type>
): string | undefined => {
  if (rows.length >= query.limit) return rows.at(-1)!.session_id
  return range.atEnd ? undefined : range.low
}

/** Hex digits. */
const idLength = 32

/** The first id that an opening event at this time could have: 12 hex digits of its epoch ms. */
export const idAt = (epochMs: number): string => Math.floor(epochMs).toString(16).padStart(12, "0")

/** The time that an id begins with; what is no id is later than all of them. */
const timeOf = (id: string): number => {
  const time = Number.parseInt(id.slice(0, 12), 16)
  return Number.isNaN(time) ? Infinity : time
}
