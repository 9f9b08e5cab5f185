/** Why a line became a dead letter instead of an event. */

/** Reason codes, as they stand in the header `guardian-dead-letter`. */
export type FaultReason =
  | "record_too_large"
  | "invalid_utf8"
  | "malformed_quote"
  | "wrong_field_count"
  | "invalid_json"
  | "invalid_log_line"
  | "missing_visitor"
  | "missing_event_type"
  | "invalid_time"
  | "invalid_price"
  | "invalid_quantity"
  | "invalid_event"

export class Fault {
  readonly reason: FaultReason
  /** For people; values of the line are cut to `quotedMax`. */
  readonly detail: string

  constructor(reason: FaultReason, detail: string) {
    this.reason = reason
    this.detail = detail
  }
}

/** Longest piece of a line that a detail repeats, UTF-16 units. */
const quotedMax = 100

/** A value of the line, quoted for a detail. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > quotedMax ? `${text.slice(0, quotedMax)}...` : text)
