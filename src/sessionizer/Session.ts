/**
 * A session in memory: aggregates of a visitor's accepted events, never the events themselves. It only grows: events are added,
 * sessions are absorbed, nothing is ever taken out.
 */
import type { ClickEvent } from "../domain/ClickEvent.ts"
import { isClick } from "../domain/ClickEvent.ts"
import type { EpochMillis, Offset, SessionId, VisitorId } from "../domain/Identifiers.ts"
import { amountOf } from "../domain/Money.ts"

/** Above this many distinct items a session keeps them in a hash map; below, a scan of an array is faster and smaller. */
const itemsInArrayMax = 16

/** What recovery knows of a session, from its events grouped by the session_id they had at acceptance. */
export interface SessionParts {
  readonly sessionId: SessionId
  /** Lowest offset: that of the event that opened it. */
  readonly openedOffset: Offset
  readonly lastChangedOffset: Offset
  /** Time and offset of the first event by (event_ts, offset), and of the last. */
  readonly startedAt: EpochMillis
  readonly firstOffset: Offset
  readonly endedAt: EpochMillis
  readonly lastOffset: Offset
  readonly events: number
  readonly clicks: number
  readonly carts: number
  readonly purchases: number
  readonly items: ReadonlyArray<string>
  readonly revenue: bigint
  readonly revenueByCurrency: ReadonlyMap<string, bigint>
  readonly entryUrl: string
  readonly firstReferrer: string
  readonly userAgent: string
  readonly exitUrl: string
}

export class Session {
  readonly visitorId: VisitorId
  /** Of the event with the lowest offset among all that are in it. */
  id: SessionId
  openedOffset: Offset
  startedAt: EpochMillis
  endedAt: EpochMillis
  /** Offset of the last record that changed it, plus one. */
  version: number
  events = 0
  clicks = 0
  carts = 0
  purchases = 0
  revenue = 0n
  revenueByCurrency: Map<string, bigint> | undefined = undefined
  entryUrl = ""
  firstReferrer = ""
  userAgent = ""
  exitUrl = ""
  /** Every id that was merged into this one, directly or through others. */
  absorbed: Array<SessionId> | undefined = undefined
  /** Set while a change of it waits for the next flush. */
  dirty = false
  /** Set when another session has absorbed it: from then on it has a tombstone and no row. */
  merged = false
  #items: ReadonlyArray<string> | Map<string, string> = noItems

  constructor(visitorId: VisitorId, id: SessionId, openedOffset: Offset, startedAt: EpochMillis) {
    this.visitorId = visitorId
    this.id = id
    this.openedOffset = openedOffset
    this.startedAt = startedAt
    this.endedAt = startedAt
    this.version = openedOffset + 1
  }

  get uniqueItems(): number {
    return this.#items instanceof Map ? this.#items.size : this.#items.length
  }

  /**
   * Counts an event in. Records come in offset order, so among equal times this one is the last.
   * @returns the session's own copy of the item id, so that others who keep it share the memory.
   */
  add(event: ClickEvent, offset: Offset, reportingCurrency: string): string {
    const eventTs = event.eventTs
    if (this.events === 0 || eventTs < this.startedAt) {
      this.startedAt = eventTs
      this.entryUrl = event.url
      this.firstReferrer = event.referrer
      this.userAgent = event.userAgent
    }
    if (eventTs >= this.endedAt) {
      this.endedAt = eventTs
      this.exitUrl = event.url
    }
    this.events++
    this.version = offset + 1
    if (isClick(event.eventType)) this.clicks++
    else if (event.eventType === "purchase") this.#addPurchase(event, reportingCurrency)
    else if (event.eventType === "add_to_cart") this.carts++
    return event.itemId === "" ? "" : this.#addItem(event.itemId)
  }

