/**
 * What late events make of the sessions around them. Plain data in, plain data out: the same events and sessions give the same
 * result, in whichever order and by however many amendments the events came.
 *
 * A session that takes a late event in keeps the id of the earliest accepted session that is part of it; where there is none it
 * gets the id that its first record would have opened.
 */
import type { ClickEvent } from "../../domain/ClickEvent.ts"
import { sessionId } from "../../domain/Identifiers.ts"
import type { SessionId } from "../../domain/Identifiers.ts"
import { amountOf } from "../../domain/Money.ts"
import type { Amount } from "../../domain/Money.ts"

/** What a session counts and says, whoever made it. Times are epoch ms. */
export interface SessionFigures {
  readonly sessionId: string
  readonly visitorId: string
  readonly startedAt: number
  readonly endedAt: number
  readonly events: number
  readonly clicks: number
  readonly carts: number
  readonly purchases: number
  readonly uniqueItems: number
  readonly revenue: Amount
  readonly revenueByCurrency: ReadonlyMap<string, Amount>
  readonly entryUrl: string
  readonly exitUrl: string
  readonly firstReferrer: string
  readonly userAgent: string
  readonly partition: number
}

/** A session as the pipeline left it, and what else decides how late events join it. */
export interface AcceptedSession extends SessionFigures {
  readonly items: ReadonlySet<string>
  /** Least offset of the events at its start, and greatest of those at its end. */
  readonly firstOffset: number
  readonly lastOffset: number
}

/** A late event and its place in the log. */
export interface LateRecord {
  readonly event: ClickEvent
  readonly partition: number
  readonly offset: number
  readonly appendedAt: number
  /** The amendment that folds it in. */
  readonly amendmentId: string
}

/** A session with late events in it. */
export interface FoldedSession extends SessionFigures {
  readonly lateRecords: ReadonlyArray<LateRecord>
  /** The accepted sessions that are part of it, in time order. */
  readonly replaces: ReadonlyArray<AcceptedSession>
}

/** The sessions with late events in them, of one visitor or of many. Accepted sessions that no late event reaches are left out. */
export const foldedSessions = (
  accepted: ReadonlyArray<AcceptedSession>,
  late: ReadonlyArray<LateRecord>,
  { gapMs, reportingCurrency }: { readonly gapMs: number; readonly reportingCurrency: string }
): ReadonlyArray<FoldedSession> => {
  const pieces = Map.groupBy(
    [
      ...accepted.map((session): Piece => ({ from: session.startedAt, to: session.endedAt, session })),
      ...late.map((record): Piece => ({ from: record.event.eventTs, to: record.event.eventTs, record }))
    ],
    ({ record, session }) => session?.visitorId ?? record!.event.visitorId
  )
  return [...pieces.values()].flatMap((mine) => runsOf(mine, gapMs))
    .filter((run) => run.some(({ record }) => record !== undefined))
    .map((run) => folded(run, reportingCurrency))
}

interface Piece {
  readonly from: number
  readonly to: number
  readonly session?: AcceptedSession
  readonly record?: LateRecord
}

const runsOf = (pieces: ReadonlyArray<Piece>, gapMs: number): ReadonlyArray<ReadonlyArray<Piece>> => {
  const runs: Array<Array<Piece>> = []
  let end = -Infinity
  for (const piece of pieces.toSorted((a, b) => a.from - b.from)) {
    if (piece.from - end <= gapMs) {
      runs.at(-1)!.push(piece)
      end = Math.max(end, piece.to)
    } else {
      runs.push([piece])
      end = piece.to
    }
  }
  return runs
}

const folded = (run: ReadonlyArray<Piece>, reportingCurrency: string): FoldedSession => {
  const replaces = run.flatMap(({ session }) => session ?? []).toSorted((a, b) => a.sessionId < b.sessionId ? -1 : 1)
  const lateRecords = run.flatMap(({ record }) => record ?? []).toSorted((a, b) => a.offset - b.offset)
  const count = (ofSession: (session: AcceptedSession) => number, is: (event: ClickEvent) => boolean): number =>
    replaces.reduce((sum, session) => sum + ofSession(session), 0) +
    lateRecords.filter(({ event }) => is(event)).length
  const items = new Set([
    ...replaces.flatMap((session) => [...session.items]),
    ...lateRecords.map(({ event }) => event.itemId).filter((item) => item !== "")
  ])
  const amounts = amountsOf(replaces, lateRecords, reportingCurrency)
  const revenue = amounts.get("") ?? 0n
  amounts.delete("")
  const ends = run.flatMap(endsOf)
  const first = ends.reduce((a, b) => isBefore(b, a) ? b : a)
  const last = ends.reduce((a, b) => isBefore(a, b) ? b : a)
  return {
    sessionId: replaces[0]?.sessionId ?? openedBy(lateRecords[0]!.event),
    visitorId: first.visitorId,
    startedAt: first.time,
    endedAt: last.time,
    events: count((session) => session.events, () => true),
    clicks: count((session) => session.clicks, ({ eventType }) => eventType === "view" || eventType === "click"),
    carts: count((session) => session.carts, ({ eventType }) => eventType === "add_to_cart"),
    purchases: count((session) => session.purchases, ({ eventType }) => eventType === "purchase"),
    uniqueItems: items.size,
    revenue,
    revenueByCurrency: new Map([...amounts].sort(([a], [b]) => a < b ? -1 : 1)),
    entryUrl: first.entryUrl,
    exitUrl: last.exitUrl,
    firstReferrer: first.referrer,
    userAgent: first.userAgent,
    partition: run[0]!.session?.partition ?? run[0]!.record!.partition,
    lateRecords,
    replaces
  }
}

const openedBy = ({ eventId, eventTs, visitorId }: ClickEvent): SessionId => sessionId(visitorId, eventId, eventTs)

/** By currency; the reporting one is "". */
const amountsOf = (
  sessions: ReadonlyArray<AcceptedSession>,
  late: ReadonlyArray<LateRecord>,
  reportingCurrency: string
): Map<string, Amount> => {
  const amounts = new Map<string, Amount>()
  const add = (currency: string, amount: Amount) => amounts.set(currency, (amounts.get(currency) ?? 0n) + amount)
  for (const { revenue, revenueByCurrency } of sessions) {
    add("", revenue)
    for (const [currency, amount] of revenueByCurrency) add(currency, amount)
  }
  for (const { event: { currency, eventType, price, quantity } } of late) {
    if (eventType === "purchase") add(currency === reportingCurrency ? "" : currency, amountOf(price, quantity))
  }
  return amounts
}

/** The first or the last event of a piece. */
interface End {
  readonly time: number
  readonly offset: number
  readonly visitorId: string
  readonly entryUrl: string
  readonly exitUrl: string
  readonly referrer: string
  readonly userAgent: string
}

const endsOf = ({ record, session }: Piece): ReadonlyArray<End> => {
  if (session !== undefined) {
    const { entryUrl, exitUrl, firstReferrer: referrer, userAgent, visitorId } = session
    const texts = { entryUrl, exitUrl, referrer, userAgent, visitorId }
    return [
      { time: session.startedAt, offset: session.firstOffset, ...texts },
      { time: session.endedAt, offset: session.lastOffset, ...texts }
    ]
  }
  const { event: { eventTs, referrer, url, userAgent, visitorId }, offset } = record!
  return [{ time: eventTs, offset, entryUrl: url, exitUrl: url, referrer, userAgent, visitorId }]
}

const isBefore = (a: End, b: End): boolean => a.time < b.time || (a.time === b.time && a.offset < b.offset)
