/**
 * What the KPIs must be, from plain arrays: no SQL, no quarters of an hour, no states to merge. Days are those of the calendar that
 * Node knows. Amounts are in ten-thousandths.
 */
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"

/** An accepted event, or a late one that an amendment folded in, and the session that holds it in the end. */
export interface HeldEvent {
  readonly event: ClickEvent
  readonly sessionId: string
  readonly isAmended?: boolean
}

/** An event that came too late, and whether it only repeats a record before it. */
export interface LateEvent {
  readonly event: ClickEvent
  readonly isRepeat: boolean
}

export interface KpiInput {
  readonly events: ReadonlyArray<HeldEvent>
  readonly late: ReadonlyArray<LateEvent>
  readonly timeZone: string
  readonly currency: string
  /** Sessions that are a bot's. */
  readonly flagged: ReadonlySet<string>
  /** Visitors whom a person called a bot: their late events are flagged. */
  readonly flaggedVisitors: ReadonlySet<string>
}

/** "day segment" -> figure by name; of rankings and hours a list. */
export interface Kpis {
  readonly metrics: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly funnel: Readonly<Record<string, ReadonlyArray<ReadonlyArray<unknown>>>>
  readonly hours: Readonly<Record<string, ReadonlyArray<ReadonlyArray<unknown>>>>
  readonly items: Readonly<Record<string, ReadonlyArray<ReadonlyArray<unknown>>>>
  readonly categories: Readonly<Record<string, ReadonlyArray<ReadonlyArray<unknown>>>>
}

const segments = ["all", "clean", "flagged"] as const

export const kpis = (input: KpiInput): Kpis => {
  const calendar = calendarOf(input.timeZone)
  const sessions = [...groupBy(input.events, ({ sessionId }) => sessionId)].map(([sessionId, held]) => ({
    sessionId,
    events: held.map(({ event }) => event).sort((a, b) => a.eventTs - b.eventTs)
  }))
  const days = new Set([
    ...input.events.map(({ event }) => calendar.day(event.eventTs)),
    ...input.late.map(({ event }) => calendar.day(event.eventTs)),
    ...sessions.map(({ events }) => calendar.day(events[0]!.eventTs))
  ])
  const metrics: Record<string, Record<string, unknown>> = {}
  const funnel: Record<string, ReadonlyArray<ReadonlyArray<unknown>>> = {}
  const lists: Record<"hours" | "items" | "categories", Record<string, Array<ReadonlyArray<unknown>>>> = {
    hours: {},
    items: {},
    categories: {}
  }
  for (const day of days) {
    for (const segment of segments) {
      const counts = (isFlagged: boolean): boolean => segment === "all" || isFlagged === (segment === "flagged")
      const held = input.events.filter(({ event, sessionId }) =>
        calendar.day(event.eventTs) === day && counts(input.flagged.has(sessionId))
      )
      const events = held.map(({ event }) => event)
      const late = input.late.filter(({ event }) =>
        calendar.day(event.eventTs) === day && counts(input.flaggedVisitors.has(event.visitorId))
      )
      const started = sessions.filter(({ events: [first], sessionId }) =>
        calendar.day(first!.eventTs) === day && counts(input.flagged.has(sessionId))
      ).map((session) => session.events)
      const key = `${day} ${segment}`
      metrics[key] = {
        ...eventMetrics(events, input.currency),
        ...lateMetrics(late, input.currency),
        amended_events: held.filter(({ isAmended }) => isAmended === true).length,
        ...sessionMetrics(started)
      }
      funnel[key] = funnelOf(started)
      lists.hours[key] = [...groupBy(events, (event) => calendar.hourStart(event.eventTs))].sort(([a], [b]) => a - b)
        .map(([hour, inside]) => [hour, ...rowOf(inside, input.currency)])
      lists.items[key] = ranking(events.filter(({ itemId }) => itemId !== ""), ({ itemId }) => itemId, input.currency)
        .map(([item, ...row]) => [item, usualCategory(events.filter(({ itemId }) => itemId === item)), ...row])
      lists.categories[key] = ranking(
        events.filter(({ category }) => category !== ""),
        ({ category }) => category,
        input.currency
      )
    }
  }
  return { metrics, funnel, ...lists }
}

const eventMetrics = (events: ReadonlyArray<ClickEvent>, currency: string) => {
  const others = events.filter((event) => isPurchase(event) && !isIn(event, currency))
  const revenue = revenueOf(events, currency)
  const purchases = events.filter(isPurchase).length
  return {
    total_clicks: events.filter(isClick).length,
    total_purchases: purchases,
    unique_visitors: new Set(events.map(({ visitorId }) => visitorId)).size,
    unique_items: new Set(events.map(({ itemId }) => itemId).filter((item) => item !== "")).size,
    total_revenue: revenue,
    revenue_by_currency: Object.fromEntries(
      [...groupBy(others, (event) => event.currency)].sort(([a], [b]) => a < b ? -1 : 1)
        .map(([code, purchases]) => [code, purchases.reduce((sum, event) => sum + amountOf(event), 0n)])
    ),
    avg_order_value: purchases === 0 ? 0n : revenue / BigInt(purchases)
  }
}

