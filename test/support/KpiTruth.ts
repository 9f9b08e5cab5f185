/** What the KPIs of a drained log must be: outcomes, sessions and findings by the naive oracle of the simulation, then plain arrays. */
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import { findingId, sessionId as openedBy } from "../../src/domain/Identifiers.ts"
import type { CoreSettings } from "../../src/domain/Settings.ts"
import type { OraclePartition, OracleSession } from "../simulation/Oracle.ts"
import { oracle } from "../simulation/Oracle.ts"
import type { LogRecord } from "../simulation/Scenario.ts"
import type { HeldEvent, Kpis } from "./KpiOracle.ts"
import { kpis } from "./KpiOracle.ts"

export interface PersonVerdict {
  readonly scope: "visitor" | "session"
  readonly id: string
  readonly verdict: "bot" | "human" | "unknown"
}

export interface TruthOptions {
  readonly settings: CoreSettings
  readonly timeZone: string
  /** The newest for each scope and id. */
  readonly verdicts: ReadonlyArray<PersonVerdict>
  readonly isCrawler: (userAgent: string) => boolean
  /** Whether an amendment has folded a late record in that is no repeat; absent: none has. */
  readonly isAmended?: (
    record: { readonly event: ClickEvent; readonly partition: number; readonly offset: number }
  ) => boolean
}

export const kpisOfLog = (log: ReadonlyArray<ReadonlyArray<LogRecord>>, options: TruthOptions): Kpis => {
  const { settings } = options
  const truths = log.map((records) => oracle(records, settings))
  const aliases = new Map(truths.flatMap((truth) => [...truth.aliases].map(([id, { session_id }]) => [id, session_id])))
  const held = log.flatMap((records, partition) =>
    records.flatMap(({ event, offset }): ReadonlyArray<PlacedEvent> => {
      const at = truths[partition]!.sessionAtAcceptance[offset]
      return at === undefined ? [] : [{ event: event!, sessionId: aliases.get(at) ?? at, partition, offset }]
    })
  )
  const late = log.flatMap((records, partition) =>
    records.filter(({ offset }) => truths[partition]!.outcomes[offset] === "late").map((record) => ({
      event: record.event!,
      isRepeat: isRepeat(record, records, truths[partition]!),
      partition,
      offset: record.offset
    }))
  )
  const amended = late.filter(({ isRepeat, ...place }) => !isRepeat && options.isAmended?.(place) === true)
  const folded = foldedIn(held, amended, settings.gapMs)
  const living = (id: string): string => folded.merges.get(aliases.get(id) ?? id) ?? aliases.get(id) ?? id
  const verdictOf = (scope: PersonVerdict["scope"], id: string) =>
    options.verdicts.findLast((each) =>
      each.scope === scope && (scope === "session" ? living(each.id) : each.id) === id
    )?.verdict
  const isBot = (session: OpenedSession): boolean => {
    const person = verdictOf("session", session.session_id) ?? verdictOf("visitor", session.visitor_id)
    if (person !== undefined) return person === "bot"
    return isFound(session, truths[session.partition]!, settings) || options.isCrawler(session.user_agent)
  }
  return kpis({
    events: folded.events,
    late,
    timeZone: options.timeZone,
    currency: settings.reportingCurrency,
    flagged: new Set(openedSessions(folded.events).filter(isBot).map((session) => session.session_id)),
    flaggedVisitors: new Set(
      options.verdicts.map(({ id }) => id).filter((id) => verdictOf("visitor", id) === "bot")
    )
  })
}

interface PlacedEvent extends HeldEvent {
  readonly partition: number
  readonly offset: number
}

/** How far apart the times of two records of one id may be, ms, for the later one to be a repeat. */
const repeatMs = 3_600_000

/** Whether a record before it, accepted or late, is the same event. */
const isRepeat = (record: LogRecord, records: ReadonlyArray<LogRecord>, { outcomes }: OraclePartition): boolean =>
  records.some(({ event, offset }) =>
    offset < record.offset && (outcomes[offset] === "accepted" || outcomes[offset] === "late") &&
    event!.visitorId === record.event!.visitorId && event!.eventId === record.event!.eventId &&
    Math.abs(event!.eventTs - record.event!.eventTs) <= repeatMs
  )

/**
 * All sessions made anew from accepted and amended events. One with a late event in it has the least id of the accepted sessions that
 * are part of it, or, where there are none, the id that its first record would have opened.
 */
const foldedIn = (
  held: ReadonlyArray<PlacedEvent>,
  amended: ReadonlyArray<Omit<PlacedEvent, "sessionId">>,
  gapMs: number
) => {
  const merges = new Map<string, string>()
  const events: Array<PlacedEvent> = []
  const all = [...held, ...amended.map((each) => ({ ...each, sessionId: "", isAmended: true }))]
  for (const mine of Map.groupBy(all, ({ event }) => event.visitorId).values()) {
    mine.sort((a, b) => a.event.eventTs - b.event.eventTs || a.offset - b.offset)
    const runs: Array<Array<PlacedEvent>> = []
    for (const each of mine) {
      const run = runs.at(-1)
      if (run !== undefined && each.event.eventTs - run.at(-1)!.event.eventTs <= gapMs) run.push(each)
      else runs.push([each])
    }
    for (const run of runs) {
      const ids = [...new Set(run.map(({ sessionId }) => sessionId).filter((id) => id !== ""))].sort()
      const { event: opening } = run.reduce((a, b) => b.offset < a.offset ? b : a)
      const sessionId = ids[0] ?? openedBy(opening.visitorId, opening.eventId, opening.eventTs)
      for (const id of ids.slice(1)) merges.set(id, sessionId)
      events.push(...run.map((each) => ({ ...each, sessionId })))
    }
  }
  return { events, merges }
}

type OpenedSession = Pick<OracleSession, "session_id" | "visitor_id" | "started_at" | "ended_at" | "user_agent"> & {
  readonly partition: number
}

const openedSessions = (events: ReadonlyArray<PlacedEvent>): ReadonlyArray<OpenedSession> =>
  [...Map.groupBy(events, ({ sessionId }) => sessionId)].map(([session_id, run]) => {
    const [first] = run as [PlacedEvent]
    return {
      session_id,
      visitor_id: first.event.visitorId,
      started_at: first.event.eventTs,
      ended_at: run.at(-1)!.event.eventTs,
      user_agent: first.event.userAgent,
      partition: first.partition
    }
  })

/** Whether a standing finding's window overlaps the session: every window that might is tried by its id. */
const isFound = (session: OpenedSession, { findings }: OraclePartition, settings: CoreSettings): boolean => {
  const rules = [
    ["HIGH_FREQUENCY", settings.highFrequencyWindowMs, settings.highFrequencyWindowMs],
    ["BOT_LIKE", settings.botLikeWindowMs, settings.botLikeSlideMs]
  ] as const
  return rules.some(([rule, length, slide]) => {
    const first = Math.floor((session.started_at - length) / slide) * slide + slide
    for (let start = first; start <= session.ended_at; start += slide) {
      if (
        start + length > session.started_at &&
        findings.has(findingId(rule, session.visitor_id as never, start as never))
      ) {
        return true
      }
    }
    return false
  })
}
