import { useAnswer } from "../Answer.ts"
import { spokenAmount } from "../Decimal.ts"
import { compact, count, isDay, share, shiftedDay, spokenDay, tenths } from "../Format.ts"
import { Bar } from "../parts/Bar.tsx"
import { Chart } from "../parts/Chart.tsx"
import { DayChoice, segment, SegmentSwitch } from "../parts/Choices.tsx"
import { DayStatus } from "../parts/DayStatus.tsx"
import { metrics, PlainChange } from "../parts/Metrics.tsx"
import { Head, Panel } from "../parts/Panel.tsx"
import { Answered, Empty } from "../parts/States.tsx"
import { Table } from "../parts/Table.tsx"
import { queryOf } from "../Questions.ts"
import { reporting } from "../Reporting.ts"
import { place } from "../Route.ts"
import type { DayRow, FunnelRow, HourRow, Rows } from "../Shapes.ts"

/** Days that still change are asked about again. */
const everyMs = 5_000

/** The day of the URL, else the newest there is. */
export const chosenDay = (): string | undefined => {
  const given = place.value.parameters.get("date") ?? null
  return isDay(given) ? given : reporting.value.lastDay
}

export const DayPage = () => {
  const day = chosenDay()
  const query = day === undefined ?
    undefined :
    queryOf({ from: shiftedDay(day, -1), to: day, segment: segment() })
  const answer = useAnswer<Rows<DayRow>>(query && `metrics/daily${query}`, everyMs)
  if (day === undefined) {
    return (
      <>
        <Head title="Day" />
        <Empty>There are no figures yet. They appear within seconds of the first events.</Empty>
      </>
    )
  }
  return (
    <>
      <Head title={spokenDay(day)}>
        <DayChoice day={day} />
        <SegmentSwitch />
      </Head>
      <Answered answer={answer} lines={8}>
        {({ data }) => {
          const row = data.find(({ metric_date }) => metric_date === day)
          const before = data.find(({ metric_date }) => metric_date === shiftedDay(day, -1))
          return row === undefined ?
            <Empty>No events of this day in this segment.</Empty> :
            <DayFigures row={row} before={before} />
        }}
      </Answered>
    </>
  )
}

const DayFigures = ({ before, row }: { readonly row: DayRow; readonly before: DayRow | undefined }) => (
  <>
    <DayStatus row={row} />
    {before === undefined && <p class="note">The day before has no figures to compare with.</p>}
    <dl class="kpis">
      {metrics.map((metric) => (
        <div key={metric.name}>
          <dt>{metric.title}</dt>
          <dd data-metric={metric.name}>{metric.write(row)}</dd>
          {before !== undefined && (
            <dd class="change">
              <PlainChange metric={metric} row={row} before={before} />
            </dd>
          )}
        </div>
      ))}
    </dl>
    <OtherMoney row={row} />
    <div class="grid">
      <Hours day={row.metric_date} />
      <Funnel day={row.metric_date} />
    </div>
  </>
)

/** What counts in no other figure: other currencies, and what came too late. */
const OtherMoney = ({ row }: { readonly row: DayRow }) => {
  const { currency } = reporting.value
  const others = Object.entries(row.revenue_by_currency)
  const sentences = [
    ...(others.length === 0 ? [] : [
      `Purchases in other currencies: ${others.map(([name, sum]) => `${spokenAmount(sum)} ${name}`).join(", ")}.`
    ]),
    ...(row.late_events === 0 ? [] : [
      `Too late: ${count(row.late_events)} events worth ${spokenAmount(row.late_revenue)} ${currency}, ` +
      `${count(row.amended_events)} of them folded in by amendments.`
    ]),
    ...(row.late_repeat === 0 ? [] : [`${count(row.late_repeat)} late records only repeat what was there.`])
  ]
  return sentences.length === 0 ? null : <p class="note">{sentences.join(" ")}</p>
}

