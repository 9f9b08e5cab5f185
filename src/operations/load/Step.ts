/** Whether a rate was held, and how long an event took to be visible. Pure. */
import type { Ledger } from "../chaos/Ledger.ts"
import type { Sight } from "../chaos/Recovery.ts"
import { lagAt, quantile } from "../chaos/Recovery.ts"
import type { MemorySample } from "./Memory.ts"

export interface LoadStep {
  readonly recordsPerSecond: number
  /** Acknowledged in the measured part, per second. */
  readonly acknowledgedPerSecond: number
  /** Acknowledged and not visible, in the middle and at the end of the measured part. */
  readonly lagMiddle: number
  readonly lagEnd: number
  /** From acknowledgement to visible by SQL, ms. */
  readonly visibleP50Ms: number
  readonly visibleP95Ms: number
  readonly visibleP99Ms: number
  /** From the answer to a POST to visible in the query API, ms; only through the collector, one event each second. */
  readonly shownP50Ms?: number
  readonly shownP95Ms?: number
  readonly appendP95Ms: number
  /** Of the process with the pipeline, from the beginning of the traffic on, in order. */
  readonly memory: ReadonlyArray<MemorySample>
  readonly isHeld: boolean
}

/** So many seconds of traffic may wait, and so much of the rate may be missing. */
const lagSecondsMax = 2
const rateShareMin = 0.97

export const stepOf = (
  ledger: Ledger,
  sights: ReadonlyArray<Sight>,
  { from, memory = [], recordsPerSecond, shown = [], to }: {
    readonly from: number
    readonly to: number
    readonly recordsPerSecond: number
    /** What the query API took to show events, ms. */
    readonly shown?: ReadonlyArray<number>
    readonly memory?: ReadonlyArray<MemorySample>
  }
): LoadStep => {
  const acknowledged = sum(ledger.endAt(to)) - sum(ledger.endAt(from))
  const acknowledgedPerSecond = acknowledged / ((to - from) / 1_000)
  const lagMiddle = lagBefore(ledger, sights, (from + to) / 2)
  const lagEnd = lagBefore(ledger, sights, to)
  const visible = visibleAfter(ledger, sights, from, to)
  const took = ledger.appends.filter(({ sentAt }) => sentAt >= from && sentAt < to).map(({ tookMs }) => tookMs)
  return {
    recordsPerSecond,
    acknowledgedPerSecond,
    lagMiddle,
    lagEnd,
    visibleP50Ms: quantileOfCounts(visible, 0.5),
    visibleP95Ms: quantileOfCounts(visible, 0.95),
    visibleP99Ms: quantileOfCounts(visible, 0.99),
    ...shown.length > 0 && { shownP50Ms: quantile(shown, 0.5), shownP95Ms: quantile(shown, 0.95) },
    appendP95Ms: quantile(took, 0.95),
    memory,
    isHeld: acknowledgedPerSecond >= rateShareMin * recordsPerSecond && lagEnd <= lagSecondsMax * recordsPerSecond
  }
}

const sum = (values: ReadonlyArray<number>): number => values.reduce((total, each) => total + each, 0)

/** At the last look before a time. */
const lagBefore = (ledger: Ledger, sights: ReadonlyArray<Sight>, time: number): number => {
  const sight = sights.findLast(({ at }) => at <= time)
  return sight === undefined ? sum(ledger.endAt(time)) : lagAt(ledger, sight)
}

/** Of the records that became visible in a span of time: how long after its acknowledgement a look found each, ms, and how many. */
export const visibleAfter = (
  ledger: Ledger,
  sights: ReadonlyArray<Sight>,
  from: number,
  to: number
): ReadonlyMap<number, number> => {
  const took = new Map<number, number>()
  for (let i = 1; i < sights.length; i++) {
    const { at, next } = sights[i]!
    if (at < from || at >= to) continue
    for (const [partition, end] of next.entries()) {
      for (const [time, records] of ledger.acknowledged(partition, sights[i - 1]!.next[partition]!, end)) {
        const ms = Math.max(0, at - time)
        took.set(ms, (took.get(ms) ?? 0) + records)
      }
    }
  }
  return took
}

/** As `quantile`, of values with how often each is there. */
const quantileOfCounts = (counts: ReadonlyMap<number, number>, share: number): number => {
  const sorted = [...counts].sort(([a], [b]) => a - b)
  let left = Math.max(1, Math.ceil(share * sum([...counts.values()])))
  for (const [value, count] of sorted) {
    left -= count
    if (left <= 0) return value
  }
  return 0
}