const lateMetrics = (late: ReadonlyArray<LateEvent>, currency: string) => {
  const once = late.filter(({ isRepeat }) => !isRepeat).map(({ event }) => event)
  return {
    late_events: once.length,
    late_revenue: revenueOf(once, currency),
    late_repeat: late.length - once.length
  }
}

const sessionMetrics = (sessions: ReadonlyArray<ReadonlyArray<ClickEvent>>) => {
  const share = (count: number): number => sessions.length === 0 ? 0 : count / sessions.length
  const sum = (read: (events: ReadonlyArray<ClickEvent>) => number) =>
    sessions.reduce((all, events) => all + read(events), 0)
  return {
    sessions: sessions.length,
    conversion_rate: share(sessions.filter((events) => events.some(isPurchase)).length),
    avg_session_duration_sec: share(sum((events) => events.at(-1)!.eventTs - events[0]!.eventTs) / 1_000),
    avg_clicks_per_session: share(sum((events) => events.filter(isClick).length)),
    bounce_rate: share(sessions.filter((events) => events.length === 1).length)
  }
}

const funnelOf = (sessions: ReadonlyArray<ReadonlyArray<ClickEvent>>) => {
  const reached = (is: (events: ReadonlyArray<ClickEvent>) => boolean) => sessions.filter(is).length
  const carts = reached((events) => events.some(({ eventType }) => eventType === "add_to_cart"))
  return [
    ["VIEW", reached((events) => events.some(isClick))],
    ["MULTI_VIEW", reached((events) => events.filter(isClick).length >= 2)],
    ...(carts > 0 ? [["ADD_TO_CART", carts] as const] : []),
    ["PURCHASE", reached((events) => events.some(isPurchase))]
  ] as const
}

const rowOf = (events: ReadonlyArray<ClickEvent>, currency: string) =>
  [
    events.filter(isClick).length,
    events.filter(isPurchase).length,
    new Set(events.map(({ visitorId }) => visitorId)).size,
    revenueOf(events, currency)
  ] as const

const ranking = (events: ReadonlyArray<ClickEvent>, nameOf: (event: ClickEvent) => string, currency: string) =>
  [...groupBy(events, nameOf)].map(([name, inside]) => [name, ...rowOf(inside, currency)] as const)
    .sort((a, b) => compare(b[4], a[4]) || b[1] - a[1] || compare(Buffer.from(a[0]), Buffer.from(b[0])))
    .slice(0, 1_000)

const compare = (a: bigint | Buffer, b: bigint | Buffer): number => {
  if (typeof a === "bigint" || typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0
  return Buffer.compare(a, b)
}

const usualCategory = (events: ReadonlyArray<ClickEvent>): string =>
  [...groupBy(events.filter(({ category }) => category !== ""), ({ category }) => category)]
    .sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))[0]?.[0] ?? ""

const isClick = ({ eventType }: ClickEvent): boolean => eventType === "view" || eventType === "click"
const isPurchase = ({ eventType }: ClickEvent): boolean => eventType === "purchase"
const isIn = (event: ClickEvent, currency: string): boolean => event.currency === "" || event.currency === currency
const amountOf = (event: ClickEvent): bigint => BigInt(event.price) * BigInt(event.quantity)
const revenueOf = (events: ReadonlyArray<ClickEvent>, currency: string): bigint =>
  events.reduce((sum, event) => isPurchase(event) && isIn(event, currency) ? sum + amountOf(event) : sum, 0n)

const groupBy = <A, K>(values: ReadonlyArray<A>, keyOf: (value: A) => K): ReadonlyMap<K, ReadonlyArray<A>> => {
  const groups = new Map<K, Array<A>>()
  for (const value of values) {
    const key = keyOf(value)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [value])
    else group.push(value)
  }
  return groups
}

/** The calendar of a time zone: the day of an instant, and the first instant of its hour on the clock. */
export const calendarOf = (timeZone: string) => {
  const format = new Intl.DateTimeFormat("en-CA", {
    timeZone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    minute: "2-digit",
    second: "2-digit"
  })
  const known = new Map<number, { readonly day: string; readonly hourStart: number }>()
  const at = (ms: number) => {
    const minute = Math.floor(ms / 60_000) * 60_000
    let found = known.get(minute)
    if (found === undefined) {
      const parts = Object.fromEntries(format.formatToParts(minute).map(({ type, value }) => [type, value]))
      found = {
        day: `${parts["year"]}-${parts["month"]}-${parts["day"]}`,
        hourStart: minute - Number(parts["minute"]) * 60_000
      }
      known.set(minute, found)
    }
    return found
  }
  return { day: (ms: number) => at(ms).day, hourStart: (ms: number) => at(ms).hourStart }
}