const Hours = ({ day }: { readonly day: string }) => {
  const answer = useAnswer<Rows<HourRow>>(`metrics/hourly/${day}${queryOf({ segment: segment() })}`, everyMs)
  return (
    <Panel title="Traffic by hour" note={`hours of the day in ${reporting.value.zone}`}>
      <Answered answer={answer} lines={6}>
        {({ data }) =>
          data.length === 0 ? <Empty>No hour has events in this segment.</Empty> : (
            <>
              <HourChart rows={data} />
              <details>
                <summary>Hours as a table</summary>
                <Table
                  caption="Traffic by hour"
                  rows={data}
                  keyOf={({ hour_start }) => hour_start}
                  columns={[
                    { title: "Hour", names: true, cell: ({ local_hour }) => hourName(local_hour) },
                    { title: "Clicks", figure: true, cell: ({ clicks }) => count(clicks) },
                    { title: "Purchases", figure: true, cell: ({ purchases }) => count(purchases) },
                    { title: "Visitors", figure: true, cell: ({ unique_visitors }) => count(unique_visitors) },
                    { title: "Revenue", figure: true, cell: ({ revenue }) => spokenAmount(revenue) }
                  ]}
                />
              </details>
            </>
          )}
      </Answered>
    </Panel>
  )
}

const hourName = (hour: number): string => `${String(hour).padStart(2, "0")}:00`
const hours = Array.from({ length: 24 }, (_, hour) => hour)

/** An hour that the clock repeats is one bar. */
const HourChart = ({ rows }: { readonly rows: ReadonlyArray<HourRow> }) => {
  const sums = (of: (row: HourRow) => number) =>
    hours.map((hour) => rows.filter(({ local_hour }) => local_hour === hour).reduce((sum, row) => sum + of(row), 0))
  const clicks = sums((row) => row.clicks)
  const purchases = sums((row) => row.purchases)
  return (
    <>
      {[["clicks", "series-1", clicks] as const, ["purchases", "series-2", purchases] as const].map(
        ([label, colour, values]) => (
          <Chart
            key={label}
            label={`${label} by hour`}
            kind="bars"
            height={label === "clicks" ? 150 : 100}
            xs={hours}
            steps={[3, 6, 12]}
            span={[-0.6, 23.6]}
            writeX={hourName}
            markX={(hour) => String(hour).padStart(2, "0")}
            markY={compact}
            series={[{ label, colour, values, write: (at) => count(values[at]!), inAll: count(sumOfCounts(values)) }]}
          />
        )
      )}
    </>
  )
}

const sumOfCounts = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0)

const stageNames: Readonly<Record<FunnelRow["stage"], string>> = {
  VIEW: "Looked at something",
  MULTI_VIEW: "Looked at more",
  ADD_TO_CART: "Put into the cart",
  PURCHASE: "Bought"
}

const Funnel = ({ day }: { readonly day: string }) => {
  const answer = useAnswer<Rows<FunnelRow>>(`metrics/funnel/${day}${queryOf({ segment: segment() })}`, everyMs)
  return (
    <Panel title="Funnel" note="sessions that began on the day">
      <Answered answer={answer} lines={4}>
        {({ data }) =>
          data.length === 0 ? <Empty>No session began in this segment.</Empty> : (
            <table class="facts funnel">
              <caption class="unseen">How far the sessions came</caption>
              <thead>
                <tr>
                  <th scope="col">Stage</th>
                  <th scope="col" class="figure">Sessions</th>
                  <td />
                  <th scope="col" class="figure">Of first</th>
                  <th scope="col" class="figure">Lost</th>
                </tr>
              </thead>
              <tbody>
                {data.map((row, at) => (
                  <tr key={row.stage}>
                    <th scope="row">{stageNames[row.stage]}</th>
                    <td class="figure" data-stage={row.stage}>{count(row.session_count)}</td>
                    <td class="stretch">
                      <Bar of={row.percentage / 100} />
                    </td>
                    <td class="figure">{tenths(row.percentage)} %</td>
                    <td class="figure">{at === 0 ? "" : share(row.drop_rate)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
      </Answered>
    </Panel>
  )
}
