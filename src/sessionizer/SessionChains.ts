/** The sessions of each visitor: a chain from the newest to older ones, more than a gap apart; nearly always of one. */
import type { SessionTable } from "./SessionTable.ts"
import { none } from "./SessionTable.ts"
import type { VisitorTable } from "./VisitorTable.ts"

export class SessionChains {
  readonly #visitors: VisitorTable
  readonly #sessions: SessionTable

  constructor(visitors: VisitorTable, sessions: SessionTable) {
    this.#visitors = visitors
    this.#sessions = sessions
  }

  /** Hangs a session into the visitor's chain: before the next newer one, or at the head when that is `none`. */
  put(visitor: number, newer: number, session: number): void {
    if (newer === none) this.#visitors.setSession(visitor, session)
    else this.#sessions.setOlder(newer, session)
  }

  /** Drops the visitor's sessions that ended before `reachableFrom`: no acceptable event can touch them. */
  forget(visitor: number, reachableFrom: number): void {
    let newer = none
    let session = this.#visitors.session(visitor)
    while (session !== none && this.#sessions.endedAt(session) >= reachableFrom) {
      newer = session
      session = this.#sessions.older(session)
    }
    if (session === none) return
    this.put(visitor, newer, none)
    this.#releaseFrom(session)
  }

  /** Drops all of them. */
  release(visitor: number): void {
    this.#releaseFrom(this.#visitors.session(visitor))
  }

  #releaseFrom(first: number): void {
    for (let session = first; session !== none;) {
      const older = this.#sessions.older(session)
      this.#sessions.release(session)
      session = older
    }
  }
}
