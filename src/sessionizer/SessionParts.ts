/** What recovery knows of a session, from its events grouped by the session_id they had at acceptance. */
import type { EpochMillis, Offset, SessionId } from "../domain/Identifiers.ts"

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

/**
 * Parts put together into sessions, oldest first. Events of one part are always in one session, so parts that lie within the gap of
 * each other are one session, and no others are.
 */
export const groupsOfSessions = (
  all: ReadonlyArray<SessionParts>,
  gapMs: number
): ReadonlyArray<ReadonlyArray<SessionParts>> => {
  const sessions: Array<ReadonlyArray<SessionParts>> = []
  let group: Array<SessionParts> = []
  let endedAt = -Infinity
  for (const parts of all.toSorted((a, b) => a.startedAt - b.startedAt)) {
    if (group.length > 0 && parts.startedAt > endedAt + gapMs) {
      sessions.push(group)
      group = []
    }
    group.push(parts)
    endedAt = group.length === 1 ? parts.endedAt : Math.max(endedAt, parts.endedAt)
  }
  if (group.length > 0) sessions.push(group)
  return sessions
}
