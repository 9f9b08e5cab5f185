import { Effect, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Anomaly } from "../contract/AnomaliesGroup.ts"
import { isDay, SessionId } from "../contract/Fields.ts"
import { GuardianApi } from "../contract/GuardianApi.ts"
import { BadParameters, NotFound } from "../contract/Problems.ts"
import type { Session, SessionEvent, StandingVerdict } from "../contract/SessionsGroup.ts"
import { decodeCursor, encodeCursor } from "../Cursor.ts"
import { freshness } from "../FreshData.ts"
import { ask } from "../Question.ts"
import { answerRows } from "../RowAnswer.ts"
import { continuation, idAt, pageSql, parametersOf, rangeOf, sessionColumns } from "../SessionPage.ts"
import type { SessionQuery } from "../SessionPage.ts"
import { anomalyColumns, ofSessionSql } from "./AnomaliesHandlers.ts"

interface ListQuery {
  readonly limit: number
  readonly cursor?: string
  readonly from?: string
  readonly to?: string
  readonly flagged?: "true" | "false"
  readonly min_events?: number
  readonly min_purchases?: number
}

/** What an id can begin with: 12 hex digits. */
const idTimeMax = 2 ** 48 - 1

const timeOf = (name: string, text: string | undefined): Effect.Effect<number | undefined, BadParameters> => {
  if (text === undefined) return Effect.succeed(undefined)
  const isTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/.test(text) &&
    isDay(text.slice(0, 10))
  const time = isTime ? Date.parse(text) : Number.NaN
  return Number.isFinite(time) && time >= 0 && time <= idTimeMax ?
    Effect.succeed(time) :
    Effect.fail(new BadParameters({ detail: `${name} must be a time such as 2026-03-02T10:00:00Z` }))
}

const list = Effect.fnUntraced(function*(given: ListQuery) {
  const from = yield* timeOf("from", given.from)
  const to = yield* timeOf("to", given.to)
  if (from !== undefined && to !== undefined && from > to) {
    return yield* new BadParameters({ detail: "from must not be after to" })
  }
  const cursor = yield* decodeCursor("sessions", Schema.Tuple([SessionId]), given.cursor)
  const query: SessionQuery = {
    limit: given.limit,
    before: cursor?.[0] ?? (to === undefined ? "g" : idAt(to)),
    from: from === undefined ? "" : idAt(from),
    flagged: given.flagged === undefined ? undefined : given.flagged === "true",
    minEvents: given.min_events ?? 0,
    minPurchases: given.min_purchases ?? 0
  }
  const range = yield* rangeOf(query)
  return yield* answerRows<typeof Session.Type>({
    sql: pageSql(query.flagged, range),
    parameters: parametersOf(query, range),
    next: (rows) => {
      const id = continuation(query, range, rows)
      return id === undefined ? null : encodeCursor("sessions", [id])
    }
  })
})

/** An absorbed id means the session that holds its events now. */
const resolvedId = Effect.fnUntraced(function*(id: string) {
  const [alias] = yield* ask<{ readonly session_id: string }>(
    "SELECT session_id FROM session_aliases FINAL WHERE absorbed_id = {id:String}",
    { id }
  )
  return alias?.session_id ?? id
})

const sessionOf = Effect.fnUntraced(function*(given: string) {
  const id = yield* resolvedId(given)
  const [session] = yield* ask<typeof Session.Type>(
    `SELECT ${sessionColumns} FROM sessions WHERE session_id = {id:String}`,
    { id }
  )
  return session ?? (yield* new NotFound({ detail: `There is no session ${given}.` }))
})

const verdictsSql = `SELECT scope, id, verdict, reason, author, set_at FROM standing_verdicts
WHERE (scope = 'visitor' AND id = {visitor:String}) OR (scope = 'session' AND id IN {sessions:Array(String)}) ORDER BY scope, id`

const verdictsOn = (visitor: string, sessions: ReadonlyArray<string>) =>
  ask<typeof StandingVerdict.Type>(verdictsSql, { visitor, sessions })

/**
 * What KPIs will say once they have taken everything in (0019: judged), from what is there now: they follow some seconds later.
 * Of the lists of crawlers that one judges which held when the session opened.
 */
const automaticSql = `WITH
  parseDateTime64BestEffort({started:String}, 3, 'UTC') AS started, parseDateTime64BestEffort({ended:String}, 3, 'UTC') AS ended,
  (SELECT argMax(patterns, list) FROM crawler_lists
   WHERE since <= fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(unhex(concat('0000', substring({id:String}, 1, 12))))), 'UTC')
  ) AS crawlers
SELECT multiIf(
  (SELECT count() FROM anomalies WHERE visitor_id = {visitor:String} AND window_start <= ended AND window_end > started) > 0, 'rule',
  {user_agent:String} != '' AND multiMatchAny({user_agent:String}, crawlers), 'user_agent',
  ''
) AS source`

