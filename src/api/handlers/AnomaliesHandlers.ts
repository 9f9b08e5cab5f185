import { Effect, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Anomaly, AnomalyHour, AnomalyType } from "../contract/AnomaliesGroup.ts"
import { GuardianApi } from "../contract/GuardianApi.ts"
import { decodeCursor, encodeCursor } from "../Cursor.ts"
import { answerRows } from "../RowAnswer.ts"

export const anomalyColumns =
  "finding_id, rule, visitor_id, session_id, window_start, window_end, clicks, unique_items, score, found_at_offset, appended_at"

/** Newest window first; within one by rule and visitor, which is the table's key backwards. */
const order = "ORDER BY window_start DESC, rule DESC, visitor_id DESC"

const key = Schema.Tuple([Schema.Int, Schema.String, Schema.String])

/** The first condition prunes months; the second decides. */
const after = `window_start <= fromUnixTimestamp64Milli({at:Int64}, 'UTC')
  AND (window_start, rule, visitor_id) < (fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {rule:String}, {visitor:String})`

interface ListQuery {
  readonly limit: number
  readonly cursor?: string
  readonly type?: string
  readonly visitor_id?: string
  readonly min_score?: number
}

const list = Effect.fnUntraced(function*({ cursor, limit, min_score, type, visitor_id }: ListQuery) {
  const from = yield* decodeCursor("anomalies", key, cursor)
  const conditions = [
    ...(from === undefined ? [] : [after]),
    ...(type === undefined ? [] : ["rule = {type:String}"]),
    ...(visitor_id === undefined ? [] : ["visitor_id = {of_visitor:String}"]),
    ...(min_score === undefined ? [] : ["score >= {min_score:Float64}"])
  ]
  return yield* answerRows<typeof Anomaly.Type>({
    sql: `SELECT ${anomalyColumns} FROM anomalies ${
      conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`
    } ${order} LIMIT {limit:UInt32}`,
    parameters: {
      limit,
      ...(from !== undefined && { at: from[0], rule: from[1], visitor: from[2] }),
      ...(type !== undefined && { type }),
      ...(visitor_id !== undefined && { of_visitor: visitor_id }),
      ...(min_score !== undefined && { min_score })
    },
    next: (rows) => {
      const last = rows.at(-1)
      return last === undefined || rows.length < limit ?
        null :
        encodeCursor("anomalies", [Date.parse(last.window_start), last.rule, last.visitor_id])
    }
  })
})

const typesSql = `SELECT rule, count() AS findings, uniqExact(visitor_id) AS visitors, max(score) AS score_max,
  max(window_start) AS newest FROM anomalies GROUP BY rule ORDER BY rule`

const timelineSql = `SELECT toStartOfHour(window_start) AS hour_start, rule, count() AS findings FROM anomalies
WHERE window_start >= (SELECT toStartOfHour(max(window_start)) FROM anomalies) - toIntervalHour({hours:UInt32} - 1)
GROUP BY hour_start, rule ORDER BY hour_start, rule`

export const ofSessionSql =
  `SELECT ${anomalyColumns} FROM anomalies WHERE session_id = {session_id:String} ${order} LIMIT 1000`

export const AnomaliesHandlers = HttpApiBuilder.group(GuardianApi, "anomalies", (handlers) =>
  handlers.handleAll({
    list: ({ query }) => list(query),
    types: () => answerRows<typeof AnomalyType.Type>({ sql: typesSql, parameters: {} }),
    timeline: ({ query }) => answerRows<typeof AnomalyHour.Type>({ sql: timelineSql, parameters: query }),
    ofSession: ({ params }) => answerRows<typeof Anomaly.Type>({ sql: ofSessionSql, parameters: params })
  }))
