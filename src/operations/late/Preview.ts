/**
 * What an amendment would change, without writing anything: the figures of segment `all`, before and after, of its day and of days
 * that a session would move from or to.
 */
import { Effect } from "effect"
import { amountOf, formatAmount } from "../../domain/Money.ts"
import type { RegistryError, SchemaRegistry } from "../../log/SchemaRegistry.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { amendRequests, existingPlace, quarterOf } from "./Amendments.ts"
import type { Difference, Request, SessionChange } from "./Change.ts"
import { differenceOf } from "./Change.ts"
import type { SessionFigures } from "./FoldedSessions.ts"
import type { LatePlace, LateRefused } from "./LateEvents.ts"
import { duringSql, spanOf } from "./LateEvents.ts"

export interface PreviewedFigure {
  readonly day: string
  readonly figure: string
  readonly before: string
  readonly after: string
}

export interface AmendmentPreview {
  readonly day: string
  readonly status: string
  /** Late events that would be folded in, and those that must wait for their sessions. */
  readonly events: number
  readonly waiting: number
  /** Only figures that would be different. */
  readonly changes: ReadonlyArray<PreviewedFigure>
}

/** As `amendDay` would do it now. */
export const previewAmendment = Effect.fnUntraced(function*(
  day: string
): Effect.fn.Return<AmendmentPreview, LateRefused | WarehouseError | RegistryError, Warehouse | SchemaRegistry> {
  const place = yield* existingPlace
  const effect = new DayEffects(place.settings.reportingCurrency)
  const span = duringSql(yield* spanOf(place, day))
  for (const request of yield* amendRequests(place, day, "")) {
    const difference = yield* differenceOf(place, request)
    effect.add(day, difference, yield* newcomers(request, difference, span), yield* daysOf(place, difference))
  }
  const known = yield* knownDays([day, ...effect.days.keys()])
  return {
    day,
    status: String(known.get(day)?.["status"] ?? "provisional"),
    events: effect.events,
    waiting: effect.waiting,
    changes: [...effect.days].sort(([a], [b]) => a < b ? -1 : 1).flatMap(([each, delta]) =>
      changesOf(each, known.get(each), delta)
    )
  }
})

type Row = Readonly<Record<string, unknown>>

const counts = [
  "total_clicks",
  "total_purchases",
  "unique_visitors",
  "unique_items",
  "amended_events",
  "sessions",
  "purchase_sessions",
  "bounces",
  "session_clicks",
  "duration_ms"
] as const

const zeros = Object.fromEntries(counts.map((name) => [name, 0])) as Record<(typeof counts)[number], number>

type Delta = typeof zeros & { revenue: bigint; readonly byCurrency: Map<string, bigint> }

interface Newcomers {
  readonly visitors: number
  readonly items: ReadonlyArray<string>
}

class DayEffects {
  events = 0
  waiting = 0
  readonly days = new Map<string, Delta>()
  readonly #items = new Set<string>()
  readonly #currency: string

  constructor(reportingCurrency: string) {
    this.#currency = reportingCurrency
  }

  add(day: string, { moved, sessions, waiting }: Difference, { items, visitors }: Newcomers, dayOf: DayOf): void {
    this.events += moved.length
    this.waiting += waiting.length
    if (moved.length === 0) return
    const delta = this.#of(day)
    delta.amended_events += moved.length
    delta.unique_visitors += visitors
    for (const item of items) this.#items.add(item)
    delta.unique_items = this.#items.size
    for (const { event: { currency, eventType, price, quantity } } of moved) {
      if (eventType === "view" || eventType === "click") delta.total_clicks++
      if (eventType !== "purchase") continue
      delta.total_purchases++
      const amount = amountOf(price, quantity)
      if (currency === "" || currency === this.#currency) delta.revenue += amount
      else delta.byCurrency.set(currency, (delta.byCurrency.get(currency) ?? 0n) + amount)
    }
    for (const session of sessions) {
      for (const gone of goneOf(session)) this.#session(dayOf(gone.startedAt), gone, -1)
      if (session.after !== undefined) this.#session(dayOf(session.after.startedAt), session.after, 1)
    }
  }

  #session(day: string, session: SessionFigures, sign: 1 | -1): void {
    const delta = this.#of(day)
    delta.sessions += sign
    delta.purchase_sessions += session.purchases > 0 ? sign : 0
    delta.bounces += session.events === 1 ? sign : 0
    delta.session_clicks += sign * session.clicks
    delta.duration_ms += sign * (session.endedAt - session.startedAt)
  }

  #of(day: string): Delta {
    const found = this.days.get(day) ?? { ...zeros, revenue: 0n, byCurrency: new Map<string, bigint>() }
    this.days.set(day, found)
    return found
  }
}

/** The sessions that count before the change: the amended one, and accepted ones that no amended one stood for. */
const goneOf = ({ accepted, after, before }: SessionChange): ReadonlyArray<SessionFigures> => {
  const taken = new Set(after?.replaces.map(({ sessionId }) => sessionId))
  const stoodFor = new Set(before?.replaces)
  return [
    ...(before === undefined ? [] : [before]),
    ...accepted.filter(({ sessionId }) => taken.has(sessionId) && !stoodFor.has(sessionId))
  ]
}

