/**
 * Everything that the records since the last flush have changed in one partition. The flush takes all of it: what existed at any
 * moment, also if born and gone in between, has its row or its tombstone here.
 */
import type { ClickEvent } from "../domain/ClickEvent.ts"
import type { EpochMillis, Offset, SessionId, VisitorId } from "../domain/Identifiers.ts"
import type { Finding } from "./Finding.ts"
import type { Session } from "./Session.ts"

/** An id that lives on in another session, as of the record that merged them. */
export interface Tombstone {
  readonly absorbedId: SessionId
  readonly mergedInto: SessionId
  readonly visitorId: VisitorId
  /** Range of the merged session right after the merge: it covers what the absorbed one had. */
  readonly startedAt: EpochMillis
  readonly endedAt: EpochMillis
  readonly version: number
}

/** A record that is kept whole, with its bytes. */
export interface KeptRecord {
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
  readonly reason: string
  readonly detail: string
  /** Absent when the bytes did not decode. */
  readonly event: ClickEvent | undefined
  /** Watermark when the record was judged, ms. */
  readonly watermark: number
}

/**
 * Accepted events, by columns of one length: the fields are taken while the event is at hand, and the event itself can go. Fetching
 * 100,000 events from memory again for the flush cost more than stepping them.
 */
export class AcceptedEvents {
  readonly eventId: Array<string> = []
  readonly visitorId: Array<string> = []
  readonly eventTs: Array<number> = []
  readonly eventType: Array<string> = []
  readonly itemId: Array<string> = []
  readonly category: Array<string> = []
  readonly price: Array<number> = []
  readonly currency: Array<string> = []
  readonly quantity: Array<number> = []
  readonly url: Array<string> = []
  readonly referrer: Array<string> = []
  readonly userAgent: Array<string> = []
  readonly properties: Array<Readonly<Record<string, string>>> = []
  readonly truncated: Array<boolean> = []
  readonly appendedAt: Array<number> = []
  readonly offset: Array<number> = []
  /** The session each event had right after its own step. */
  readonly sessionId: Array<string> = []

  get length(): number {
    return this.eventId.length
  }

  /** @param item the session's own copy of the item id */
  add(event: ClickEvent, item: string, offset: Offset, appendedAt: EpochMillis, sessionId: SessionId): void {
    this.eventId.push(event.eventId)
    this.visitorId.push(event.visitorId)
    this.eventTs.push(event.eventTs)
    this.eventType.push(event.eventType)
    this.itemId.push(item)
    this.category.push(event.category)
    this.price.push(event.price)
    this.currency.push(event.currency)
    this.quantity.push(event.quantity)
    this.url.push(event.url)
    this.referrer.push(event.referrer)
    this.userAgent.push(event.userAgent)
    this.properties.push(event.properties)
    this.truncated.push(event.truncated)
    this.appendedAt.push(appendedAt)
    this.offset.push(offset)
    this.sessionId.push(sessionId)
  }
}

export class Changes {
  readonly events = new AcceptedEvents()
  readonly sessions: Array<Session> = []
  readonly tombstones: Array<Tombstone> = []
  readonly findings: Array<Finding> = []
  readonly late: Array<KeptRecord> = []
  readonly rejected: Array<KeptRecord> = []
  readonly deadLetters: Array<KeptRecord> = []
  /** Decision hashes at multiples of `decisionHashEvery`: [offset, hash]. */
  readonly decisionHashes: Array<readonly [Offset, bigint]> = []

  get records(): number {
    return this.events.length + this.late.length + this.rejected.length + this.deadLetters.length
  }
}
