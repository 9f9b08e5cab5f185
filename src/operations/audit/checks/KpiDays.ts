/** The days that checks of KPIs look at, and the SQL that they share. */
import { Effect } from "effect"
import { kpiBacklog } from "../../../warehouse/KpiBacklog.ts"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext } from "../AuditContext.ts"
import { idPrefix, modestly, time } from "../AuditContext.ts"
import type { CheckResult } from "../Check.ts"
import { together, uncheckedOf } from "../Check.ts"
import { readJudgements } from "./FlaggedSessions.ts"
import type { Judgements } from "./FlaggedSessions.ts"
import { repeatMs } from "./LateRepeats.ts"

/** Days of the reporting zone that one query looks at together. */
export interface Run {
  readonly zone: string
  readonly dates: ReadonlyArray<string>
}

/**
 * A look at the days that are decided: at all of them when the views have taken in everything, at the final ones otherwise. What
 * differs while the KPIs move is looked at again, since it may be on its way.
 * @param only a condition on `day` that final days must meet as well
 */
export const decidedDays = Effect.fnUntraced(function*(
  context: AuditContext,
  look: (run: Run, judgements: Judgements) => Effect.Effect<CheckResult, WarehouseError, Warehouse>,
  only = "1"
): Effect.fn.Return<CheckResult, WarehouseError, Warehouse> {
  for (let looks = 1;; looks++) {
    const { backlog, revisions } = yield* kpiState
    const isIdle = backlog === ""
    const judgements = yield* readJudgements
    const runs = yield* runsOf(context, isIdle, only)
    const found = together(yield* Effect.forEach(runs, (run) => look(run, judgements)))
    if (found.differences > 0 && looks < looksMax) {
      const after = yield* kpiState
      if (!isIdle || after.backlog !== "" || after.revisions !== revisions) {
        yield* Effect.sleep(lookAgainMs)
        continue
      }
    }
    return isIdle ? found : {
      ...found,
      ...uncheckedOf([found.unchecked, `days that are not final: the KPIs have yet to take in ${backlog}`])
    }
  }
})

/** A final day that a person reopens is right again after some seconds. */
const looksMax = 3
const lookAgainMs = 10_000

/** What the views have yet to take in, in words (nothing when they are idle), and the newest rows of days. */
const kpiState = Effect.gen(function*() {
  const [row] = yield* (yield* Warehouse).query(
    `SELECT toString(((SELECT max(revision) FROM daily_metrics_raw), (SELECT max(revision) FROM popular_raw))) AS revisions`
  )
  const backlog = Object.entries(yield* kpiBacklog).map(([stage, count]) => `${count} ${stage}`).join(", ")
  return { backlog, revisions: String(row!["revisions"]) }
})

/** The days to look at: those with figures and those with events, final ones only unless all is taken in. */
const runsOf = Effect.fnUntraced(function*(
  { gone, scope, settings, sliceEventsMax }: AuditContext,
  isIdle: boolean,
  ofFinal: string
): Effect.fn.Return<ReadonlyArray<Run>, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const [row] = yield* warehouse.query(
    `SELECT if(count() = 0, 'UTC', argMax(value, version)) AS time_zone FROM reporting_settings WHERE name = 'time_zone'`
  )
  const zone = `'${String(row!["time_zone"])}'`
  const only = scope === "all" ? "1" : `day = toDate('${new Date(scope.dayStart).toISOString().slice(0, 10)}')`
  // What the first hour after them repeats, or goes on from, may be gone.
  const decidable = gone === undefined ?
    "1" :
    `toDateTime(day, ${zone}) >= ${time(gone.until + Math.max(settings.gapMs, repeatMs))} AND day NOT IN (${
      cutSql(gone.until, zone)
    })`
  const days = yield* warehouse.query(
    `SELECT toString(day) AS date, toString(sum(records)) AS rows FROM (
       SELECT metric_date AS day, 0 AS records FROM daily_metrics ${isIdle ? "" : "WHERE status = 'final'"}
       UNION ALL SELECT toDate(event_ts, ${zone}) AS day, count() AS records FROM events_raw GROUP BY day
     ) WHERE ${only} AND ${decidable} ${
      isIdle ? "" : `AND day IN (SELECT metric_date FROM daily_metrics WHERE status = 'final') AND ${ofFinal}`
    }
     GROUP BY day ORDER BY day ${modestly}`
  )
  const runs: Array<{ zone: string; dates: Array<string>; rows: number }> = []
  for (const day of days) {
    const rows = Number(day["rows"])
    const last = runs.at(-1)
    if (last === undefined || last.rows + rows > sliceEventsMax) runs.push({ zone, dates: [String(day["date"])], rows })
    else {
      last.dates.push(String(day["date"]))
      last.rows += rows
    }
  }
  return runs
})

/** Days with events of sessions that are gone themselves: whether those were a bot's nobody can tell any more. */
const cutSql = (until: number, zone: string): string => `
  SELECT DISTINCT toDate(event_ts, ${zone}) FROM events
  WHERE session_id < '${idPrefix(until)}' AND session_id NOT IN (SELECT session_id FROM sessions)`

/** What an event is worth. */
export const amount = "toDecimal128(price, 4) * quantity"
/** That it is worth that in the reporting currency. */
export const reporting =
  "currency IN ('', (SELECT if(count() = 0, 'USD', argMax(value, version)) FROM reporting_settings WHERE name = 'currency'))"

/** SQL of the first instant of a run and of the first one after it. */
export const span = ({ dates, zone }: Run): readonly [from: string, to: string] => [
  `toDateTime64('${dates[0]} 00:00:00', 3, ${zone})`,
  `toDateTime64(toDate('${dates.at(-1)}') + 1, 3, ${zone})`
]

/** That a time lies in one of the days; there may be others between them. */
export const inRun = (column: string, { dates, zone }: Run): string =>
  `toDate(${column}, ${zone}) IN (${dates.map((date) => `toDate('${date}')`).join(", ")})`

/** The day of the reporting zone that a time lies in. */
export const dateOf = (column: string, { zone }: Run): string => `toString(toDate(${column}, ${zone})) AS date`

/** Rows with the segments that they count in. */
export const bySegment =
  "ARRAY JOIN if(flagged, ['all', 'flagged'], ['all', 'clean']) AS segment GROUP BY date, segment"