/** Visitors and items that have no event on the day yet. */
const newcomers = Effect.fnUntraced(function*(
  request: Request,
  { waiting }: Difference,
  during: string
): Effect.fn.Return<Newcomers, WarehouseError, Warehouse> {
  if (request.action === "revert") return { visitors: 0, items: [] }
  const waits = waiting.map(({ offset, partition }) => `(${partition}, ${offset})`).join(", ")
  const [row] = yield* (yield* Warehouse).query(
    `SELECT uniqExactIf(visitor_id, visitor_id NOT IN (SELECT visitor_id FROM events WHERE ${during})) AS visitors,
       groupUniqArrayIf(item_id, item_id != '' AND item_id NOT IN (SELECT item_id FROM events WHERE ${during})) AS items
     FROM (${request.late}) ${waits === "" ? "" : `WHERE (partition, offset) NOT IN (${waits})`}`
  )
  return { visitors: Number(row!["visitors"]), items: row!["items"] as ReadonlyArray<string> }
})

type DayOf = (ms: number) => string

/** Days of the reporting zone; a quarter of an hour lies within one of any zone. */
const daysOf = Effect.fnUntraced(function*(
  { timeZone }: LatePlace,
  { sessions }: Difference
): Effect.fn.Return<DayOf, WarehouseError, Warehouse> {
  const starts = sessions.flatMap((
    session
  ) => [...goneOf(session), ...(session.after === undefined ? [] : [session.after])])
  const quarters = [...new Set(starts.map(({ startedAt }) => quarterOf(startedAt)))]
  if (quarters.length === 0) return () => ""
  const [row] = yield* (yield* Warehouse).query(
    `SELECT arrayMap(q -> toString(toDate(toDateTime(q), '${timeZone}')), [${
      quarters.join(", ")
    }]::Array(UInt32)) AS days`
  )
  const days = new Map(quarters.map((quarter, i) => [quarter, (row!["days"] as ReadonlyArray<string>)[i]!]))
  return (ms) => days.get(quarterOf(ms))!
})

const knownDays = Effect.fnUntraced(function*(
  days: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyMap<string, Row>, WarehouseError, Warehouse> {
  const rows = yield* (yield* Warehouse).query(
    `SELECT toString(metric_date) AS day, status, ${counts.map((name) => `toString(${name}) AS ${name}`).join(", ")},
       toString(toInt128(total_revenue * 10000)) AS revenue,
       mapApply((k, v) -> (k, toString(toInt128(v * 10000))), revenue_by_currency) AS by_currency
     FROM daily_metrics_raw AS d FINAL
     WHERE segment = 'all' AND d.metric_date IN (${days.map((day) => `toDate('${day}')`).join(", ")})`
  )
  return new Map(rows.map((row) => [String(row["day"]), row]))
})

const changesOf = (day: string, known: Row | undefined, delta: Delta): ReadonlyArray<PreviewedFigure> => {
  const before = figuresOf(known, undefined)
  const after = figuresOf(known, delta)
  return Object.keys(after).filter((figure) => before[figure] !== after[figure])
    .map((figure) => ({ day, figure, before: before[figure] ?? "0", after: after[figure]! }))
}

/** As `daily_metrics` shows them. */
const figuresOf = (known: Row | undefined, delta: Delta | undefined): Readonly<Record<string, string>> => {
  const of = (name: (typeof counts)[number]): number => Number(known?.[name] ?? 0) + (delta?.[name] ?? 0)
  const share = (a: number, b: number): string => String(b === 0 ? 0 : a / b)
  const revenue = BigInt(String(known?.["revenue"] ?? 0)) + (delta?.revenue ?? 0n)
  const others = known?.["by_currency"] as Readonly<Record<string, string>> | undefined
  const currencies = [...new Set([...Object.keys(others ?? {}), ...delta?.byCurrency.keys() ?? []])].sort()
  return {
    total_clicks: String(of("total_clicks")),
    total_purchases: String(of("total_purchases")),
    unique_visitors: String(of("unique_visitors")),
    unique_items: String(of("unique_items")),
    total_revenue: formatAmount(revenue),
    ...Object.fromEntries(currencies.map((currency) => [
      `revenue_by_currency ${currency}`,
      formatAmount(BigInt(others?.[currency] ?? 0) + (delta?.byCurrency.get(currency) ?? 0n))
    ])),
    avg_order_value: formatAmount(of("total_purchases") === 0 ? 0n : revenue / BigInt(of("total_purchases"))),
    sessions: String(of("sessions")),
    conversion_rate: share(of("purchase_sessions"), of("sessions")),
    avg_session_duration_sec: share(of("duration_ms") / 1_000, of("sessions")),
    avg_clicks_per_session: share(of("session_clicks"), of("sessions")),
    bounce_rate: share(of("bounces"), of("sessions")),
    amended_events: String(of("amended_events"))
  }
}
