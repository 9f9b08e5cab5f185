/** Why something that was sent became a dead letter instead of an event. */

/** Reason codes, as they stand in the header `guardian-dead-letter` and in receipts. */
export type CollectReason =
  | "record_too_large"
  | "invalid_compression"
  | "invalid_utf8"
  | "invalid_json"
  | "invalid_event"
  | "missing_visitor"

export class CollectFault {
  readonly reason: CollectReason
  /** For people; at most `detailMax` characters. */
  readonly detail: string

  constructor(reason: CollectReason, detail: string) {
    this.reason = reason
    this.detail = detail.length > detailMax ? `${detail.slice(0, detailMax)}...` : detail
  }
}

/** Names of unknown fields stand in a detail, and their sender chooses how long they are. */
const detailMax = 500
