/**
 * Pages of sessions, newest first, without merging all that there is: ids are in time order and the table's key, so the ids of a
 * page are found by the key backwards, and only that range is read with its newest versions. What a filter leaves out of it makes
 * the page short; then a longer range is looked at, up to a limit, and the cursor says where to go on.
 */
import { Effect } from "effect"
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
}

/** Ids that one request looks at, at most. */
export const idsMax = 50_000

export const sessionColumns =
  `session_id, visitor_id, started_at, ended_at, duration_sec, events, clicks, carts, purchases,
  unique_items, revenue, CAST(revenue_by_currency, 'Map(String, String)') AS revenue_by_currency, entry_url, exit_url,
  first_referrer, user_agent, is_open, partition`

/** The k-th id below `before`, counted with tombstones: a little further than needed does no harm. */
const reachSql = `SELECT min(session_id) AS low, count() AS found FROM (
  SELECT session_id FROM sessions_raw WHERE session_id < {before:String} AND session_id >= {from:String}
  ORDER BY session_id DESC LIMIT 1 BY session_id LIMIT {ids:UInt32}
)`

const filters = `events >= {min_events:UInt32} AND purchases >= {min_purchases:UInt32}`
/** Quarters in which sessions of this range may have started: opening events lie within a day of the start. */
const flaggedIds =
  `(SELECT session_id FROM flagged_sessions WHERE session_id >= {low:String} AND session_id < {before:String})`

export const pageSql = (flagged: boolean | undefined): string =>
  `SELECT ${sessionColumns} FROM sessions
WHERE session_id >= {low:String} AND session_id < {before:String} AND ${filters}${
    flagged === undefined ? "" : ` AND session_id ${flagged ? "IN" : "NOT IN"} ${flaggedIds}`
  } ORDER BY session_id DESC LIMIT {limit:UInt32}`

export const parametersOf = (query: SessionQuery, low: string): Parameters => ({
  low,
  before: query.before,
  limit: query.limit,
  min_events: query.minEvents,
  min_purchases: query.minPurchases
})

/** Finds a range that holds a full page, or as much as one request may look at. */
export const rangeOf = Effect.fnUntraced(function*(query: SessionQuery) {
  const filtered = query.flagged !== undefined || query.minEvents > 0 || query.minPurchases > 0
  let ids = Math.min(idsMax, query.limit + 50)
  for (;;) {
    const [reach] = yield* ask<{ readonly low: string; readonly found: number }>(reachSql, {
      before: query.before,
      from: query.from,
      ids
    })
    const { found, low } = reach!
    const range: SessionRange = { low: found === 0 ? query.from : low, atEnd: found < ids }
    // Without a filter only tombstones are left out, for which the slack is.
    if (range.atEnd || ids >= idsMax || !filtered) return range
    const enough = yield* ask<{ readonly session_id: string }>(
      `SELECT session_id FROM (${pageSql(query.flagged)})`,
      parametersOf(query, range.low)
    )
    if (enough.length >= query.limit) return range
    ids = Math.min(idsMax, ids * 16)
  }
})

/** The id to go on below, or undefined at the end. */
export const continuation = (
  query: SessionQuery,
  range: SessionRange,
  rows: ReadonlyArray<typeof Session.Type>
): string | undefined => {
  if (rows.length >= query.limit) return rows.at(-1)!.session_id
  return range.atEnd ? undefined : range.low
}

/** The first id that an opening event at this time could have: 12 hex digits of its epoch ms. */
export const idAt = (epochMs: number): string => epochMs.toString(16).padStart(12, "0")
