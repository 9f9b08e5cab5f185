/**
 * The pure core: what one partition's records mean. No clock, no I/O, no randomness: the same records give the same outcomes,
 * sessions and findings, in whatever batches they come and whatever memory happens to hold. DESIGN.md 4.1 numbers the steps.
 */
import type { ClickEvent } from "../domain/ClickEvent.ts"
import { isClick } from "../domain/ClickEvent.ts"
import type { EpochMillis, Offset, Partition, SessionId, VisitorId } from "../domain/Identifiers.ts"
import { sessionId } from "../domain/Identifiers.ts"
import { positiveMurmur2 } from "../domain/Murmur2.ts"
import type { DecodeFailure, OutcomeCounts } from "../domain/Outcome.ts"
import { noOutcomes, Outcome } from "../domain/Outcome.ts"
import type { CoreSettings } from "../domain/Settings.ts"
import { eventTsMin, horizonMs } from "../domain/Settings.ts"
import type { KeptRecord } from "./Changes.ts"
import { Changes } from "./Changes.ts"
import { ClickRing } from "./ClickRing.ts"
import type { Click, RuleBook } from "./Clicks.ts"
import { Clicks, makeRuleBook } from "./Clicks.ts"
import { ColdVisitors } from "./ColdVisitors.ts"
import { DecisionHash, decisionHashEvery } from "./DecisionHash.ts"
import type { DecodedBatch } from "./DecodedBatch.ts"
import { isEvent } from "./DecodedBatch.ts"
import { Expiry } from "./Expiry.ts"
import type { Finding } from "./Finding.ts"
import { SeenIds } from "./SeenIds.ts"
import type { SessionParts } from "./Session.ts"
import { Session } from "./Session.ts"
import { Visitor } from "./Visitor.ts"

/** A partition's state that is not per visitor: what a checkpoint row holds. */
export interface CorePosition {
  /** Next offset to read. */
  readonly offset: Offset
  /** Greatest event_ts accepted so far; -Infinity before the first. */
  readonly watermark: number
  readonly counts: OutcomeCounts
  readonly decisionHash: bigint
}

export const startPosition = (offset: Offset): CorePosition => ({
  offset,
  watermark: -Infinity,
  counts: noOutcomes(),
  decisionHash: 0n
})

/** An accepted event as recovery reads it back: for ids and rule windows. */
export interface RecentEvent {
  readonly eventId: string
  readonly eventTs: EpochMillis
  readonly eventType: string
  readonly itemId: string
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  readonly sessionId: SessionId
}

/** All that the warehouse knows of one visitor that still matters, below the durable offset. */
export interface VisitorHistory {
  readonly visitorId: VisitorId
  readonly sessions: ReadonlyArray<SessionParts>
  /** In offset order. */
  readonly recent: ReadonlyArray<RecentEvent>
}

