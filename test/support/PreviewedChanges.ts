/** What a preview of an amendment says against what became of it: figures of daily_metrics, by day, segment and name. */
import { Effect } from "effect"
import type { AmendmentPreview } from "../../src/operations/late/Preview.ts"
import type { Warehouse } from "../../src/warehouse/Warehouse.ts"

/** "day segment figure" -> value. */
export type Figures = ReadonlyMap<string, number>

const names = [
  "total_clicks",
  "total_purchases",
  "unique_visitors",
  "unique_items",
  "total_revenue",
  "avg_order_value",
  "sessions",
  "conversion_rate",
  "avg_session_duration_sec",
  "avg_clicks_per_session",
  "bounce_rate",
  "amended_events"
]

export const figuresBySegment = Effect.fnUntraced(function*(warehouse: Warehouse["Service"]) {
  const rows = yield* warehouse.query(
    `SELECT toString(metric_date) AS day, segment, revenue_by_currency,
       ${names.map((name) => `toString(${name}) AS ${name}`).join(", ")} FROM daily_metrics`
  )
  return new Map(rows.flatMap((row) => {
    const of = (name: string, value: unknown) => [`${row["day"]} ${row["segment"]} ${name}`, Number(value)] as const
    return [
      ...names.map((name) => of(name, row[name])),
      ...Object.entries(row["revenue_by_currency"] as Record<string, string>).map(([currency, amount]) =>
        of(`revenue_by_currency ${currency}`, amount)
      )
    ]
  })) as Figures
})

/** "day segment figure" -> before and after. */
type Changes = Readonly<Record<string, readonly [before: number, after: number]>>

const changes = (found: Iterable<readonly [string, number, number]>): Changes =>
  Object.fromEntries(
    [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([name, before, after]) => [name, [before, after] as const])
  )

export const changesBetween = (before: Figures, after: Figures): Changes =>
  changes(
    [...new Set([...before.keys(), ...after.keys()])]
      .map((name) => [name, before.get(name) ?? 0, after.get(name) ?? 0] as const)
      .filter(([, was, is]) => was !== is)
  )

export const changesPreviewed = (preview: AmendmentPreview): Changes =>
  changes(
    preview.changes.map(({ after, before, day, figure, segment }) =>
      [`${day} ${segment} ${figure}`, Number(before), Number(after)] as const
    )
  )
