/** What recovery reads back of a visitor: all that the warehouse knows of it that still matters, below the durable offset. */
import type { VisitorId } from "../domain/Identifiers.ts"
import type { ClickHistory } from "./ClickHistory.ts"
import type { SessionParts } from "./SessionParts.ts"

/** Ids that may still count as seen. */
export interface SeenHistory {
  /** `fingerprintWords` words an id. */
  readonly prints: Int32Array
  /** event_ts of each. */
  readonly times: Float64Array
}

export interface VisitorHistory {
  readonly visitorId: VisitorId
  readonly sessions: ReadonlyArray<SessionParts>
  readonly seen: ReadonlyArray<SeenHistory>
  /** Clicks that rule windows may still need. */
  readonly clicks: ClickHistory
}
