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

export class Changes {
  /** Accepted events, four columns of one length. */
  readonly events: Array<ClickEvent> = []
  readonly eventOffsets: Array<Offset> = []
  readonly eventAppendedAt: Array<EpochMillis> = []
  /** The session each event had right after its own step. */
  readonly eventSessionIds: Array<SessionId> = []
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
