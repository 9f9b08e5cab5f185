/** What memory holds of one visitor: the sessions that may still grow, and recent clicks. */
import type { EpochMillis, VisitorId } from "../domain/Identifiers.ts"
import { Clicks } from "./Clicks.ts"
import type { Session } from "./Session.ts"

export class Visitor {
  readonly id: VisitorId
  /** In time order, more than a gap apart; nearly always one. Those out of reach leave when they are met. */
  sessions: Array<Session> = []
  readonly clicks = new Clicks()
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
    if (count > 0) this.sessions.splice(0, count)
  }

  /** Start of the oldest session that is held: recovery must read events from here. */
  get startedAt(): EpochMillis | undefined {
    return this.sessions[0]?.startedAt
  }
}
