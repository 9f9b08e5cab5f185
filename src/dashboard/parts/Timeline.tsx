import { compact, count, dateTime } from "../Format.ts"
import { reporting } from "../Reporting.ts"
import type { AnomalyHourRow } from "../Shapes.ts"
import { Chart } from "./Chart.tsx"
import { ruleNames } from "./Findings.tsx"

const hourSeconds = 3_600
const rules = [["HIGH_FREQUENCY", "series-4"], ["BOT_LIKE", "series-2"]] as const

/** Findings by hour and rule, up to the newest; hours without any are nothing. */
export const Timeline = ({ hours, rows }: { readonly rows: ReadonlyArray<AnomalyHourRow>; readonly hours: number }) => {
  const { zone } = reporting.value
  const newest = Math.max(...rows.map(({ hour_start }) => Date.parse(hour_start) / 1_000))
  const xs = Array.from({ length: hours }, (_, at) => newest - (hours - 1 - at) * hourSeconds)
  const found = new Map(
    rows.map(({ findings, hour_start, rule }) => [`${rule} ${Date.parse(hour_start) / 1_000}`, findings])
  )
  const total = rows.reduce((sum, { findings }) => sum + findings, 0)
  return (
    <>
      {rules.map(([rule, colour]) => {
        const values = xs.map((x) => found.get(`${rule} ${x}`) ?? 0)
        return (
          <Chart
            key={rule}
            label={`${ruleNames[rule]} findings by hour; ${count(total)} of all rules in ${count(hours)} hours`}
            kind="bars"
            height={88}
            xs={xs}
            steps={[3, 6, 12, 24, 48, 96, 168].map((each) => each * hourSeconds)}
            writeX={(x) => dateTime(x * 1_000, zone, "minute")}
            markX={(x) => dateTime(x * 1_000, zone, "minute").slice(hours > 24 ? 5 : 11, hours > 24 ? 10 : 16)}
            markY={compact}
            series={[{
              label: ruleNames[rule],
              colour,
              values,
              write: (at) => count(values[at]!),
              inAll: count(values.reduce((sum, value) => sum + value, 0))
            }]}
          />
        )
      })}
    </>
  )
}
