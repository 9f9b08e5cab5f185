/**
 * Which sessions are bots', worked out again from what decides it: the words of persons, standing findings and user agents, in this
 * order. A person's word on a session goes before one on its visitor, and either before the rest.
 */
import { Effect } from "effect"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"

/** SQL literals of ids. */
interface Judged {
  readonly bots: ReadonlyArray<string>
  readonly others: ReadonlyArray<string>
}

export interface Judgements {
  readonly visitors: Judged
  readonly sessions: Judged
  /** Each list of crawlers with the time from which it judges the sessions that open, epoch ms, in time order. */
  readonly lists: ReadonlyArray<{ readonly sinceMs: number; readonly patterns: ReadonlyArray<string> }>
}

/** The newest word on each visitor and session (absorbed ones mean the session that lives on), and the lists. */
export const readJudgements: Effect.Effect<Judgements, WarehouseError, Warehouse> = Effect.gen(function*() {
  const warehouse = yield* Warehouse
  const words = yield* warehouse.query(
    `SELECT scope, id, verdict, toString(version) AS version, verdict_id FROM verdicts FINAL WHERE source = 'person'`
  )
  const absorbed = yield* warehouse.query(
    `SELECT absorbed_id, session_id FROM session_aliases FINAL
     WHERE absorbed_id IN (SELECT id FROM verdicts WHERE scope = 'session')`
  )
  const merged = yield* warehouse.query(
    `SELECT absorbed_id, session_id FROM (
       SELECT session_id, replaces, standing FROM amended_sessions FINAL
       WHERE change_id IN (SELECT change_id FROM amendments) ORDER BY version DESC LIMIT 1 BY session_id
     ) ARRAY JOIN replaces AS absorbed_id WHERE standing AND absorbed_id != session_id`
  )
  const amended = new Map(merged.map((row) => [String(row["absorbed_id"]), String(row["session_id"])]))
  const living = new Map([
    ...amended,
    ...absorbed.map((row) => {
      const into = String(row["session_id"])
      return [String(row["absorbed_id"]), amended.get(into) ?? into] as const
    })
  ])
  const newest = new Map<string, { scope: string; id: string; verdict: string; rank: readonly [bigint, string] }>()
  for (const row of words) {
    const scope = String(row["scope"])
    const id = scope === "session" ? living.get(String(row["id"])) ?? String(row["id"]) : String(row["id"])
    const rank = [BigInt(String(row["version"])), String(row["verdict_id"])] as const
    const before = newest.get(`${scope} ${id}`)
    if (before !== undefined && !isGreater(rank, before.rank)) continue
    newest.set(`${scope} ${id}`, { scope, id, verdict: String(row["verdict"]), rank })
  }
  const judged = (scope: string): Judged => {
    const standing = [...newest.values()].filter((word) => word.scope === scope && word.verdict !== "")
    const ids = (are: boolean) =>
      standing.filter(({ verdict }) => (verdict === "bot") === are).map(({ id }) => text(id))
    return { bots: ids(true), others: ids(false) }
  }
  const lists = yield* warehouse.query(
    `SELECT toString(toUnixTimestamp64Milli(since)) AS since, patterns FROM crawler_lists FINAL ORDER BY list`
  )
  return {
    visitors: judged("visitor"),
    sessions: judged("session"),
    lists: lists.map((row) => ({
      sinceMs: Number(row["since"]),
      patterns: row["patterns"] as ReadonlyArray<string>
    }))
  }
})

const isGreater = (a: readonly [bigint, string], b: readonly [bigint, string]): boolean =>
  a[0] > b[0] || (a[0] === b[0] && a[1] > b[1])

/** The ids of the flagged sessions that reach into a span of time; both ends are SQL. */
export const flaggedSql = ({ lists, sessions, visitors }: Judgements, from: string, to: string): string => {
  const among = (ids: ReadonlyArray<string>, column: string) =>
    ids.length === 0 ? "0" : `${column} IN (${ids.join(",")})`
  const byAgent = lists.map(({ patterns, sinceMs }, i) => {
    const until = lists[i + 1]?.sinceMs
    const inForce = `opened_ms >= ${sinceMs}${until === undefined ? "" : ` AND opened_ms < ${until}`}`
    return patterns.length === 0 ? "0" : `(${inForce} AND multiMatchAny(user_agent, [${patterns.map(text).join(",")}]))`
  })
  return `
SELECT session_id FROM (
  SELECT s.session_id AS session_id, s.visitor_id AS visitor_id, started_at, ended_at, user_agent, windows,
    toInt64(reinterpretAsUInt64(reverse(unhex(substring(s.session_id, 1, 12))))) AS opened_ms
  FROM sessions AS s LEFT JOIN (
    SELECT visitor_id, groupArray((window_start, window_end)) AS windows FROM findings_raw FINAL WHERE withdrawn = 0
    GROUP BY visitor_id
  ) AS f ON s.visitor_id = f.visitor_id
  WHERE started_at < ${to} AND ended_at >= ${from}
) WHERE multiIf(
  ${among(sessions.bots, "session_id")}, 1,
  ${among(sessions.others, "session_id")}, 0,
  ${among(visitors.bots, "visitor_id")}, 1,
  ${among(visitors.others, "visitor_id")}, 0,
  arrayExists(w -> w.1 <= ended_at AND w.2 > started_at, windows) OR ${["0", ...byAgent].join(" OR ")}
)`
}

const text = (value: string): string => `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`