export class PartitionCore {
  readonly partition: Partition
  readonly settings: CoreSettings
  readonly cold = new ColdVisitors()
  readonly counts: OutcomeCounts
  #watermark: number
  #nextOffset: Offset
  #changes = new Changes()
  readonly #hash: DecisionHash
  readonly #visitors = new Map<VisitorId, Visitor>()
  readonly #seen = new SeenIds()
  readonly #recentClicks = new ClickRing()
  readonly #expiry: Expiry
  readonly #rules: RuleBook
  readonly #horizonMs: number
  #coldSweptAt = -Infinity
  /** The click at hand; one object for all. */
  readonly #click: { -readonly [K in keyof Click]: Click[K] } = {
    eventTs: 0 as EpochMillis,
    item: "",
    offset: 0 as Offset,
    appendedAt: 0 as EpochMillis,
    sessionId: "" as SessionId
  }

  constructor(partition: Partition, settings: CoreSettings, position: CorePosition) {
    this.partition = partition
    this.settings = settings
    this.counts = { ...position.counts }
    this.#watermark = position.watermark
    this.#nextOffset = position.offset
    this.#hash = new DecisionHash(position.decisionHash)
    this.#rules = makeRuleBook(settings)
    this.#horizonMs = horizonMs(settings)
    this.#expiry = new Expiry(Math.ceil((settings.gapMs + settings.latenessMs) / 64))
  }

  get position(): CorePosition {
    return {
      offset: this.#nextOffset,
      watermark: this.#watermark,
      counts: { ...this.counts },
      decisionHash: this.#hash.value
    }
  }

  get nextOffset(): Offset {
    return this.#nextOffset
  }

  /** Events before this are late, ids before this are forgotten: watermark - lateness. */
  get seenFrom(): number {
    return this.#watermark - this.settings.latenessMs
  }

  /** Sessions that ended before this are out of reach, and so is everything else of their visitor. */
  get reachableFrom(): number {
    return this.seenFrom - this.#horizonMs
  }

  /** What recovery must read back for ids and rule windows. */
  get recentFrom(): number {
    return this.seenFrom - this.#rules.longestWindowMs
  }

  get visitorsInMemory(): number {
    return this.#visitors.size
  }

  get idsInMemory(): number {
    return this.#seen.size
  }

  get changes(): Changes {
    return this.#changes
  }

  /** Hands over what changed since the last call, and starts a new collection. Rows must be made before the next step. */
  takeChanges(): Changes {
    const changes = this.#changes
    this.#changes = new Changes()
    for (const session of changes.sessions) session.dirty = false
    for (const finding of changes.findings) finding.dirty = false
    return changes
  }

  /** Visitors of a batch that must be read from the warehouse before it can be stepped, with the event time to read from. */
  missing(batch: DecodedBatch, into: Map<VisitorId, number>): void {
    if (this.cold.size === 0) return
    for (const event of batch.events) {
      if (!isEvent(event) || this.#visitors.has(event.visitorId)) continue
      const from = this.cold.readFrom(event.visitorId, this.reachableFrom)
      if (from !== undefined) into.set(event.visitorId, from)
    }
  }

  /** Takes a visitor back into memory. An empty history is noted too: it is not asked for again. */
  load(history: VisitorHistory): void {
    const visitor = this.#visitor(history.visitorId)
    visitor.sessions = regroup(history, this.settings.gapMs)
    visitor.changedBelow = Math.max(0, ...visitor.sessions.map(({ version }) => version))
    visitor.forget(this.reachableFrom)
    for (const event of history.recent) {
      if (event.eventTs >= this.seenFrom) {
        this.#seen.remember(history.visitorId, event.eventId, event.eventTs, this.seenFrom)
      }
      if (isClick(event.eventType) && event.eventTs >= this.recentFrom) {
        this.#countClick(
          visitor,
          event.eventTs,
          event.itemId,
          event.offset,
          event.appendedAt,
          event.sessionId,
          ignoreFinding
        )
      }
    }
  }

  /** Steps through a batch. Its first offset must not be before the next one. */
  step(batch: DecodedBatch): void {
    for (let i = 0; i < batch.events.length; i++) {
      const offset = batch.offsets[i]!
      if (offset < this.#nextOffset) {
        throw new Error(`partition ${this.partition}: offset ${offset} again, next is ${this.#nextOffset}`)
      }
      const event = batch.events[i]!
      let session: SessionId | undefined
      let outcome: Outcome
      if (!isEvent(event)) {
        outcome = Outcome.deadLettered
        this.#changes.deadLetters.push(this.#kept(batch, i, event, undefined))
      } else {
        const refused = this.#refusal(event, batch.appendedAt[i]!)
        if (refused !== undefined) {
          outcome = Outcome.rejected
          this.#changes.rejected.push(this.#kept(batch, i, refused, event))
        } else if (event.eventTs < this.seenFrom) {
          outcome = Outcome.late
          this.#changes.late.push(this.#kept(batch, i, lateReason, event))
        } else if (this.#seen.seen(event.visitorId, event.eventId, event.eventTs, this.seenFrom)) {
          outcome = Outcome.duplicate
        } else {
          outcome = Outcome.accepted
          session = this.#accept(event, offset, batch.appendedAt[i]!)
        }
      }
      this.#count(outcome)
      this.#hash.update(offset, outcome, session)
      this.#nextOffset = (offset + 1) as Offset
      if ((offset + 1) % decisionHashEvery === 0) {
        this.#changes.decisionHashes.push([this.#nextOffset, this.#hash.value])
      }
    }
    this.#expiry.sweep(this.seenFrom, this.#due)
    this.#sweepCold()
  }

  /**
   * Evicts the longest held visitors until at most `visitorsMax` are left, as far as all they changed is durable. They become
   * cold: the next sight of them reads them back.
   * @param durable everything below it is in the warehouse
   */
  evict(visitorsMax: number, durable: Offset): void {
    if (this.#visitors.size <= visitorsMax) return
    for (const visitor of this.#visitors.values()) {
      if (visitor.changedBelow > durable) continue
      visitor.forget(this.reachableFrom)
      const from = visitor.startedAt
      if (from !== undefined) this.cold.add(positiveMurmur2(visitor.id), from, visitor.endedAt)
      this.#visitors.delete(visitor.id)
      if (this.#visitors.size <= visitorsMax) return
    }
  }

  #refusal(event: ClickEvent, appendedAt: EpochMillis): DecodeFailure | undefined {
    if (event.eventTs > appendedAt + this.settings.futureMaxMs) {
      return { reason: "future", detail: `event_ts is ${event.eventTs - appendedAt} ms after the append time` }
    }
    return event.eventTs < eventTsMin ? { reason: "before_2000", detail: "event_ts is before 2000-01-01" } : undefined
  }

  #accept(event: ClickEvent, offset: Offset, appendedAt: EpochMillis): SessionId {
    const eventTs = event.eventTs
    if (eventTs > this.#watermark) this.#watermark = eventTs
    const visitor = this.#visitor(event.visitorId)
    visitor.changedBelow = offset + 1
    const sessions = visitor.sessions
    const { gapMs } = this.settings
    // The session that the event lands in: the last one that starts at or before event_ts + gap.
    let at = sessions.length - 1
    while (at >= 0 && sessions[at]!.startedAt - gapMs > eventTs) at--
    let session: Session
    let item: string
    if (at >= 0 && eventTs <= sessions[at]!.endedAt + gapMs) {
      session = sessions[at]!
      item = session.add(event, offset, this.settings.reportingCurrency)
      const before = at > 0 ? sessions[at - 1]! : undefined
      if (before !== undefined && session.startedAt <= before.endedAt + gapMs) {
        session = this.#bridge(before, session, offset)
        visitor.sessions = sessions.toSpliced(at - 1, 2, session)
      }
    } else {
      session = new Session(event.visitorId, sessionId(event.visitorId, event.eventId, eventTs), offset, eventTs)
      item = session.add(event, offset, this.settings.reportingCurrency)
      if (sessions.length === 0) visitor.sessions = [session]
      else {
        visitor.sessions = sessions.toSpliced(at + 1, 0, session)
        visitor.forget(this.reachableFrom)
      }
    }
    this.#touch(session)
    this.#changes.events.add(event, item, offset, appendedAt, session.id)
    if (isClick(event.eventType)) {
      this.#countClick(visitor, eventTs, item, offset, appendedAt, session.id, this.#touchFinding)
    }
    return session.id
  }

  /** Two sessions have become one: the id with the lower opening offset lives, every other id gets a tombstone. */
  #bridge(earlier: Session, later: Session, offset: Offset): Session {
    const [survivor, other] = earlier.openedOffset < later.openedOffset ? [earlier, later] : [later, earlier]
    survivor.absorb(other)
    survivor.version = offset + 1
    for (const absorbedId of [other.id, ...(other.absorbed ?? [])]) {
      this.#changes.tombstones.push({
        absorbedId,
        mergedInto: survivor.id,
        visitorId: survivor.visitorId,
        startedAt: survivor.startedAt,
        endedAt: survivor.endedAt,
        version: survivor.version
      })
    }
    return survivor
  }

  #visitor(id: VisitorId): Visitor {
    let visitor = this.#visitors.get(id)
    if (visitor === undefined) {
      visitor = new Visitor(id)
      this.#visitors.set(id, visitor)
      this.#expiry.schedule(visitor, this.#watermark + this.#horizonMs)
    }
    return visitor
  }

  readonly #due = (visitor: Visitor): void => {
    if (this.#visitors.get(visitor.id) !== visitor) return
    if (visitor.endedAt < this.reachableFrom) this.#visitors.delete(visitor.id)
    else this.#expiry.schedule(visitor, visitor.endedAt + this.#horizonMs)
  }

  #countClick(
    visitor: Visitor,
    eventTs: EpochMillis,
    item: string,
    offset: Offset,
    appendedAt: EpochMillis,
    session: SessionId,
    changed: (finding: Finding) => void
  ): void {
    const { seenFrom } = this
    if (visitor.clicks === undefined) {
      visitor.newestClick = this.#recentClicks.add(eventTs, item, visitor.newestClick, this.recentFrom)
      if (++visitor.clicksAtMost <= this.#rules.clicksBelow) return
      visitor.clicksAtMost = this.#recentClicks.count(visitor.newestClick, this.recentFrom)
      if (visitor.clicksAtMost <= this.#rules.clicksBelow) return
      visitor.clicks = this.#busy(visitor)
    }
    const click = this.#click
    click.eventTs = eventTs
    click.item = item
    click.offset = offset
    click.appendedAt = appendedAt
    click.sessionId = session
    visitor.clicks.add(this.#rules, visitor.id, click, seenFrom, changed)
  }

  /** The visitor's clicks before the newest, out of the ring: the newest is added by the caller. */
  #busy(visitor: Visitor): Clicks {
    const clicks: Array<{ eventTs: number; item: string }> = []
    this.#recentClicks.each(visitor.newestClick, (eventTs, item) => clicks.push({ eventTs, item }))
    return new Clicks(clicks.slice(1))
  }

  #touch(session: Session): void {
    if (session.dirty) return
    session.dirty = true
    this.#changes.sessions.push(session)
  }

  readonly #touchFinding = (finding: Finding): void => {
    if (finding.dirty) return
    finding.dirty = true
    this.#changes.findings.push(finding)
  }

  /** Once in a horizon of event time: who is cold stays for two or three of them, so a sweep costs each of them little. */
  #sweepCold(): void {
    const { reachableFrom } = this
    if (reachableFrom < this.#coldSweptAt + this.#horizonMs) return
    this.#coldSweptAt = reachableFrom
    this.cold.sweep(reachableFrom)
  }

  #count(outcome: Outcome): void {
    const counts = this.counts
    counts.received++
    if (outcome === Outcome.accepted) counts.accepted++
    else if (outcome === Outcome.duplicate) counts.duplicate++
    else if (outcome === Outcome.late) counts.late++
    else if (outcome === Outcome.rejected) counts.rejected++
    else counts.deadLettered++
  }

  #kept(batch: DecodedBatch, index: number, why: DecodeFailure, event: ClickEvent | undefined): KeptRecord {
    return {
      offset: batch.offsets[index]!,
      appendedAt: batch.appendedAt[index]!,
      key: batch.source.key(index),
      value: batch.source.value(index),
      headers: batch.source.headers(index) ?? {},
      reason: why.reason,
      detail: why.detail,
      event,
      watermark: this.#watermark
    }
  }
}

const lateReason: DecodeFailure = { reason: "late", detail: "event_ts is before watermark - allowed lateness" }
const ignoreFinding = (): void => {}

/**
 * Sessions from events grouped by their session_id at acceptance. Events of one such group are always in one session, so groups
 * that lie within the gap of each other are one session, and no others are.
 */
const regroup = (history: VisitorHistory, gapMs: number): ReadonlyArray<Session> => {
  const sessions: Array<Session> = []
  let group: Array<SessionParts> = []
  let endedAt = -Infinity
  for (const parts of history.sessions.toSorted((a, b) => a.startedAt - b.startedAt)) {
    if (group.length > 0 && parts.startedAt > endedAt + gapMs) {
      sessions.push(Session.fromParts(history.visitorId, group))
      group = []
    }
    group.push(parts)
    endedAt = group.length === 1 ? parts.endedAt : Math.max(endedAt, parts.endedAt)
  }
  if (group.length > 0) sessions.push(Session.fromParts(history.visitorId, group))
  return sessions
}
