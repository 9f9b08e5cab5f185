import { Effect, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { mentionSql } from "../../operations/trace/Mention.ts"
import { GuardianApi } from "../contract/GuardianApi.ts"
import type { AuditCheck, LateEvent, PipelineRun, RefusedRecord, Traced } from "../contract/OperationsGroup.ts"
import { NotFound } from "../contract/Problems.ts"
import { decodeCursor, encodeCursor } from "../Cursor.ts"
import { FreshData, freshness } from "../FreshData.ts"
import { Live } from "../Live.ts"
import { outcomesOf, partitionProgress, totalLag } from "../Progress.ts"
import { ask } from "../Question.ts"
import { repeatsOf } from "../Repeats.ts"
import { answerRows } from "../RowAnswer.ts"

/** Records of one id that a trace shows, at most, of each table. */
const tracedMax = 1_000

const traceSql = `
SELECT * FROM (
  SELECT partition, offset, appended_at, 'accepted' AS outcome, 'in time, and no accepted event of its visitor had this id' AS why,
    CAST(visitor_id, 'Nullable(String)') AS visitor_id, CAST(session_id, 'Nullable(String)') AS session_id
  FROM events WHERE event_id = {id:String} LIMIT ${tracedMax}
  UNION ALL
  SELECT partition, offset, appended_at, 'late', concat('its time is more than the allowed lateness before the watermark ',
    toString(watermark)), visitor_id, NULL FROM late_events FINAL WHERE event_id = {id:String} LIMIT ${tracedMax}
  UNION ALL
  SELECT partition, offset, appended_at, 'rejected', detail, visitor_id, NULL
  FROM rejected_records FINAL WHERE event_id = {id:String} LIMIT ${tracedMax}
  UNION ALL
  SELECT partition, offset, appended_at, 'dead-lettered', concat(reason, ': ', detail), NULL, NULL FROM dead_letters FINAL
  WHERE match(value, {pattern:String}) OR position(value, unhex({avro_hex:String})) > 0 LIMIT ${tracedMax}
) ORDER BY partition, offset LIMIT ${tracedMax}`

const trace = Effect.fnUntraced(function*(id: string) {
  const { avroHex, pattern } = mentionSql(id)
  const stored = yield* ask<typeof Traced.Type>(traceSql, { id, pattern, avro_hex: avroHex })
  const data = [...stored, ...yield* repeatsOf(id, stored)].sort((a, b) =>
    a.partition - b.partition || a.offset - b.offset
  )
  if (data.length === 0) {
    return yield* new NotFound({
      detail: "No stored record has this event id: it was never sent, or is not processed yet."
    })
  }
  return { data, next_cursor: null, freshness: yield* freshness }
})

interface Standing {
  readonly findings: number
  readonly time_zone: string
  readonly currency: string
  readonly first_day: string | null
  readonly last_day: string | null
}

const standingSql = `SELECT (SELECT count() FROM anomalies) AS findings, time_zone, currency,
  (SELECT if(count() = 0, NULL, toString(min(metric_date))) FROM daily_metrics_raw) AS first_day,
  (SELECT if(count() = 0, NULL, toString(max(metric_date))) FROM daily_metrics_raw) AS last_day
FROM reporting`

const stats = Effect.gen(function*() {
  const [standing] = yield* ask<Standing>(standingSql)
  const outcomes = outcomesOf(yield* FreshData.use(({ progress }) => progress))
  const none = { findings: 0, time_zone: "UTC", currency: "", first_day: null, last_day: null }
  return { data: { outcomes, ...(standing ?? none) }, freshness: yield* freshness }
})

const pipeline = Effect.gen(function*() {
  const partitions = yield* partitionProgress
  const kpi_backlog = yield* FreshData.use(({ backlog }) => backlog)
  return { data: { partitions, lag: totalLag(partitions), kpi_backlog }, freshness: yield* freshness }
})

/** Three lists in the order of their tables' key: append time, partition, offset; backwards. */
const refusals = {
  dead_letters: `reason, detail, base64Encode(substring(value, 1, 4096)) AS value_base64, length(value) AS value_bytes`,
  rejected_records:
    `reason, detail, base64Encode(substring(value, 1, 4096)) AS value_base64, length(value) AS value_bytes`,
  late_events: `event_id, visitor_id, event_ts, event_type, watermark`
} as const

const key = Schema.Tuple([Schema.Int, Schema.Int, Schema.Int])
/** The first condition prunes months and marks; the second decides. */
const after = `WHERE appended_at <= fromUnixTimestamp64Milli({at:Int64}, 'UTC')
  AND (appended_at, partition, offset) < (fromUnixTimestamp64Milli({at:Int64}, 'UTC'), {partition:UInt32}, {offset:UInt64})`

const refused = Effect.fnUntraced(function*<Row extends typeof RefusedRecord.Type | typeof LateEvent.Type>(
  table: keyof typeof refusals,
  { cursor, limit }: { readonly limit: number; readonly cursor?: string }
) {
  const from = yield* decodeCursor(table, key, cursor)
  return yield* answerRows<Row>({
    sql: `SELECT appended_at, partition, offset, ${refusals[table]} FROM ${table} FINAL ${
      from === undefined ? "" : after
    }
ORDER BY appended_at DESC, partition DESC, offset DESC LIMIT {limit:UInt32}`,
    parameters: { limit, ...(from !== undefined && { at: from[0], partition: from[1], offset: from[2] }) },
    next: (rows) => {
      const last = rows.at(-1)
      return last === undefined || rows.length < limit ?
        null :
        encodeCursor(table, [Date.parse(last.appended_at), last.partition, last.offset])
    }
  })
})

const auditsSql =
  `SELECT audit_id, started_at, finished_at, scope, check_name, promise, examined, differences, unchecked
FROM audits FINAL ORDER BY started_at DESC, audit_id, check_name LIMIT {limit:UInt32}`

/** Runs from before there were records of them have checkpoints alone. */
const runsSql =
  `SELECT if(r.run_id = '', c.run_id, r.run_id) AS run_id, nullIf(r.started_at, toDateTime64(0, 3, 'UTC')) AS started_at,
  nullIf(toString(r.state), '') AS state, nullIf(r.changed_at, toDateTime64(0, 3, 'UTC')) AS changed_at, r.detail AS detail,
  r.host AS host, nullIf(r.process_id, 0) AS process_id, nullIf(c.first, toDateTime64(0, 3, 'UTC')) AS first_checkpoint_at,
  nullIf(c.last, toDateTime64(0, 3, 'UTC')) AS last_checkpoint_at, c.checkpoints AS checkpoints, c.partitions AS partitions,
  greatest(r.core_version, c.core_version) AS core_version
FROM (SELECT * FROM pipeline_runs FINAL) AS r
FULL JOIN (
  SELECT run_id, min(written_at) AS first, max(written_at) AS last, count() AS checkpoints, uniqExact(partition) AS partitions,
    max(k.core_version) AS core_version
  FROM checkpoints AS k WHERE run_id != '' GROUP BY run_id
) AS c ON r.run_id = c.run_id
ORDER BY greatest(c.last, r.started_at) DESC, run_id LIMIT {limit:UInt32}`

export const OperationsHandlers = HttpApiBuilder.group(GuardianApi, "operations", (handlers) =>
  handlers.handleAll({
    trace: ({ params }) => trace(params.event_id),
    stats: () => stats,
    pipeline: () => pipeline,
    deadLetters: ({ query }) => refused<typeof RefusedRecord.Type>("dead_letters", query),
    rejected: ({ query }) => refused<typeof RefusedRecord.Type>("rejected_records", query),
    late: ({ query }) => refused<typeof LateEvent.Type>("late_events", query),
    audits: ({ query }) => answerRows<typeof AuditCheck.Type>({ sql: auditsSql, parameters: query }),
    runs: ({ query }) => answerRows<typeof PipelineRun.Type>({ sql: runsSql, parameters: query }),
    live: () => Effect.flatMap(Live, ({ watch }) => watch)
  }))
