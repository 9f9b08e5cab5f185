/**
 * Verdicts of persons on visitors and sessions: bot, human or unknown. They beat rules and user agents, follow merges, and can be
 * cleared; every one that there was stays, with who and why. KPIs of the touched days follow, also of final ones.
 */
import { Clock, Effect, Schema } from "effect"
import { randomUUID } from "node:crypto"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"

export type VerdictScope = "visitor" | "session"
export type Verdict = "bot" | "human" | "unknown"

/** Whom a verdict is about. A session that was absorbed means the one that holds its events now. */
export interface VerdictTarget {
  readonly scope: VerdictScope
  readonly id: string
}

export interface VerdictAccount {
  readonly reason: string
  readonly author: string
}

/** One verdict of the history; an empty `verdict` cleared what was there. */
export interface GivenVerdict extends VerdictTarget, VerdictAccount {
  readonly verdict: Verdict | ""
  /** ISO 8601. */
  readonly setAt: string
  readonly version: number
  /** Whether it holds now. */
  readonly holds: boolean
}

/** A session that counts as a bot's, and the strongest verdict that made it one. */
export interface FlaggedSession {
  readonly sessionId: string
  readonly source: "person" | "rule" | "user_agent"
  /** Quarter of an hour, ISO 8601. */
  readonly startedAt: string
}

/** There is nothing that such a verdict could be about; the message says what. */
export class VerdictRefused
  extends Schema.TaggedError<VerdictRefused>()("VerdictRefused", { message: Schema.String })
{}

/** Sets a verdict; it holds until a later one or until it is cleared. A visitor need not have been seen yet. */
export const setVerdict = Effect.fnUntraced(function*(
  target: VerdictTarget,
  verdict: Verdict,
  account: VerdictAccount
): Effect.fn.Return<number, VerdictRefused | WarehouseError, Warehouse> {
  if (target.scope === "session" && !(yield* sessionExists(target.id))) {
    return yield* new VerdictRefused({
      message: `There is no session ${target.id}. guardian sql finds it in sessions.`
    })
  }
  return yield* record(target, verdict, account)
})

/** Whether the warehouse has an event of this visitor, late ones too. */
export const visitorSeen = Effect.fnUntraced(function*(
  visitorId: string
): Effect.fn.Return<boolean, WarehouseError, Warehouse> {
  const rows = yield* (yield* Warehouse).query(
    `SELECT 1 FROM sessions_raw WHERE visitor_id = {id:String} LIMIT 1
     UNION ALL SELECT 1 FROM late_events WHERE visitor_id = {id:String} LIMIT 1`,
    { id: visitorId }
  )
  return rows.length > 0
})

/** Takes a verdict back: rules and user agents decide again. */
export const clearVerdict = Effect.fnUntraced(function*(
  target: VerdictTarget,
  account: VerdictAccount
): Effect.fn.Return<number, VerdictRefused | WarehouseError, Warehouse> {
  const standing = (yield* verdictHistory(target)).some(({ holds }) => holds)
  if (!standing) {
    return yield* new VerdictRefused({
      message:
        `No verdict of a person stands on ${target.scope} ${target.id}. guardian verdict list shows those that do.`
    })
  }
  return yield* record(target, "", account)
})

/** All verdicts that persons gave, newest first; of one target or of all. */
export const verdictHistory = Effect.fnUntraced(function*(
  target?: VerdictTarget
): Effect.fn.Return<ReadonlyArray<GivenVerdict>, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const rows = yield* warehouse.query(historySql, { scope: target?.scope ?? "", id: target?.id ?? "" })
  return rows.map((row) => ({
    scope: row["scope"] as VerdictScope,
    id: String(row["id"]),
    verdict: row["verdict"] as Verdict | "",
    reason: String(row["reason"]),
    author: String(row["author"]),
    setAt: new Date(Number(row["set_ms"])).toISOString(),
    version: Number(row["version"]),
    holds: row["holds"] === 1
  }))
})

/** Sessions that count as a bot's, newest first, at most `limit`. */
export const flaggedSessions = Effect.fnUntraced(function*(
  limit: number
): Effect.fn.Return<ReadonlyArray<FlaggedSession>, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const rows = yield* warehouse.query(
    `SELECT session_id, source, toUnixTimestamp(started_quarter) AS started FROM flagged_sessions
     ORDER BY started_quarter DESC, session_id DESC LIMIT {limit:UInt32}`,
    { limit }
  )
  return rows.map((row) => ({
    sessionId: String(row["session_id"]),
    source: row["source"] as FlaggedSession["source"],
    startedAt: new Date(Number(row["started"]) * 1_000).toISOString()
  }))
})

