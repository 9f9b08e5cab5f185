/** What a fault cost in time, from what was acknowledged when and what the database showed when. Pure. */
import type { AppendTime, Ledger } from "./Ledger.ts"

/** What the database showed at a time (epoch ms): by partition the offset below which everything is in it. */
export interface Sight {
  readonly at: number
  readonly next: ReadonlyArray<number>
}

/** Milliseconds; undefined: it did not come to that. */
export interface Recovery {
  /**
   * Until the database showed any record that it had not shown when the fault was over: work goes on, at what waited longest. Not said where
   * recovery counts from the fault itself: what was under way then may still be shown.
   */
  readonly goesOnMs: number | undefined
  /** Until the first row of a record that was sent afterwards. */
  readonly firstRowMs: number | undefined
  /** Until every partition had shown one: what the fault cost whoever waits for their own event. */
  readonly allPartitionsMs: number | undefined
  /** The part of it until the log had acknowledged such a record in every partition: the client's and the brokers' share. */
  readonly acknowledgedMs: number | undefined
  /** Until no more than two seconds of traffic waited. */
  readonly caughtUpMs: number | undefined
}

export const recoveryOf = (
  ledger: Ledger,
  sights: ReadonlyArray<Sight>,
  { from, isOver, recordsPerSecond }: {
    readonly from: number
    readonly recordsPerSecond: number
    /** Whether the fault was over then. */
    readonly isOver: boolean
  }
): Recovery => {
  const targets = ledger.firstAfter(from)
  const shown = targets.map((target, partition) =>
    target === undefined ? undefined : sights.find(({ at, next }) => at > from && next[partition]! > target.offset)?.at
  )
  const known = shown.filter((at) => at !== undefined)
  const all = known.length === targets.length ? Math.max(...known) : undefined
  const acknowledged = targets.every((target) => target !== undefined) ?
    Math.max(...targets.map((target) => target!.acknowledgedAt)) :
    undefined
  const before = isOver ? sights.findLast(({ at }) => at <= from) : undefined
  const goesOn = before === undefined ?
    undefined :
    sights.find((sight) => sight.at > from && sight.next.some((next, partition) => next > before.next[partition]!))
  const caughtUp = all === undefined ?
    undefined :
    sights.find((sight) => sight.at >= all && lagAt(ledger, sight) <= 2 * recordsPerSecond)?.at
  const since = (at: number | undefined) => at === undefined ? undefined : at - from
  return {
    goesOnMs: since(goesOn?.at),
    firstRowMs: since(known.length === 0 ? undefined : Math.min(...known)),
    allPartitionsMs: since(all),
    acknowledgedMs: since(acknowledged),
    caughtUpMs: since(caughtUp)
  }
}

/** Records that were acknowledged and that the database did not show. */
export const lagAt = (ledger: Ledger, { at, next }: Sight): number =>
  ledger.endAt(at).reduce((sum, end, partition) => sum + Math.max(0, end - next[partition]!), 0)

/** How long appends took that were sent in a span of time, ms; 0 when there were none. */
export const appendFigures = (
  appends: ReadonlyArray<AppendTime>,
  from: number,
  to: number
): { readonly p95Ms: number; readonly maxMs: number } => {
  const took = appends.filter(({ sentAt }) => sentAt >= from && sentAt < to).map(({ tookMs }) => tookMs)
  return { p95Ms: quantile(took, 0.95), maxMs: quantile(took, 1) }
}

/** The value that this share of them does not exceed. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!
}

/** How old the newest row of a partition was whenever it was looked, at its 95th percentile, ms: records' time from acknowledgement on. */
export const rowAgeP95Ms = (ledger: Ledger, sights: ReadonlyArray<Sight>, from: number, to: number): number => {
  const ages: Array<number> = []
  // When an offset was first seen: what was acknowledged before that and after the sight before it waited for it.
  for (const [i, sight] of sights.entries()) {
    if (i === 0 || sight.at < from || sight.at >= to) continue
    const end = ledger.endAt(sight.at)
    for (const [partition, next] of sight.next.entries()) {
      if (next >= end[partition]!) ages.push(0)
      else ages.push(sight.at - (ledger.firstAcknowledgedAt(partition, next) ?? sight.at))
    }
  }
  return quantile(ages, 0.95)
}
