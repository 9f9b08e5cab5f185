import { clockTime, compact, count, duration, share } from "../Format.ts"
import { connection, live, moments } from "../LiveFeed.ts"
import { Bar } from "../parts/Bar.tsx"
import { Chart } from "../parts/Chart.tsx"
import { Findings } from "../parts/Findings.tsx"
import { Head, Panel } from "../parts/Panel.tsx"
import { Partitions } from "../parts/Partitions.tsx"
import { Empty, Loading } from "../parts/States.tsx"
import { reporting } from "../Reporting.ts"
import type { Live } from "../Shapes.ts"

/** Seconds that the charts reach back. */
const shownSeconds = 180

export const LivePage = () => {
  const state = live.value
  return (
    <>
      <Head title="Live">
        <p class="note">
          {connection.value === "open" ?
            "New figures each second." :
            connection.value === "connecting" ?
            "Connecting …" :
            "The connection was lost; trying again. What is shown is as it was then."}
        </p>
      </Head>
      {connection.value === "lost" && state !== undefined && (
        <p class="state stale" role="status">
          Stale: nothing was heard since {clockTime(state.at, reporting.value.zone)}.
        </p>
      )}
      <div class={connection.value === "lost" ? "grid aged" : "grid"}>
        <Rate />
        <Behind />
        <Panel title="Outcomes">{state === undefined ? <Waiting /> : <Outcomes outcomes={state.outcomes} />}</Panel>
        <Panel title="Partitions">
          {state === undefined ? <Waiting /> : <Partitions rows={state.partitions} />}
        </Panel>
        <Panel title="Newest findings" wide>
          {state === undefined ? <Waiting /> : state.newest_findings.length === 0 ?
            <Empty>No findings: no visitor has crossed a rule's threshold.</Empty> :
            <Findings caption="Newest findings" rows={state.newest_findings} />}
        </Panel>
      </div>
    </>
  )
}

const Waiting = () =>
  connection.value === "lost" ?
    <p class="state failed">The API does not answer. Trying again by itself.</p> :
    <Loading lines={3} />

const steps = [10, 30, 60]

const Rate = () => {
  const kept = moments.value
  const last = kept.at(-1)
  const rate = last?.perSecond ?? undefined
  const shown = kept.filter(({ at }) => at > (last?.at ?? 0) - shownSeconds)
  const rates = shown.flatMap(({ perSecond }) => perSecond ?? [])
  return (
    <Panel title="Events per second" note="received, mean of 5 s">
      <p class="big" data-figure="rate">{rate === undefined ? "–" : count(rate)}</p>
      <TimeChart
        label={rates.length === 0 ?
          "Events per second: no figures yet" :
          `Events per second over three minutes: from ${count(Math.min(...rates))} to ${count(Math.max(...rates))}`}
        name="events/s"
        colour="series-1"
        times={shown.map(({ at }) => at)}
        values={shown.map(({ perSecond }) => perSecond)}
        write={count}
        mark={compact}
      />
    </Panel>
  )
}

const Behind = () => {
  const kept = moments.value
  const last = kept.at(-1)
  const shown = kept.filter(({ at }) => at > (last?.at ?? 0) - shownSeconds)
  const { newest_event, watermark } = live.value?.freshness ?? {}
  return (
    <Panel
      title="Freshness"
      note={watermark ? `all partitions are in up to ${clockTime(watermark, reporting.value.zone)}` : "no event yet"}
    >
      <p class="big">
        {last?.behind == null ? "–" : duration(last.behind)} <small>behind now</small>
        <span class="aside">
          lag <b data-figure="lag">{last?.lag == null ? "unknown" : count(last.lag)}</b>{" "}
          records{newest_event ? `, newest event ${clockTime(newest_event, reporting.value.zone)}` : ""}
        </span>
      </p>
      <TimeChart
        label="How far the watermark is behind now, seconds, over three minutes"
        name="seconds behind"
        colour="series-3"
        times={shown.map(({ at }) => at)}
        values={shown.map(({ behind }) => behind)}
        write={duration}
        mark={compact}
      />
    </Panel>
  )
}

interface TimeChartProps {
  readonly label: string
  readonly name: string
  readonly colour: string
  readonly times: ReadonlyArray<number>
  readonly values: ReadonlyArray<number | null>
  readonly write: (value: number) => string
  readonly mark: (value: number) => string
}

const TimeChart = ({ colour, label, mark, name, times, values, write }: TimeChartProps) => {
  const { zone } = reporting.value
  const end = times.at(-1) ?? 0
  return (
    <Chart
      label={label}
      kind="line"
      xs={times}
      span={[end - shownSeconds, end]}
      steps={steps}
      height={130}
      writeX={(x) => clockTime(x * 1_000, zone)}
      markY={mark}
      series={[{ label: name, colour, values, write: (at) => write(values[at]!) }]}
    />
  )
}

const parts = ["accepted", "duplicate", "late", "rejected", "dead_lettered"] as const
const colours = ["series-1", "series-3", "series-4", "series-2", "bad"]

const Outcomes = ({ outcomes }: { readonly outcomes: Live["outcomes"] }) => {
  const sum = parts.reduce((total, part) => total + outcomes[part], 0)
  return (
    <>
      <table class="facts">
        <caption class="unseen">Records by outcome</caption>
        <tbody>
          <tr>
            <th scope="row">received</th>
            <td class="figure" data-figure="received">{count(outcomes.received)}</td>
            <td />
            <td class="figure" />
          </tr>
          {parts.map((part, at) => (
            <tr key={part}>
              <th scope="row">{part.replace("_", "-")}</th>
              <td class="figure" data-figure={part}>{count(outcomes[part])}</td>
              <td class="stretch">
                <Bar of={sum === 0 ? 0 : outcomes[part] / sum} colour={colours[at]!} />
              </td>
              <td class="figure">{sum === 0 ? "–" : share(outcomes[part] / sum)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class={sum === outcomes.received ? "note" : "state failed"}>
        {sum === outcomes.received ?
          "Accounted for: the outcomes add up to what was received." :
          `Not accounted for: the outcomes add up to ${count(sum)}.`}
      </p>
    </>
  )
}
