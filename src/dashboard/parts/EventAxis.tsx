/** The events of a session on an axis of time, a row per type, windows of findings behind them. */
import { count, dateTime, duration } from "../Format.ts"
import { reporting } from "../Reporting.ts"
import type { AnomalyRow, SessionEventRow } from "../Shapes.ts"
import { ruleNames } from "./Findings.tsx"

const width = 1_000
const left = 120
const rowHeight = 26
const top = 8

const colours: ReadonlyMap<string, string> = new Map([
  ["view", "series-1"],
  ["click", "series-1"],
  ["add_to_cart", "series-3"],
  ["purchase", "series-2"]
])

interface EventAxisProps {
  readonly events: ReadonlyArray<SessionEventRow>
  readonly findings: ReadonlyArray<AnomalyRow>
}

export const EventAxis = ({ events, findings }: EventAxisProps) => {
  const { zone } = reporting.value
  const times = events.map(({ event_ts }) => Date.parse(event_ts))
  const first = Math.min(...times)
  const span = Math.max(1_000, Math.max(...times) - first)
  const x = (time: number) => left + Math.max(0, Math.min(1, (time - first) / span)) * (width - left - 12)
  const types = [...new Set(events.map(({ event_type }) => event_type))]
  const bottom = top + types.length * rowHeight
  const label = `${count(events.length)} events in ${duration(span / 1_000)} from ${dateTime(first, zone)}: ${
    types.map((type) => `${count(events.filter(({ event_type }) => event_type === type).length)} ${type}`).join(", ")
  }`
  return (
    <div class="scroll" role="region" aria-label="Events on an axis of time" tabIndex={0}>
      <svg class="event-axis" viewBox={`0 0 ${width} ${bottom + 26}`} role="img" aria-label={label}>
        {findings.map(({ finding_id, rule, window_end, window_start }) => {
          const from = x(Date.parse(window_start))
          return (
            <rect
              key={finding_id}
              class="window"
              x={from}
              y={top}
              width={Math.max(2, x(Date.parse(window_end)) - from)}
              height={bottom - top}
            >
              <title>{ruleNames[rule]}</title>
            </rect>
          )
        })}
        {types.map((type, row) => (
          <g key={type}>
            <text x={left - 10} y={top + row * rowHeight + 17} text-anchor="end">
              {type.length > 16 ? `${type.slice(0, 15)}…` : type}
            </text>
            <line class="lane" x1={left} x2={width} y1={top + (row + 1) * rowHeight} y2={top + (row + 1) * rowHeight} />
          </g>
        ))}
        {events.map((event, at) => (
          <rect
            key={`${event.partition}:${event.offset}`}
            class={`mark ${colours.get(event.event_type) ?? "series-4"}`}
            x={x(times[at]!) - 1.5}
            y={top + types.indexOf(event.event_type) * rowHeight + 5}
            width="3"
            height={rowHeight - 9}
          >
            <title>{`${dateTime(event.event_ts, zone, "millisecond")} ${event.event_type} ${event.item_id}`}</title>
          </rect>
        ))}
        {[0, 0.25, 0.5, 0.75, 1].map((part) => (
          <text
            key={part}
            x={x(first + part * span)}
            y={bottom + 18}
            text-anchor={part === 0 ? "start" : part === 1 ? "end" : "middle"}
          >
            {part === 0 ? dateTime(first, zone) : `+${duration(part * span / 1_000)}`}
          </text>
        ))}
      </svg>
    </div>
  )
}
