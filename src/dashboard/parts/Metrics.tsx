/** The figures of a day: names, how they are written, how they change. One list for the pages Day and Range. */
import { changeInPercent, heightOf, spokenAmount, unitsOf } from "../Decimal.ts"
import { compact, count, duration, hundredths, share, signed, tenths } from "../Format.ts"
import { reporting } from "../Reporting.ts"
import type { DayRow } from "../Shapes.ts"

export type MetricName = keyof DayRow

interface MetricBase {
  readonly title: string
  /** For a figure that stands in a line. */
  readonly write: (row: DayRow) => string
  /** For the height of a mark. */
  readonly height: (row: DayRow) => number
  readonly mark: (height: number) => string
}

export interface Metric extends MetricBase {
  readonly name: MetricName
  /** Percent, or percentage points where the figure is itself a share; undefined: nothing to compare with. */
  readonly change: (row: DayRow, before: DayRow) => number | undefined
  readonly isShare: boolean
}

type Names<V> = { readonly [K in keyof DayRow]: DayRow[K] extends V ? K : never }[keyof DayRow]

const figure = (name: Names<number>, title: string, write: (value: number) => string = count): Metric => ({
  name,
  title,
  isShare: false,
  write: (row) => write(row[name]),
  height: (row) => row[name],
  mark: compact,
  change: (row, before) => before[name] === 0 ? undefined : (row[name] - before[name]) / before[name] * 100
})

const rate = (name: Names<number>, title: string): Metric => ({
  ...figure(name, title, share),
  isShare: true,
  mark: (height) => `${tenths(height * 100)} %`,
  change: (row, before) => (row[name] - before[name]) * 100
})

const money = (name: "total_revenue" | "avg_order_value", title: string): Metric => ({
  name,
  title,
  isShare: false,
  write: (row) => `${spokenAmount(row[name])} ${reporting.value.currency}`.trim(),
  height: (row) => heightOf(row[name]),
  mark: compact,
  change: (row, before) => changeInPercent(unitsOf(row[name]), unitsOf(before[name]))
})

export const metrics: ReadonlyArray<Metric> = [
  money("total_revenue", "Revenue"),
  figure("total_purchases", "Purchases"),
  money("avg_order_value", "Order value"),
  rate("conversion_rate", "Conversion"),
  figure("sessions", "Sessions"),
  figure("unique_visitors", "Visitors"),
  figure("total_clicks", "Clicks"),
  figure("unique_items", "Items"),
  figure("avg_session_duration_sec", "Session length", duration),
  figure("avg_clicks_per_session", "Clicks per session", hundredths),
  rate("bounce_rate", "Bounce rate"),
  figure("late_events", "Late events")
]

interface ChangeProps {
  readonly metric: Metric
  readonly row: DayRow
  readonly before: DayRow
}

/** Up or down, without praise: whether more is better is for the reader to say. */
export const PlainChange = ({ before, metric, row }: ChangeProps) => {
  if (metric.write(row) === metric.write(before)) return <span>unchanged</span>
  const change = metric.change(row, before)
  const was = `was ${metric.write(before)}`
  if (change === undefined) return <span title={was}>{was}</span>
  const rounded = metric.isShare ? Math.round(change * 100) / 100 : Math.round(change * 10) / 10
  return (
    <span title={was}>
      <i class={rounded > 0 ? "up" : "down"} aria-hidden="true" />
      {signed(rounded, metric.isShare ? hundredths : tenths)} {metric.isShare ? "points" : "%"}
      <span class="unseen">, {was} the day before</span>
    </span>
  )
}