/** A person's word goes before the rest, one on the session before one on its visitor. */
const flaggedBy = Effect.fnUntraced(function*(
  session: typeof Session.Type,
  verdicts: ReadonlyArray<typeof StandingVerdict.Type>
) {
  const said = verdicts.find(({ scope }) => scope === "session") ?? verdicts.find(({ scope }) => scope === "visitor")
  if (said !== undefined) return said.verdict === "bot" ? "person" as const : null
  const [automatic] = yield* ask<{ readonly source: "rule" | "user_agent" | "" }>(automaticSql, {
    id: session.session_id,
    visitor: session.visitor_id,
    started: session.started_at,
    ended: session.ended_at,
    user_agent: session.user_agent
  })
  return automatic!.source || null
})

const detail = Effect.fnUntraced(function*(given: string) {
  const session = yield* sessionOf(given)
  const { session_id: id, visitor_id } = session
  const [findings, verdicts] = yield* Effect.all([
    ask<typeof Anomaly.Type>(ofSessionSql, { session_id: id }),
    verdictsOn(visitor_id, [id])
  ], { concurrency: 2 })
  return {
    data: { session, flagged_by: yield* flaggedBy(session, verdicts), findings, verdicts },
    freshness: yield* freshness
  }
})

const eventsSql =
  `SELECT event_id, visitor_id, session_id, event_ts, event_type, item_id, category, toString(price) AS price, currency,
  quantity, url, referrer, CAST(properties, 'Map(String, String)') AS properties, appended_at, partition, offset
FROM events
WHERE visitor_id = {visitor:String} AND session_id = {id:String}
  AND event_ts >= parseDateTime64BestEffort({start:String}, 3, 'UTC') AND event_ts <= parseDateTime64BestEffort({end:String}, 3, 'UTC')
ORDER BY event_ts, offset LIMIT {limit:UInt32}`

/** Sessions of a visitor that are shown; the sums are of all. */
const recentSessions = 50

/** One reading for both: the newest sessions, each with the sums of all. */
const visitorSql =
  `SELECT ${sessionColumns}, (count() OVER (), sum(s.events) OVER (), sum(s.clicks) OVER (), sum(s.purchases) OVER (),
  toString(sum(s.revenue) OVER ()), min(s.started_at) OVER (), max(s.ended_at) OVER ()) AS totals
FROM visitor_sessions(visitor_id = {id:String}) AS s ORDER BY session_id DESC LIMIT ${recentSessions}`

const visitorFindingsSql =
  `SELECT ${anomalyColumns} FROM anomalies WHERE visitor_id = {id:String} ORDER BY window_start DESC LIMIT 1000`

type Totals = readonly [
  sessions: number,
  events: number,
  clicks: number,
  purchases: number,
  revenue: string,
  firstSeen: string,
  lastSeen: string
]

const visitor = Effect.fnUntraced(function*(id: string) {
  const [rows, findings] = yield* Effect.all([
    ask<typeof Session.Type & { readonly totals: Totals }>(visitorSql, { id }),
    ask<typeof Anomaly.Type>(visitorFindingsSql, { id })
  ], { concurrency: 2 })
  if (rows.length === 0) return yield* new NotFound({ detail: "No visitor of this id has been seen." })
  const [sessions, events, clicks, purchases, revenue, first_seen, last_seen] = rows[0]!.totals
  const recent = rows.map((row): typeof Session.Type => {
    const { totals: _, ...session } = row
    return session
  })
  const verdicts = yield* verdictsOn(id, recent.map(({ session_id }) => session_id))
  return {
    data: {
      visitor_id: id,
      sessions,
      events,
      clicks,
      purchases,
      revenue,
      first_seen,
      last_seen,
      recent_sessions: recent,
      findings,
      verdicts
    },
    freshness: yield* freshness
  }
})

export const SessionsHandlers = HttpApiBuilder.group(GuardianApi, "sessions", (handlers) =>
  handlers.handleAll({
    list: ({ query }) => list(query),
    one: ({ params }) => detail(params.id),
    events: Effect.fnUntraced(function*({ params, query: { limit } }) {
      const session = yield* sessionOf(params.id)
      return yield* answerRows<typeof SessionEvent.Type>({
        sql: eventsSql,
        parameters: {
          id: session.session_id,
          visitor: session.visitor_id,
          start: session.started_at,
          end: session.ended_at,
          limit
        }
      })
    }),
    visitor: ({ params }) => visitor(params.id)
  }))
