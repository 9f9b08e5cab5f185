/**
 * How far traffic strays from "each event once, in order". Shares are of fresh events (bridges: of ended sessions); what strays
 * in one way strays in no other.
 */

export interface Disorder {
  /** Sent again shortly after (0.05 to 5 s). */
  readonly duplicateShare: number
  /** Of the duplicates: sent again after 11 to 12 min, when it is late; and as many with their id but another time. */
  readonly oddDuplicateShare: number
  /** event_ts lies 11 to 12 min before the event is sent: beyond the allowed lateness. */
  readonly lateShare: number
  /** event_ts lies up to `outOfOrderMaxMs` before the event is sent. */
  readonly outOfOrderShare: number
  readonly outOfOrderMaxMs: number
  /** A visitor returns about a gap later, and an event from between follows afterwards, so that two sessions become one. */
  readonly bridgeShare: number
  /** Events that break the schema: dead letters. */
  readonly invalidShare: number
  /** event_ts in the year 2100 or 1970: rejected. */
  readonly impossibleTimeShare: number
  /** Bytes that do not decode, in `nextRecords` only: dead letters. */
  readonly undecodableShare: number
}

/** What a healthy shop's collectors see. */
export const usualDisorder: Disorder = {
  duplicateShare: 0.001,
  oddDuplicateShare: 0,
  lateShare: 0.001,
  outOfOrderShare: 0.01,
  outOfOrderMaxMs: 5_000,
  bridgeShare: 0,
  invalidShare: 0,
  impossibleTimeShare: 0,
  undecodableShare: 0
}

/**
 * Everything at once, for crash tests. Bridges and odd duplicates come a gap or 11 min of event time after what they repeat, so the
 * traffic must be slow enough to cover that: 500,000 events hold 6,225 bridges at 100 events/s (83 min), none at 15,000 (33 s).
 */
export const messyDisorder: Disorder = {
  duplicateShare: 0.02,
  oddDuplicateShare: 0.1,
  lateShare: 0.01,
  outOfOrderShare: 0.05,
  outOfOrderMaxMs: 9 * 60_000,
  bridgeShare: 0.2,
  invalidShare: 0.001,
  impossibleTimeShare: 0.001,
  undecodableShare: 0.001
}
