/**
 * What an amendment would add to the days of each segment and take from them, summed up over the buckets of visitors: late events that
 * are folded in, sessions that are others afterwards, and events that change the segment because their session does.
 */
import { amountOf } from "../../domain/Money.ts"
import type { Amount } from "../../domain/Money.ts"
import type { Difference, SessionChange } from "./Change.ts"
import type { FoldedSession, SessionFigures } from "./FoldedSessions.ts"

export const segments = ["all", "clean", "flagged"] as const
export type Segment = (typeof segments)[number]

export const counts = [
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

export type Delta = typeof zeros & { revenue: bigint; readonly byCurrency: Map<string, bigint> }

/** The events of a session on a day, as they count before the amendment. */
export interface CountedGroup {
  readonly sessionId: string
  readonly visitorId: string
  readonly day: string
  readonly flagged: boolean
  readonly clicks: number
  readonly purchases: number
  readonly amended: number
  readonly revenue: Amount
  readonly revenueByCurrency: ReadonlyMap<string, Amount>
  readonly items: ReadonlyArray<string>
}

/** What is known of a bucket's visitors. */
export interface BucketFacts {
  /** All sessions of its visitors on the days concerned. */
  readonly groups: ReadonlyArray<CountedGroup>
  /** Ids of changed sessions that are flagged afterwards. */
  readonly flaggedThen: ReadonlySet<string>
  /** Day of the reporting zone. */
  readonly dayOf: (ms: number) => string
}

/** An item that some visitors have on a day and segment after the amendment and not before it, or the other way round. */
export interface ItemMove {
  readonly day: string
  readonly segment: Segment
  readonly item: string
  readonly sign: 1 | -1
}

export class SegmentEffects {
  events = 0
  waiting = 0
  readonly #days = new Map<string, Map<Segment, DayEffect>>()
  readonly #currency: string

  constructor(reportingCurrency: string) {
    this.#currency = reportingCurrency
  }

  get days(): ReadonlyArray<string> {
    return [...this.#days.keys()].sort()
  }

  add({ moved, sessions, waiting }: Difference, { dayOf, flaggedThen, groups }: BucketFacts): void {
    this.events += moved.length
    this.waiting += waiting.length
    if (moved.length === 0) return
    const then = Map.groupBy(sessions.flatMap(({ after }) => after ?? []), ({ visitorId }) => visitorId)
    // Sessions only grow by folding in: what was there is part of the one that spans it.
    const spanning = (visitorId: string, ms: number): FoldedSession | undefined =>
      then.get(visitorId)?.find(({ endedAt, startedAt }) => startedAt <= ms && ms <= endedAt)
    const partOf = new Map<string, FoldedSession>()
    for (const change of sessions) {
      for (const gone of goneOf(change)) partOf.set(gone.sessionId, spanning(gone.visitorId, gone.startedAt)!)
    }
    const flaggedBefore = new Set(groups.filter(({ flagged }) => flagged).map(({ sessionId }) => sessionId))
    for (const group of groups) {
      const after = partOf.get(group.sessionId)
      this.#group(group, after === undefined ? group.flagged : flaggedThen.has(after.sessionId))
    }
    for (const { event: { currency, eventTs, eventType, itemId, price, quantity, visitorId } } of moved) {
      const amount = eventType === "purchase" ? amountOf(price, quantity) : 0n
      const isForeign = currency !== "" && currency !== this.#currency
      const purchase = eventType === "purchase"
      for (const effect of this.#of(dayOf(eventTs), flaggedThen.has(spanning(visitorId, eventTs)!.sessionId))) {
        effect.add(1, {
          clicks: eventType === "view" || eventType === "click" ? 1 : 0,
          purchases: purchase ? 1 : 0,
          amended: 1,
          revenue: isForeign ? 0n : amount,
          revenueByCurrency: new Map(purchase && isForeign ? [[currency, amount]] : [])
        })
        effect.after.visitors.add(visitorId)
        if (itemId !== "") effect.after.items.add(itemId)
      }
    }
    for (const change of sessions) {
      for (const gone of goneOf(change)) this.#session(dayOf, gone, flaggedBefore.has(gone.sessionId), -1)
      if (change.after === undefined) continue
      this.#session(dayOf, change.after, flaggedThen.has(change.after.sessionId), 1)
    }
  }

  /** Items whose number depends on whether anybody else has them. */
  get itemMoves(): ReadonlyArray<ItemMove> {
    return [...this.#days].flatMap(([day, bySegment]) =>
      [...bySegment].flatMap(([segment, { after, before }]) => [
        ...without(after.items, before.items).map((item): ItemMove => ({ day, segment, item, sign: 1 })),
        ...without(before.items, after.items).map((item): ItemMove => ({ day, segment, item, sign: -1 }))
      ])
    )
  }

  /** @param held whether visitors that the amendment is not about have the item */
  delta(day: string, segment: Segment, held: (move: ItemMove) => boolean): Delta | undefined {
    const effect = this.#days.get(day)?.get(segment)
    if (effect === undefined) return undefined
    const items = this.itemMoves.filter((move) => move.day === day && move.segment === segment && !held(move))
    return {
      ...effect.delta,
      unique_visitors: effect.after.visitors.size - effect.before.visitors.size,
      unique_items: items.reduce((sum, { sign }) => sum + sign, 0)
    }
  }

  /** Where a group counts before and after; its figures move when that differs. */
  #group(group: CountedGroup, isFlagged: boolean): void {
    for (const { before } of this.#of(group.day, group.flagged)) put(before, group)
    for (const { after } of this.#of(group.day, isFlagged)) put(after, group)
    if (isFlagged === group.flagged) return
    for (const effect of this.#of(group.day, group.flagged)) effect.add(-1, group)
    for (const effect of this.#of(group.day, isFlagged)) effect.add(1, group)
  }

  #session(dayOf: (ms: number) => string, session: SessionFigures, isFlagged: boolean, sign: 1 | -1): void {
    for (const { delta } of this.#of(dayOf(session.startedAt), isFlagged)) {
      delta.sessions += sign
      delta.purchase_sessions += session.purchases > 0 ? sign : 0
      delta.bounces += session.events === 1 ? sign : 0
      delta.session_clicks += sign * session.clicks
      delta.duration_ms += sign * (session.endedAt - session.startedAt)
    }
  }

  /** Of segment all, and of the one that it counts in. */
  #of(day: string, isFlagged: boolean): ReadonlyArray<DayEffect> {
    let bySegment = this.#days.get(day)
    if (bySegment === undefined) {
      bySegment = new Map(segments.map((segment) => [segment, new DayEffect()]))
      this.#days.set(day, bySegment)
    }
    return [bySegment.get("all")!, bySegment.get(isFlagged ? "flagged" : "clean")!]
  }
}

interface Seen {
  readonly visitors: Set<string>
  readonly items: Set<string>
}

const put = ({ items, visitors }: Seen, group: CountedGroup): void => {
  visitors.add(group.visitorId)
  for (const item of group.items) items.add(item)
}

const without = (these: ReadonlySet<string>, those: ReadonlySet<string>): ReadonlyArray<string> =>
  [...these].filter((each) => !those.has(each))

class DayEffect {
  readonly delta: Delta = { ...zeros, revenue: 0n, byCurrency: new Map() }
  readonly before: Seen = { visitors: new Set(), items: new Set() }
  readonly after: Seen = { visitors: new Set(), items: new Set() }

  add(
    sign: 1 | -1,
    { amended, clicks, purchases, revenue, revenueByCurrency }: Pick<
      CountedGroup,
      "amended" | "clicks" | "purchases" | "revenue" | "revenueByCurrency"
    >
  ): void {
    this.delta.total_clicks += sign * clicks
    this.delta.total_purchases += sign * purchases
    this.delta.amended_events += sign * amended
    this.delta.revenue += BigInt(sign) * revenue
    for (const [currency, amount] of revenueByCurrency) {
      this.delta.byCurrency.set(currency, (this.delta.byCurrency.get(currency) ?? 0n) + BigInt(sign) * amount)
    }
  }
}

/** The sessions that count before the change: the amended one, and accepted ones that no amended one stood for. */
export const goneOf = ({ accepted, after, before }: SessionChange): ReadonlyArray<SessionFigures> => {
  const taken = new Set(after?.replaces.map(({ sessionId }) => sessionId))
  const stoodFor = new Set(before?.replaces)
  return [
    ...(before === undefined ? [] : [before]),
    ...accepted.filter(({ sessionId }) => taken.has(sessionId) && !stoodFor.has(sessionId))
  ]
}
