/**
 * Which sessions would be a bot's once late events are folded in: a person's verdict on the session or on one that is part of it, else
 * a person's on the visitor, else a standing finding whose window overlaps it, else the user agent of its first event. The views of
 * the KPIs decide the same (clickhouse/0016) when it has happened.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import type { FoldedSession } from "./FoldedSessions.ts"

/**
 * The ids of those that would be flagged.
 * @param visitors a SELECT of the ids of their visitors
 */
export const flaggedThen = Effect.fnUntraced(function*(
  sessions: ReadonlyArray<FoldedSession>,
  visitors: string
): Effect.fn.Return<ReadonlySet<string>, WarehouseError, Warehouse> {
  if (sessions.length === 0) return new Set<string>()
  const persons = yield* personsWords(sessions)
  const windows = yield* findingsOf(visitors)
  const crawlers = yield* crawlersAmong(sessions)
  const isFlagged = (session: FoldedSession): boolean => {
    const word = persons.session(session.sessionId) ?? persons.visitor(session.visitorId)
    if (word !== undefined) return word === "bot"
    const isFound = windows.get(session.visitorId)?.some(([start, end]) =>
      start <= session.endedAt && end > session.startedAt
    )
    return isFound === true || crawlers.has(session)
  }
  return new Set(sessions.filter(isFlagged).map(({ sessionId }) => sessionId))
})

/** The words of persons that hold then: a session's are also those on the sessions that became part of it; the newest one counts. */
const personsWords = Effect.fnUntraced(function*(
  sessions: ReadonlyArray<FoldedSession>
): Effect.fn.Return<
  Readonly<Record<"session" | "visitor", (id: string) => string | undefined>>,
  WarehouseError,
  Warehouse
> {
  const rows = yield* (yield* Warehouse).query(
    `SELECT v.scope AS scope, if(m.session_id = '', v.id, m.session_id) AS id, v.verdict AS verdict
     FROM (SELECT scope, id, verdict, version, verdict_id FROM verdicts FINAL) AS v
     LEFT JOIN (
       SELECT absorbed_id, session_id FROM session_merges WHERE absorbed_id IN (SELECT id FROM verdicts WHERE scope = 'session')
     ) AS m ON v.id = m.absorbed_id AND v.scope = 'session'
     ORDER BY v.version, v.verdict_id`
  )
  const into = new Map(
    sessions.flatMap(({ replaces, sessionId }) => replaces.map((part) => [part.sessionId, sessionId] as const))
  )
  const newest = new Map<string, string>()
  for (const row of rows) {
    const id = String(row["id"])
    newest.set(`${row["scope"]} ${row["scope"] === "session" ? into.get(id) ?? id : id}`, String(row["verdict"]))
  }
  // A cleared word is empty.
  const word = (scope: string) => (id: string) => newest.get(`${scope} ${id}`) || undefined
  return { session: word("session"), visitor: word("visitor") }
})

type Window = readonly [startMs: number, endMs: number]

const findingsOf = Effect.fnUntraced(function*(
  visitors: string
): Effect.fn.Return<ReadonlyMap<string, ReadonlyArray<Window>>, WarehouseError, Warehouse> {
  const rows = yield* (yield* Warehouse).query(
    `SELECT visitor_id, groupArray((toString(toUnixTimestamp64Milli(window_start)), toString(toUnixTimestamp64Milli(window_end)))) AS windows
     FROM findings_raw FINAL WHERE withdrawn = 0 AND visitor_id IN (${visitors}) GROUP BY visitor_id`
  )
  return new Map(rows.map((row) => [
    String(row["visitor_id"]),
    (row["windows"] as ReadonlyArray<readonly [string, string]>).map(([start, end]) =>
      [Number(start), Number(end)] as const
    )
  ]))
})

/** User agents that one statement asks about: some 100 kB. */
const userAgentsMax = 500

/** Those whose first event's user agent is a crawler's by the list that was in force when the session opened. */
const crawlersAmong = Effect.fnUntraced(function*(
  sessions: ReadonlyArray<FoldedSession>
): Effect.fn.Return<ReadonlySet<FoldedSession>, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const lists = (yield* warehouse.query(
    "SELECT toString(toUnixTimestamp64Milli(since)) AS since, list FROM crawler_lists FINAL ORDER BY list"
  )).map((row) => ({ sinceMs: Number(row["since"]), list: Number(row["list"]) }))
  // As the views count: the n-th list where n of them have begun.
  const listOf = ({ sessionId }: FoldedSession): number | undefined => {
    const openedAt = Number.parseInt(sessionId.slice(0, 12), 16)
    return lists[lists.filter(({ sinceMs }) => sinceMs <= openedAt).length - 1]?.list
  }
  const found = new Set<FoldedSession>()
  for (const [list, judged] of Map.groupBy(sessions, listOf)) {
    if (list === undefined) continue
    const userAgents = [...new Set(judged.map(({ userAgent }) => userAgent).filter((each) => each !== ""))]
    const crawlers = new Set<string>()
    for (let at = 0; at < userAgents.length; at += userAgentsMax) {
      const rows = yield* warehouse.query(
        `SELECT arrayJoin({agents:Array(String)}) AS agent
         WHERE multiMatchAny(agent, (SELECT patterns FROM crawler_lists FINAL WHERE list = ${list}))`,
        { agents: userAgents.slice(at, at + userAgentsMax) }
      )
      for (const row of rows) crawlers.add(String(row["agent"]))
    }
    for (const session of judged) if (crawlers.has(session.userAgent)) found.add(session)
  }
  return found
})