/** An absorbed id and the one it went into are one target. */
const resolved = "if(a.session_id = '', v.id, a.session_id)"

const historySql = `
SELECT scope, id, verdict, reason, author, set_ms, version,
  verdict != '' AND (version, verdict_id) = max((version, verdict_id)) OVER (PARTITION BY scope, target) AS holds
FROM (
  SELECT v.scope AS scope, v.id AS id, ${resolved} AS target, v.verdict AS verdict, v.reason AS reason, v.author AS author,
    toUnixTimestamp64Milli(v.set_at) AS set_ms, v.version AS version, v.verdict_id AS verdict_id
  FROM verdicts AS v FINAL
  LEFT JOIN (SELECT absorbed_id, session_id FROM session_merges WHERE absorbed_id IN (SELECT id FROM verdicts)) AS a
    ON v.id = a.absorbed_id AND v.scope = 'session'
)
WHERE {scope:String} = '' OR (scope = {scope:String} AND (id = {id:String} OR target = {id:String}
  OR target = (SELECT max(session_id) FROM session_merges WHERE absorbed_id = {id:String} AND {scope:String} = 'session')))
ORDER BY version DESC, verdict_id DESC`

const sessionExists = Effect.fnUntraced(function*(id: string) {
  const warehouse = yield* Warehouse
  const found = yield* warehouse.query(
    `SELECT 1 FROM sessions_raw WHERE session_id = {id:String} LIMIT 1
     UNION ALL SELECT 1 FROM standing_amended_sessions WHERE session_id = {id:String}`,
    { id }
  )
  return found.length > 0
})

const insertSettings = "SETTINGS async_insert = 0, insert_deduplicate = 0, max_insert_threads = 1"

/**
 * The verdict with the quarters that it touches, in one insert. A session that started meanwhile, and that nobody had judged when
 * the verdict was not there yet, is touched by a second one.
 */
const record = Effect.fnUntraced(function*(target: VerdictTarget, verdict: Verdict | "", account: VerdictAccount) {
  const warehouse = yield* Warehouse
  const [newest] = yield* warehouse.query("SELECT max(version) AS version FROM verdicts")
  const now = yield* Clock.currentTimeMillis
  const version = Math.max(now, Number(newest!["version"]) + 1)
  const quarters = quartersOf[target.scope]
  yield* warehouse.command(
    `INSERT INTO verdicts (scope, id, source, verdict, reason, author, set_at, version, verdict_id, quarters) ${insertSettings}
     SELECT {scope:String}, {id:String}, 'person', {verdict:String}, {reason:String}, {author:String},
       fromUnixTimestamp64Milli({now:Int64}, 'UTC'), {version:UInt64}, {verdict_id:String},
       (SELECT groupArray(quarter) FROM (${quarters}))`,
    { ...target, ...account, verdict, now, version, verdict_id: randomUUID() }
  )
  yield* warehouse.command(
    `INSERT INTO touched_days (day, partition, cause, kind, quarter, version) ${insertSettings}
     SELECT toDate(quarter), 0, 'verdict', arrayJoin(['events', 'sessions']), quarter, {version:UInt64} FROM (${quarters})
     WHERE quarter NOT IN (SELECT arrayJoin(quarters) FROM verdicts WHERE version = {version:UInt64})`,
    { id: target.id, version }
  )
  return version
})

/** Where the sessions that it is about started, and where late events of the visitor lie. */
const quartersOf: Readonly<Record<VerdictScope, string>> = {
  visitor: `SELECT DISTINCT toStartOfFifteenMinutes(started_at) AS quarter FROM sessions_raw FINAL
     WHERE visitor_id = {id:String} AND merged_into = ''
     UNION DISTINCT
     SELECT DISTINCT toStartOfFifteenMinutes(started_at) AS quarter FROM standing_amended_sessions
     WHERE visitor_id = {id:String}
     UNION DISTINCT
     SELECT DISTINCT toStartOfFifteenMinutes(event_ts) AS quarter FROM late_events FINAL WHERE visitor_id = {id:String}`,
  session: `SELECT DISTINCT toStartOfFifteenMinutes(started_at) AS quarter FROM sessions_raw FINAL
     WHERE session_id = {id:String}
       OR session_id IN (SELECT session_id FROM session_aliases FINAL WHERE absorbed_id = {id:String})
     UNION DISTINCT
     SELECT DISTINCT toStartOfFifteenMinutes(started_at) AS quarter FROM standing_amended_sessions
     WHERE session_id = {id:String}
       OR session_id IN (SELECT session_id FROM session_merges WHERE absorbed_id = {id:String})`
}
