/**
 * A rule's verdict on one visitor and window that has enough clicks to matter. It exists in memory while clicks can still come
 * into its window; a row is written once it has been raised, again for every click after that, and when it is withdrawn.
 */
import type { EpochMillis, FindingId, Offset, SessionId, VisitorId } from "../domain/Identifiers.ts"
import { findingId } from "../domain/Identifiers.ts"
import type { Rule } from "./rules/Rule.ts"

export class Finding {
  readonly rule: Rule
  readonly visitorId: VisitorId
  readonly windowStart: EpochMillis
  readonly windowEnd: EpochMillis
  /** Distinct items, as `ItemHash` numbers. */
  readonly items = new Set<number>()
  clicks = 0
  /** The verdict as of the last click. */
  standing = false
  /** True from the first time it stood: from then on it has a row. */
  raised = false
  /** The record at which the standing verdict last became true. */
  foundAtOffset = 0 as Offset
  foundAppendedAt = 0 as EpochMillis
  /** Of the last click: its session at acceptance, and its offset plus one. */
  sessionId = "" as SessionId
  version = 0
  dirty = false
  #id: FindingId | undefined = undefined

  constructor(rule: Rule, visitorId: VisitorId, windowStart: EpochMillis, windowEnd: EpochMillis) {
    this.rule = rule
    this.visitorId = visitorId
    this.windowStart = windowStart
    this.windowEnd = windowEnd
  }

  /** Worked out when it is first asked for: most windows never get a row. */
  get id(): FindingId {
    return this.#id ??= findingId(this.rule.name, this.visitorId, this.windowStart)
  }
}
