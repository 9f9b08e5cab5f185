/** What memory holds of one visitor: the sessions that may still grow, and where its recent clicks are. */
import type { EpochMillis, VisitorId } from "../domain/Identifiers.ts"
import type { Clicks } from "./Clicks.ts"
import type { Session } from "./Session.ts"

const noSessions: ReadonlyArray<Session> = []

export class Visitor {
  readonly id: VisitorId
  /** In time order, more than a gap apart; nearly always one. Those out of reach leave when they are met. */
  sessions: ReadonlyArray<Session> = noSessions
  /** The newest click's place in the partition's `ClickRing`, or -1. */
  newestClick = -1
  /** Clicks since they were last counted exactly: at least as many as are recent. */
  clicksAtMost = 0
  /** From the least threshold of the rules on. */
  clicks: Clicks | undefined = undefined
  /** Offset of the visitor's last accepted event, plus one: below the durable offset nothing of it is only in memory. */
  changedBelow = 0

  constructor(id: VisitorId) {
    this.id = id
  }

  /** End of the newest session, or -1 when none is left. */
  get endedAt(): number {
    return this.sessions.length === 0 ? -1 : this.sessions[this.sessions.length - 1]!.endedAt
  }

  /** Drops sessions that end before `reachable`: no acceptable event can touch them. */
  forget(reachable: number): void {
    let count = 0
    while (count < this.sessions.length && this.sessions[count]!.endedAt < reachable) count++
    if (count > 0) this.sessions = this.sessions.slice(count)
  }

  /** Start of the oldest session that is held: recovery must read events from here. */
  get startedAt(): EpochMillis | undefined {
    return this.sessions[0]?.startedAt
  }
}
