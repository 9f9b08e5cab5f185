/**
 * Everything that the records since the last flush have changed in one partition. The flush takes all of it: what existed at any
 * moment, also if born and gone in between, has its row or its tombstone here.
 */
import type { EventBatch } from "../domain/EventBatch.ts"
import { noProperties, placeStride, Text } from "../domain/EventBatch.ts"
import type { EpochMillis, Offset, SessionId, VisitorId } from "../domain/Identifiers.ts"
import type { Finding } from "./Finding.ts"
import type { KeptRecord } from "./KeptRecord.ts"
import { NumberColumn } from "./NumberColumn.ts"
import { SessionRows } from "./SessionRows.ts"
import { Slack } from "./Slack.ts"
import { TextColumn } from "./TextColumn.ts"
import { WordColumn } from "./WordColumn.ts"

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

/**
 * Accepted events, by columns of one length: the fields are copied while the record's bytes are at hand, in the form in which the
 * warehouse takes them, and the batch can go. Fetching 100,000 events from memory again for the flush cost more than stepping them.
 */
export class AcceptedEvents {
  readonly eventId = new TextColumn()
  readonly visitorId = new TextColumn()
  readonly eventType = new WordColumn()
  readonly itemId = new TextColumn()
  readonly category = new WordColumn()
  readonly currency = new WordColumn()
  readonly url = new TextColumn()
  readonly referrer = new TextColumn()
  readonly userAgent = new TextColumn()
  readonly properties: Array<Readonly<Record<string, string>>> = []
  readonly truncated: Array<boolean> = []
  /** The session each event had right after its own step. */
  readonly sessionId = new TextColumn()
  readonly #eventTs = new NumberColumn()
  readonly #price = new NumberColumn()
  readonly #quantity = new NumberColumn()
  readonly #appendedAt = new NumberColumn()
  readonly #offset = new NumberColumn()

  /** Empties it; its memory stays for the next events. */
  clear(): void {
    for (
      const column of [
        this.eventId,
        this.visitorId,
        this.eventType,
        this.itemId,
        this.category,
        this.currency,
        this.url,
        this.referrer,
        this.userAgent,
        this.sessionId,
        this.#eventTs,
        this.#price,
        this.#quantity,
        this.#appendedAt,
        this.#offset
      ]
    ) column.clear()
    this.properties.length = 0
    this.truncated.length = 0
  }

  get length(): number {
    return this.sessionId.count
  }

  get eventTs(): Float64Array {
    return this.#eventTs.values
  }

  get price(): Float64Array {
    return this.#price.values
  }

  get quantity(): Float64Array {
    return this.#quantity.values
  }

  get appendedAt(): Float64Array {
    return this.#appendedAt.values
  }

  get offset(): Float64Array {
    return this.#offset.values
  }

  /** @param words the 16 bytes of the session's id stand here, from `idPlace` on */
  add(events: EventBatch, index: number, words: Int32Array, idPlace: number): void {
    const { bytes, places, view } = events
    const at = index * placeStride
    this.eventId.append(bytes, view, places[at + Text.eventId]!, places[at + Text.eventId + 1]!)
    this.visitorId.append(bytes, view, places[at + Text.visitorId]!, places[at + Text.visitorId + 1]!)
    this.eventType.append(bytes, view, places[at + Text.eventType]!, places[at + Text.eventType + 1]!)
    this.itemId.append(bytes, view, places[at + Text.itemId]!, places[at + Text.itemId + 1]!)
    this.category.append(bytes, view, places[at + Text.category]!, places[at + Text.category + 1]!)
    this.currency.append(bytes, view, places[at + Text.currency]!, places[at + Text.currency + 1]!)
    this.url.append(bytes, view, places[at + Text.url]!, places[at + Text.url + 1]!)
    this.referrer.append(bytes, view, places[at + Text.referrer]!, places[at + Text.referrer + 1]!)
    this.userAgent.append(bytes, view, places[at + Text.userAgent]!, places[at + Text.userAgent + 1]!)
    this.properties.push(events.properties.size === 0 ? noProperties : events.properties.get(index) ?? noProperties)
    this.truncated.push(events.truncated[index] === 1)
    this.sessionId.appendHex(words, idPlace)
    this.#eventTs.append(events.eventTs[index]!)
    this.#price.append(events.price[index]!)
    this.#quantity.append(events.quantity[index]!)
    this.#appendedAt.append(events.appendedAt[index]!)
    this.#offset.append(events.offsets[index]!)
  }
}

/** A record that only carries time. */
export interface ControlRecord {
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  /** What the watermark is at least from here on. */
  readonly watermark: number
}

export class Changes {
  readonly events = new AcceptedEvents()
  /** The state of each session that changed and lives, as of the last record. */
  readonly sessions = new SessionRows()
  readonly tombstones: Array<Tombstone> = []
  readonly findings: Array<Finding> = []
  readonly late: Array<KeptRecord> = []
  readonly rejected: Array<KeptRecord> = []
  readonly deadLetters: Array<KeptRecord> = []
  readonly controls: Array<ControlRecord> = []
  /** Decision hashes at multiples of `decisionHashEvery`: [offset, hash]. */
  readonly decisionHashes: Array<readonly [Offset, bigint]> = []
  readonly #slack = new Slack()
  #eventsMost = 0

  /**
   * Empties it; its memory stays for the next changes.
   * @returns whether it should stay: false when so much has not been needed for long
   */
  clear(): boolean {
    this.#eventsMost = Math.max(this.#eventsMost, this.events.length)
    const isWorthKeeping = !this.#slack.isTooLarge(this.events.length, this.#eventsMost)
    this.events.clear()
    this.sessions.clear()
    for (
      const list of [
        this.tombstones,
        this.findings,
        this.late,
        this.rejected,
        this.deadLetters,
        this.controls,
        this.decisionHashes
      ]
    ) list.length = 0
    return isWorthKeeping
  }
}
