/** What recovery reads back of a visitor. */
import type { EpochMillis, Offset, SessionId, VisitorId } from "../domain/Identifiers.ts"
import type { SessionParts } from "./SessionParts.ts"

/** An accepted event as recovery reads it back: for ids and rule windows. */
export interface RecentEvent {
  readonly eventId: string
  readonly eventTs: EpochMillis
  readonly eventType: string
  readonly itemId: string
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  readonly sessionId: SessionId
}

/** All that the warehouse knows of one visitor that still matters, below the durable offset. */
export interface VisitorHistory {
  readonly visitorId: VisitorId
  readonly sessions: ReadonlyArray<SessionParts>
  /** In offset order. */
  readonly recent: ReadonlyArray<RecentEvent>
}
