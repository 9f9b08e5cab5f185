import { useState } from "preact/hooks"
import { useAnswer } from "../Answer.ts"
import { spokenUnits, sumOf } from "../Decimal.ts"
import { count, isDay, shiftedDay } from "../Format.ts"
import { Chart } from "../parts/Chart.tsx"
import { Field, segment, SegmentSwitch } from "../parts/Choices.tsx"
import { StatusWord } from "../parts/DayStatus.tsx"
import { metrics } from "../parts/Metrics.tsx"
import type { Metric } from "../parts/Metrics.tsx"
import { Head, Panel } from "../parts/Panel.tsx"
import { Answered, Empty } from "../parts/States.tsx"
import { Table } from "../parts/Table.tsx"
import { askCsv, Problem, queryOf } from "../Questions.ts"
import { reporting } from "../Reporting.ts"
import { go, href, hrefWith, place } from "../Route.ts"
import type { DayRow, Rows } from "../Shapes.ts"

const everyMs = 10_000
const presets = [7, 30, 90, 366]
const presetFallback = 30

export const RangePage = () => {
  const { firstDay, lastDay } = reporting.value
  const given = (name: string) => {
    const day = place.value.parameters.get(name) ?? null
    return isDay(day) ? day : undefined
  }
  const to = given("to") ?? lastDay
  const from = given("from") ?? (to && shiftedDay(to, 1 - presetFallback))
  const path = from && to && `metrics/daily${queryOf({ from, to, segment: segment() })}`
  const answer = useAnswer<Rows<DayRow>>(path || undefined, everyMs)
  return (
    <>
      <Head title="Range of days">
        <div class="day-choice">
          <Field label="From" parameter="from" type="date" fallback={from} min={firstDay} max={to} />
          <Field label="To" parameter="to" type="date" fallback={to} min={from} max={lastDay} />
        </div>
        {lastDay !== undefined && (
          <nav class="switch" aria-label="Days up to the newest">
            {presets.map((days) => {
              const start = shiftedDay(lastDay, 1 - days)
              return (
                <a
                  key={days}
                  href={hrefWith({ from: start, to: lastDay })}
                  aria-current={from === start && to === lastDay ? "true" : undefined}
                >
                  {days} days
                </a>
              )
            })}
          </nav>
        )}
        <SegmentSwitch />
      </Head>
      {path ?
        (
          <Answered answer={answer} lines={10}>
            {({ data }) =>
              data.length === 0 ? <Empty>No day of this range has figures.</Empty> : <Days rows={data} path={path} />}
          </Answered>
        ) :
        <Empty>There are no figures yet.</Empty>}
    </>
  )
}

const Days = ({ path, rows }: { readonly rows: ReadonlyArray<DayRow>; readonly path: string }) => {
  const chosen = metrics.find(({ name }) => name === place.value.parameters.get("metric")) ?? metrics[0]!
  return (
    <>
      <Panel
        title="By day"
        note={`days of ${reporting.value.zone}`}
        actions={
          <label class="field">
            <span>Figure</span>
            <select value={chosen.name} onChange={({ currentTarget }) => go(hrefWith({ metric: currentTarget.value }))}>
              {metrics.map(({ name, title }) => <option key={name} value={name}>{title}</option>)}
            </select>
          </label>
        }
      >
        <DayChart rows={rows} metric={chosen} />
      </Panel>
      <Panel title="All figures" actions={<Download path={path} />}>
        <Table
          caption="Figures by day, newest first"
          rows={rows.toReversed()}
          keyOf={({ metric_date }) => metric_date}
          columns={[
            {
              title: "Day",
              names: true,
              cell: ({ metric_date }) => (
                <a href={href("day", { date: metric_date, segment: segmentShown() })}>{metric_date}</a>
              )
            },
            { title: "Status", cell: ({ status }) => <StatusWord status={status} /> },
            ...metrics.map((metric) => ({ title: metric.title, figure: true, cell: metric.write }))
          ]}
          foot={["Sum", "", ...metrics.map((metric) => sumOfMetric(metric, rows))]}
        />
        <p class="note">Visitors, items and averages of days cannot be added.</p>
      </Panel>
    </>
  )
}

const segmentShown = () => segment() === "all" ? undefined : segment()

const summed: ReadonlySet<string> = new Set(["total_purchases", "sessions", "total_clicks", "late_events"])

const sumOfMetric = ({ height, name }: Metric, rows: ReadonlyArray<DayRow>): string =>
  name === "total_revenue" ?
    `${spokenUnits(sumOf(rows.map((row) => row.total_revenue)))} ${reporting.value.currency}`.trim() :
    summed.has(name) ?
    count(rows.reduce((sum, row) => sum + height(row), 0)) :
    ""

const daySeconds = 86_400

/** Days without any event are gaps of nothing, not left out. */
const DayChart = ({ metric, rows }: { readonly rows: ReadonlyArray<DayRow>; readonly metric: Metric }) => {
  const first = rows[0]!.metric_date
  const last = rows.at(-1)!.metric_date
  const length = (Date.parse(last) - Date.parse(first)) / 1_000 / daySeconds + 1
  const days = Array.from({ length }, (_, at) => shiftedDay(first, at))
  const byDay = new Map(rows.map((row) => [row.metric_date as string, row]))
  const shown = days.map((day) => byDay.get(day))
  const nameOf = (x: number) => new Date(x * 1_000).toISOString().slice(0, 10)
  return (
    <Chart
      label={`${metric.title} by day from ${first} to ${last}; all figures are in the table below`}
      kind="bars"
      height={220}
      xs={days.map((day) => Date.parse(day) / 1_000)}
      steps={[1, 2, 7, 14, 30, 60, 120].map((days) => days * daySeconds)}
      writeX={nameOf}
      markX={(x) => nameOf(x).slice(5)}
      markY={metric.mark}
      series={[{
        label: metric.title,
        colour: "series-1",
        values: shown.map((row) => row === undefined ? null : metric.height(row)),
        write: (at) => shown[at] === undefined ? "–" : metric.write(shown[at])
      }]}
    />
  )
}

const Download = ({ path }: { readonly path: string }) => {
  const [problem, setProblem] = useState("")
  const save = async (): Promise<void> => {
    try {
      const address = URL.createObjectURL(await askCsv(path))
      const link = Object.assign(document.createElement("a"), { href: address, download: "guardian-daily.csv" })
      link.click()
      URL.revokeObjectURL(address)
      setProblem("")
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error))
    }
  }
  return (
    <>
      <span role="status">{problem}</span>
      <button type="button" onClick={() => void save()}>Save as CSV</button>
    </>
  )
}
