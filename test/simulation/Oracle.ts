/**
 * The naive truth about a log: whole log, no increments, no state that is dropped. It shares no code with the core but the
 * formula of ids. Slow on purpose: each question is answered from all events accepted so far.
 */
import { findingId, sessionId } from "../../src/domain/Identifiers.ts"
import type { CoreSettings } from "../../src/domain/Settings.ts"
import type { LogRecord } from "./Scenario.ts"

interface Accepted {
  readonly record: LogRecord
  /** Session at acceptance. */
  readonly session: string
}

export interface OracleSession {
  readonly session_id: string
  readonly visitor_id: string
  readonly started_at: number
  readonly ended_at: number
  readonly events: number
  readonly clicks: number
  readonly carts: number
  readonly purchases: number
  readonly unique_items: number
  readonly revenue: bigint
  readonly revenue_by_currency: ReadonlyMap<string, bigint>
  readonly entry_url: string
  readonly exit_url: string
  readonly first_referrer: string
  readonly user_agent: string
  readonly version: number
}

export interface OracleFinding {
  readonly finding_id: string
  readonly clicks: number
  readonly unique_items: number
  readonly score: number
  readonly found_at_offset: number
  readonly appended_at: number
  readonly version: number
  /** The session, aliases resolved. */
  readonly session_id: string
}

export interface OraclePartition {
  /** "accepted", "duplicate", "late", "rejected", "deadLettered" or "control", by offset. */
  readonly outcomes: ReadonlyArray<string>
  /** Session id at acceptance, by offset. */
  readonly sessionAtAcceptance: ReadonlyArray<string | undefined>
  readonly sessions: ReadonlyMap<string, OracleSession>
  /** Absorbed id -> the session it lives on in, and the version of the record that last merged it. */
  readonly aliases: ReadonlyMap<string, { readonly session_id: string; readonly version: number }>
  readonly findings: ReadonlyMap<string, OracleFinding>
  /** "kind/quarter" (epoch seconds) -> least version that `touched_days` must have. */
  readonly touched: ReadonlyMap<string, number>
  /** After the last record; -Infinity before the first accepted one. */
  readonly watermark: number
}

/** What one partition's records mean. */
export const oracle = (records: ReadonlyArray<LogRecord>, settings: CoreSettings): OraclePartition => {
  const outcomes: Array<string> = []
  const sessionAtAcceptance: Array<string | undefined> = []
  const accepted: Array<Accepted> = []
  const touched = new Map<string, number>()
  const touch = (kind: "events" | "sessions", time: number, record: LogRecord): void => {
    touched.set(`${kind}/${Math.floor(time / 900_000) * 900}`, record.offset + 1)
  }
  const aliases = new Map<string, { session_id: string; version: number }>()
  let watermark = -Infinity
  for (const record of records) {
    const { control, event } = record
    if (control !== undefined) {
      const { futureMaxMs, gapMs, latenessMs } = settings
      watermark = Math.max(watermark, Math.min(control, record.appendedAt + futureMaxMs + gapMs + latenessMs))
      outcomes.push("control")
      sessionAtAcceptance.push(undefined)
      continue
    }
    const outcome = judge(record, watermark, accepted, settings)
    outcomes.push(outcome)
    if (outcome === "late" && event !== undefined) touch("events", event.eventTs, record)
    if (outcome !== "accepted" || event === undefined) {
      sessionAtAcceptance.push(undefined)
      continue
    }
    const startsBefore = sessionsOf(accepted, event.visitorId, settings).map((session) => session.started_at)
    accepted.push({ record, session: "" })
    watermark = Math.max(watermark, event.eventTs)
    const mine = sessionsOf(accepted, event.visitorId, settings)
    const at = mine.find((session) => session.started_at <= event.eventTs && event.eventTs <= session.ended_at)!
    accepted[accepted.length - 1] = { record, session: at.session_id }
    sessionAtAcceptance.push(at.session_id)
    for (const absorbed of accepted) {
      const { eventTs, visitorId } = absorbed.record.event!
      if (visitorId !== event.visitorId || absorbed.session === at.session_id) continue
      const isHere = at.started_at <= eventTs && eventTs <= at.ended_at
      if (isHere && aliases.get(absorbed.session)?.session_id !== at.session_id) {
        aliases.set(absorbed.session, { session_id: at.session_id, version: record.offset + 1 })
      }
    }
    // The event's quarter; the one its session starts in now, and every one that a session started in which is now part of it.
    touch("events", event.eventTs, record)
    const starts = startsBefore.filter((start) => at.started_at <= start && start <= at.ended_at)
    for (const time of [at.started_at, ...starts]) touch("sessions", time, record)
  }
  const visitors = [...new Set(accepted.map(({ record }) => record.event!.visitorId))]
  const sessions = new Map(
    visitors.flatMap((visitor) => sessionsOf(accepted, visitor, settings)).map((
      session
    ) => [session.session_id, session])
  )
  const findings = new Map<string, OracleFinding>()
  for (const visitor of visitors) {
    for (const finding of findingsOf(accepted, visitor, settings, aliases)) findings.set(finding.finding_id, finding)
  }
  return { outcomes, sessionAtAcceptance, sessions, aliases, findings, touched, watermark }
}

