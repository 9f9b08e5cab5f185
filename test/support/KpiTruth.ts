/** What the KPIs of a drained log must be: outcomes, sessions and findings by the naive oracle of the simulation, then plain arrays. */
import { findingId } from "../../src/domain/Identifiers.ts"
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
}

export const kpisOfLog = (log: ReadonlyArray<ReadonlyArray<LogRecord>>, options: TruthOptions): Kpis => {
  const truths = log.map((records) => oracle(records, options.settings))
  const aliases = new Map(truths.flatMap((truth) => [...truth.aliases].map(([id, { session_id }]) => [id, session_id])))
  const held = log.flatMap((records, partition) =>
    records.flatMap(({ event }, offset): ReadonlyArray<HeldEvent> => {
      const at = truths[partition]!.sessionAtAcceptance[offset]
      return at === undefined ? [] : [{ event: event!, sessionId: aliases.get(at) ?? at }]
    })
  )
  const verdictOf = (scope: PersonVerdict["scope"], id: string) =>
    options.verdicts.findLast((each) =>
      each.scope === scope && (scope === "session" ? aliases.get(each.id) ?? each.id : each.id) === id
    )?.verdict
  const isBot = (session: OracleSession, truth: OraclePartition): boolean => {
    const person = verdictOf("session", session.session_id) ?? verdictOf("visitor", session.visitor_id)
    if (person !== undefined) return person === "bot"
    return isFound(session, truth, options.settings) || options.isCrawler(session.user_agent)
  }
  return kpis({
    events: held,
    late: log.flatMap((records, partition) =>
      records.flatMap(({ event }, offset) => truths[partition]!.outcomes[offset] === "late" ? [event!] : [])
    ),
    timeZone: options.timeZone,
    currency: options.settings.reportingCurrency,
    flagged: new Set(
      truths.flatMap((truth) => [...truth.sessions.values()].filter((session) => isBot(session, truth)))
        .map((session) => session.session_id)
    ),
    flaggedVisitors: new Set(
      options.verdicts.map(({ id }) => id).filter((id) => verdictOf("visitor", id) === "bot")
    )
  })
}

/** Whether a standing finding's window overlaps the session: every window that might is tried by its id. */
const isFound = (session: OracleSession, { findings }: OraclePartition, settings: CoreSettings): boolean => {
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
