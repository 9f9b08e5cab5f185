/** A chart on uPlot: lines or bars over one axis, its newest or pointed-at figures in words above it. */
import { useEffect, useRef, useState } from "preact/hooks"
import uPlot from "uplot"
import { colour, colourVersion } from "../Theme.ts"

export interface Series {
  readonly label: string
  /** Of the style sheet: series-1 to series-4. */
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
  /** How a figure is written; by its place, so that amounts can be exact. */
  readonly write: (at: number) => string
  /** What is said while nobody points at anything; absent: the newest figure. */
  readonly inAll?: string
}

interface ChartProps {
  readonly label: string
  readonly kind: "line" | "bars"
  readonly xs: ReadonlyArray<number>
  readonly series: ReadonlyArray<Series>
  /** How a place on the axis is written, and in a word or two on it. */
  readonly writeX: (x: number) => string
  readonly markX?: (x: number) => string
  readonly markY: (y: number) => string
  /** Steps that the marks of the axis may have. */
  readonly steps: ReadonlyArray<number>
  readonly span?: readonly [number, number]
  readonly height?: number
}

export const Chart = (props: ChartProps) => {
  const { kind, label, series, writeX, xs } = props
  const frame = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const newest = useRef(props)
  newest.current = props
  const [pointed, setPointed] = useState<number | null>(null)
  const version = colourVersion.value
  useEffect(() => {
    const made = new uPlot(
      optionsOf(newest, frame.current!.clientWidth, setPointed),
      dataOf(newest.current),
      frame.current!
    )
    plot.current = made
    const observer = new ResizeObserver(([entry]) => {
      const width = Math.floor(entry!.contentRect.width)
      if (width > 0 && width !== made.width) made.setSize({ width, height: made.height })
    })
    observer.observe(frame.current!)
    return () => {
      observer.disconnect()
      made.destroy()
    }
  }, [version, kind, series.length, series.map((each) => each.colour).join()])
  useEffect(() => plot.current?.setData(dataOf(newest.current)), [xs, series])
  const isPointed = pointed !== null && pointed < xs.length
  const at = isPointed ? pointed : xs.length - 1
  return (
    <figure class="chart">
      <figcaption>
        <span class="unseen">{label}.</span>
        {series.map((each) => (
          <span key={each.label} class="key">
            <i class={`swatch ${each.colour}`} />
            {each.label} <b>{isPointed || each.inAll === undefined ? figureAt(each, at) : each.inAll}</b>
          </span>
        ))}
        <span class="at">
          {!isPointed && series[0]?.inAll !== undefined ? "in all" : at < 0 ? "" : writeX(xs[at]!)}
        </span>
      </figcaption>
      <div ref={frame} aria-hidden="true" />
    </figure>
  )
}

const figureAt = ({ values, write }: Series, at: number): string =>
  at < 0 || values[at] === null || values[at] === undefined ? "–" : write(at)

const dataOf = ({ series, xs }: ChartProps): uPlot.AlignedData => [
  [...xs],
  ...series.map(({ values }) => [...values])
]

const optionsOf = (
  newest: { readonly current: ChartProps },
  width: number,
  point: (at: number | null) => void
): uPlot.Options => {
  const { height = 160, kind, series, steps } = newest.current
  const lines = { stroke: colour("grid"), width: 1 }
  const axis = { stroke: colour("muted"), font: "11px system-ui, sans-serif", grid: lines, ticks: { show: false } }
  return {
    width: Math.max(width, 100),
    height,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false, range: (_, min, max) => spanOf(newest.current, min, max) },
      y: { range: (_, _min, max) => [0, max > 0 ? max * 1.08 : 1] }
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        space: 64,
        incrs: [...steps],
        values: (_, splits) => splits.map((x) => (newest.current.markX ?? newest.current.writeX)(x))
      },
      { ...axis, size: 46, space: 30, values: (_, splits) => splits.map((y) => newest.current.markY(y)) }
    ],
    series: [{}, ...series.map((each) => styleOf(each, kind))],
    hooks: { setCursor: [({ cursor }) => point(cursor.left! < 0 ? null : cursor.idx ?? null)] }
  }
}

const styleOf = (each: Series, kind: ChartProps["kind"]): uPlot.Series => {
  const stroke = colour(each.colour)
  return {
    label: each.label,
    stroke,
    width: kind === "bars" ? 0 : 1.75,
    points: { show: false },
    spanGaps: false,
    ...(kind === "bars" && { fill: stroke, paths: uPlot.paths.bars!({ size: [0.72, 48] }) })
  }
}

/** Bars need room for half of one at both ends. */
const spanOf = ({ kind, span, steps, xs }: ChartProps, min: number, max: number): [number, number] => {
  if (span !== undefined) return [...span]
  const room = kind === "bars" ? (xs.length > 1 ? xs[1]! - xs[0]! : steps[0]!) * 0.6 : 0
  return min === null ? [0, 1] : [min - room, max + (max === min && room === 0 ? 1 : room)]
}
