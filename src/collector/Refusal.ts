/** A request that is not taken: nothing of it is in the log, and its sender still holds it. An RFC 9457 problem. */
import type { Answer } from "./Submission.ts"

export class Refusal {
  readonly _tag = "Refusal"
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, title: string, detail: string, headers: Readonly<Record<string, string>> = {}) {
    this.status = status
    this.title = title
    this.detail = detail
    this.headers = headers
  }

  /** The queue in front of the log is full: senders are faster than it. */
  static readonly full: Refusal = new Refusal(
    429,
    "Too many events",
    "Events come in faster than the log takes them; send this again later.",
    { "retry-after": "1" }
  )

  answer(): Answer {
    return {
      status: this.status,
      contentType: "application/problem+json",
      body: JSON.stringify({ type: "about:blank", title: this.title, status: this.status, detail: this.detail })
    }
  }
}