const judge = (
  { appendedAt, event }: LogRecord,
  watermark: number,
  accepted: ReadonlyArray<Accepted>,
  settings: CoreSettings
): string => {
  if (event === undefined) return "deadLettered"
  if (event.eventTs > appendedAt + settings.futureMaxMs || event.eventTs < Date.UTC(2000, 0, 1)) return "rejected"
  if (event.eventTs < watermark - settings.latenessMs) return "late"
  const isRepeat = accepted.some(({ record }) =>
    record.event!.visitorId === event.visitorId &&
    record.event!.eventId === event.eventId &&
    record.event!.eventTs >= watermark - settings.latenessMs
  )
  return isRepeat ? "duplicate" : "accepted"
}

const sessionsOf = (
  accepted: ReadonlyArray<Accepted>,
  visitor: string,
  settings: CoreSettings
): ReadonlyArray<OracleSession> => {
  const mine = accepted.map(({ record }) => record).filter((record) => record.event!.visitorId === visitor)
    .sort((a, b) => a.event!.eventTs - b.event!.eventTs || a.offset - b.offset)
  const runs: Array<Array<LogRecord>> = []
  for (const record of mine) {
    const run = runs.at(-1)
    if (run !== undefined && record.event!.eventTs - run.at(-1)!.event!.eventTs <= settings.gapMs) run.push(record)
    else runs.push([record])
  }
  return runs.map((run) => summarise(run, settings))
}

const summarise = (run: ReadonlyArray<LogRecord>, settings: CoreSettings): OracleSession => {
  const events = run.map((record) => record.event!)
  const opening = run.reduce((a, b) => b.offset < a.offset ? b : a)
  const first = events[0]!
  const last = events.at(-1)!
  const revenue = new Map<string, bigint>()
  for (const event of events.filter(({ eventType }) => eventType === "purchase")) {
    const currency = event.currency === settings.reportingCurrency ? "" : event.currency
    revenue.set(currency, (revenue.get(currency) ?? 0n) + BigInt(event.price) * BigInt(event.quantity))
  }
  const own = revenue.get("") ?? 0n
  revenue.delete("")
  const count = (...types: ReadonlyArray<string>) => events.filter(({ eventType }) => types.includes(eventType)).length
  return {
    session_id: sessionId(opening.event!.visitorId, opening.event!.eventId, opening.event!.eventTs),
    visitor_id: first.visitorId,
    started_at: first.eventTs,
    ended_at: last.eventTs,
    events: events.length,
    clicks: count("view", "click"),
    carts: count("add_to_cart"),
    purchases: count("purchase"),
    unique_items: new Set(events.map(({ itemId }) => itemId).filter((item) => item !== "")).size,
    revenue: own,
    revenue_by_currency: new Map([...revenue].sort(([a], [b]) => a < b ? -1 : 1)),
    entry_url: first.url,
    exit_url: last.url,
    first_referrer: first.referrer,
    user_agent: first.userAgent,
    version: Math.max(...run.map(({ offset }) => offset)) + 1
  }
}

/** Standing findings of a visitor, each window replayed click by click in log order. */
const findingsOf = (
  accepted: ReadonlyArray<Accepted>,
  visitor: string,
  settings: CoreSettings,
  aliases: OraclePartition["aliases"]
): ReadonlyArray<OracleFinding> => {
  const clicks = accepted.filter(({ record: { event } }) =>
    event!.visitorId === visitor && (event!.eventType === "view" || event!.eventType === "click")
  )
  const found: Array<OracleFinding> = []
  const consider = (
    rule: string,
    start: number,
    length: number,
    verdict: (n: number, items: number) => number | undefined
  ): void => {
    const inside = clicks.filter(({ record: { event } }) => event!.eventTs >= start && event!.eventTs < start + length)
    let foundAt: Accepted | undefined
    let score: number | undefined
    const items = new Set<string>()
    for (let i = 0; i < inside.length; i++) {
      const { itemId } = inside[i]!.record.event!
      if (itemId !== "") items.add(itemId)
      const now = verdict(i + 1, items.size)
      if (now !== undefined && score === undefined) foundAt = inside[i]
      score = now
    }
    if (score === undefined) return
    const last = inside.at(-1)!
    found.push({
      finding_id: findingId(rule, visitor as never, start as never),
      clicks: inside.length,
      unique_items: items.size,
      score,
      found_at_offset: foundAt!.record.offset,
      appended_at: foundAt!.record.appendedAt,
      version: last.record.offset + 1,
      session_id: aliases.get(last.session)?.session_id ?? last.session
    })
  }
  const starts = (slide: number, length: number): ReadonlySet<number> =>
    new Set(clicks.flatMap(({ record: { event } }) => {
      const newest = Math.floor(event!.eventTs / slide) * slide
      return Array.from({ length: length / slide }, (_, i) => newest - i * slide)
    }))
  const {
    botLikeClicks,
    botLikeDiversity,
    botLikeSlideMs,
    botLikeWindowMs,
    highFrequencyClicks,
    highFrequencyWindowMs
  } = settings
  for (const start of starts(highFrequencyWindowMs, highFrequencyWindowMs)) {
    consider(
      "HIGH_FREQUENCY",
      start,
      highFrequencyWindowMs,
      (n) => n > highFrequencyClicks ? n / highFrequencyClicks : undefined
    )
  }
  for (const start of starts(botLikeSlideMs, botLikeWindowMs)) {
    consider(
      "BOT_LIKE",
      start,
      botLikeWindowMs,
      (n, items) => n > botLikeClicks && items / n < botLikeDiversity ? n / botLikeClicks * (1 - items / n) : undefined
    )
  }
  return found
}
