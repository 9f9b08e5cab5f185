/** What a collector is told, and its limits. Every limit is here. */

export interface CollectorSettings {
  /** Write keys are asked for. Off on loopback unless told otherwise, never off elsewhere. */
  readonly keysRequired: boolean
  /** Where they are not required: one that comes must still be good, as long as there are any. */
  readonly keysRead: boolean
  /** Origins (`https://shop.example`) whose pages may send; empty: any. Requests without an `Origin` are not pages. */
  readonly origins: ReadonlyArray<string>
  /** Proxies in front that append to `X-Forwarded-For`; 0: the connection's address is the sender's. */
  readonly proxies: number
  /** Secret with which senders without a visitor id (Plausible) are told apart, by day. */
  readonly visitorSecret: string
  readonly limits: CollectorLimits
}

export interface CollectorLimits {
  /** Body as sent, bytes. */
  readonly bodyBytesMax: number
  /** Body after inflating, bytes. */
  readonly inflatedBytesMax: number
  /** One event as sent, bytes; the log's own limit holds for it as stored. */
  readonly eventBytesMax: number
  readonly eventsPerRequestMax: number
  /** Bodies that are being read, mapped or written, bytes together. Beyond: 429. */
  readonly bytesInFlightMax: number
  /** Records handed to the log that it has not answered for. Beyond: 429. */
  readonly recordsInFlightMax: number
  /** The log is slower than the senders when its oldest unanswered append is as old as this, ms. Then: 429. */
  readonly queueMsMax: number
  /** The log must have answered after this, ms; else 503. */
  readonly appendMsMax: number
  /** What `Retry-After` says when the log is away, s. */
  readonly retryAwaySeconds: number
}

const mebibyte = 1024 * 1024

export const defaultLimits: CollectorLimits = {
  bodyBytesMax: 4 * mebibyte,
  inflatedBytesMax: 16 * mebibyte,
  eventBytesMax: mebibyte,
  eventsPerRequestMax: 10_000,
  bytesInFlightMax: 64 * mebibyte,
  recordsInFlightMax: 50_000,
  queueMsMax: 2_000,
  appendMsMax: 10_000,
  retryAwaySeconds: 5
}

/** A body of at most this many bytes is read at once; memory for it is bounded by the number of connections. */
export const smallBodyBytes = 64 * 1024

/** For Node's server: a sender that dawdles is cut off. */
export const connectionLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 65_000,
  checkMs: 2_000,
  headerBytesMax: 16 * 1024,
  connectionsMax: 4_000,
  /** Connections that the system may hold until they are taken. */
  backlog: 2_000
} as const