  /** Takes over everything that another session of the visitor counts; they lie apart, so no times are equal. */
  absorb(other: Session): void {
    if (other.startedAt < this.startedAt) {
      this.startedAt = other.startedAt
      this.entryUrl = other.entryUrl
      this.firstReferrer = other.firstReferrer
      this.userAgent = other.userAgent
    }
    if (other.endedAt > this.endedAt) {
      this.endedAt = other.endedAt
      this.exitUrl = other.exitUrl
    }
    this.#addCounts(other, other.revenueByCurrency, other.#items.values())
    this.absorbed = [...(this.absorbed ?? []), other.id, ...(other.absorbed ?? [])]
    other.merged = true
  }

  /**
   * A session from its groups of events by session_id at acceptance (at least one group). Groups may overlap in time, so first
   * and last events are found by (event_ts, offset). The id is that of the lowest offset; the other ids are what it absorbed.
   */
  static fromParts(visitorId: VisitorId, groups: ReadonlyArray<SessionParts>): Session {
    const opening = groups.reduce((a, b) => b.openedOffset < a.openedOffset ? b : a)
    const first = groups.reduce((a, b) => comesBefore(b.startedAt, b.firstOffset, a.startedAt, a.firstOffset) ? b : a)
    const last = groups.reduce((a, b) => comesBefore(a.endedAt, a.lastOffset, b.endedAt, b.lastOffset) ? b : a)
    const session = new Session(visitorId, opening.sessionId, opening.openedOffset, first.startedAt)
    session.entryUrl = first.entryUrl
    session.firstReferrer = first.firstReferrer
    session.userAgent = first.userAgent
    session.endedAt = last.endedAt
    session.exitUrl = last.exitUrl
    for (const group of groups) {
      session.#addCounts(group, group.revenueByCurrency, group.items)
      session.version = Math.max(session.version, group.lastChangedOffset + 1)
    }
    if (groups.length > 1) {
      session.absorbed = groups.filter((group) => group !== opening).map((group) => group.sessionId)
    }
    return session
  }

  #addCounts(
    from: {
      readonly events: number
      readonly clicks: number
      readonly carts: number
      readonly purchases: number
      readonly revenue: bigint
    },
    revenueByCurrency: ReadonlyMap<string, bigint> | undefined,
    items: Iterable<string>
  ): void {
    this.events += from.events
    this.clicks += from.clicks
    this.carts += from.carts
    this.purchases += from.purchases
    this.revenue += from.revenue
    if (revenueByCurrency !== undefined) {
      for (const [currency, amount] of revenueByCurrency) this.#addRevenue(currency, amount)
    }
    if (items !== undefined) { for (const item of items) this.#addItem(item) }
  }

  #addPurchase(event: ClickEvent, reportingCurrency: string): void {
    this.purchases++
    const amount = amountOf(event.price, event.quantity)
    if (event.currency === "" || event.currency === reportingCurrency) this.revenue += amount
    else this.#addRevenue(event.currency, amount)
  }

  #addRevenue(currency: string, amount: bigint): void {
    this.revenueByCurrency ??= new Map()
    this.revenueByCurrency.set(currency, (this.revenueByCurrency.get(currency) ?? 0n) + amount)
  }

  #addItem(item: string): string {
    const items = this.#items
    if (items instanceof Map) {
      const own = items.get(item)
      if (own === undefined) items.set(item, item)
      return own ?? item
    }
    for (let i = items.length - 1; i >= 0; i--) if (items[i] === item) return items[i]!
    // Copied to fit: arrays that grow by themselves keep room for 16 more, which most sessions never need.
    if (items.length < itemsInArrayMax) this.#items = items.length === 0 ? [item] : [...items, item]
    else this.#items = new Map([...items, item].map((known) => [known, known]))
    return item
  }
}

const noItems: ReadonlyArray<string> = []

const comesBefore = (ts: EpochMillis, offset: Offset, otherTs: EpochMillis, otherOffset: Offset): boolean =>
  ts < otherTs || (ts === otherTs && offset < otherOffset)
