/**
 * The pure core: what one partition's records mean. No clock, no I/O, no randomness: the same records give the same outcomes,
 * sessions and findings, in whatever batches they come and whatever memory happens to hold. DESIGN.md 4.1 numbers the steps.
 */
import type { EventBatch } from "../domain/EventBatch.ts"
import { EventKind, placeStride, Text } from "../domain/EventBatch.ts"
import type { EpochMillis, EventId, Offset, Partition, VisitorId } from "../domain/Identifiers.ts"
import { sessionId } from "../domain/Identifiers.ts"
import type { OutcomeCounts } from "../domain/Outcome.ts"
import { noOutcomes, Outcome } from "../domain/Outcome.ts"
import type { CoreSettings } from "../domain/Settings.ts"
import { eventTsMin, horizonMs } from "../domain/Settings.ts"
import { Changes } from "./Changes.ts"
import { ClickCounts } from "./ClickCounts.ts"
import type { RuleBook } from "./Clicks.ts"
import { makeRuleBook } from "./Clicks.ts"
import { ColdVisitors } from "./ColdVisitors.ts"
import { controlMark, DecisionHash, decisionHashEvery } from "./DecisionHash.ts"
import { Expiry } from "./Expiry.ts"
import type { Finding } from "./Finding.ts"
import { FingerprintText, fingerprintWords, hash, murmur2, TextBytes } from "./Fingerprint.ts"
import { itemHash } from "./ItemHash.ts"
import { keptRecord, lateReason, refusal } from "./KeptRecord.ts"
import { SeenIds } from "./SeenIds.ts"
import { SessionChains } from "./SessionChains.ts"
import { groupsOfSessions } from "./SessionParts.ts"
import { none, SessionTable } from "./SessionTable.ts"
import type { VisitorHistory } from "./VisitorHistory.ts"
import { nobody, VisitorTable } from "./VisitorTable.ts"

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

export class PartitionCore {
  readonly partition: Partition
  readonly settings: CoreSettings
  readonly cold = new ColdVisitors()
  readonly counts: OutcomeCounts
  /** False while recovery still reads all ids: until then each visitor's history must bring its own. */
  idsComplete = true
  #watermark: number
  #nextOffset: Offset
  #changes = new Changes()
  readonly #hash: DecisionHash
  readonly #visitors = new VisitorTable()
  readonly #sessions: SessionTable
  readonly #chains: SessionChains
  readonly #clicks: ClickCounts
  readonly #seen = new SeenIds()
  readonly #expiry: Expiry
  readonly #rules: RuleBook
  readonly #horizonMs: number
  /** Changes that are written: their memory is for the next ones. */
  #spare: Changes | undefined = undefined
  #coldSweptAt = -Infinity
  #hasEvicted = false
  /** Fingerprints of the batch at hand; kept for the next one. */
  #prints = new Int32Array(0)
  readonly #fingerprintText = new FingerprintText()
  readonly #id = new TextBytes()

  /** @param hashSeed decides where texts lie, and no result: unlike for each run, so that no sender can make them collide */
  constructor(partition: Partition, settings: CoreSettings, position: CorePosition, hashSeed = 0) {
    this.partition = partition
    this.settings = settings
    this.counts = { ...position.counts }
    this.#watermark = position.watermark
    this.#nextOffset = position.offset
    // What lies before a checkpoint is in the warehouse, and must be read back.
    this.cold.isComplete = this.idsComplete = position.watermark === -Infinity
    this.#hash = new DecisionHash(position.decisionHash)
    this.#rules = makeRuleBook(settings)
    this.#clicks = new ClickCounts(this.#visitors, this.#rules)
    this.#sessions = new SessionTable(this.#visitors, settings.reportingCurrency, hashSeed)
    this.#chains = new SessionChains(this.#visitors, this.#sessions)
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

  /** Addresses, referrers and user agents of sessions. */
  get textsInMemory(): number {
    return this.#sessions.textsHeld
  }

  /** Hands over what changed since the last call, and starts a new collection. */
  takeChanges(): Changes {
    const changes = this.#changes
    this.#changes = this.#spare ?? new Changes()
    this.#spare = undefined
    this.#sessions.takeChanged(changes.sessions)
    this.#visitors.reclaim()
    for (const finding of changes.findings) finding.dirty = false
    return changes
  }

  /** Takes the memory of changes back that nobody needs any more. */
  reuse(changes: Changes): void {
    if (changes.clear()) this.#spare = changes
  }

  /**
   * Visitors of a batch that must be read from the warehouse before it can be stepped, with the event time to read from; undefined
   * while nobody knows it yet.
   */
  missing(events: EventBatch, into: Map<VisitorId, number | undefined>): void {
    if (this.cold.size === 0 && this.cold.isComplete) return
    for (let i = 0; i < events.count; i++) {
      if (i % lookAheadRecords === 0) this.#lookAhead(events, i)
      if (isNoEvent(events.kinds[i]!) || this.#find(events, i) !== nobody) continue
      const from = this.cold.readFrom(this.#visitorHash(i) & positive, this.reachableFrom)
      if (from !== undefined || !this.cold.isComplete) into.set(events.text(i, Text.visitorId) as VisitorId, from)
    }
  }

  /**
   * Takes a visitor back into memory, unless it is there: what it did since then is not in its history. An empty history is noted
   * too: it is not asked for again.
   */
  load(history: VisitorHistory): void {
    const { found, idHash, length, view } = this.#look(history.visitorId)
    if (found !== nobody) return
    const visitor = this.#newVisitor(idHash, view, 0, length)
    for (const groups of groupsOfSessions(history.sessions, this.settings.gapMs)) {
      const session = this.#sessions.restore(visitor, groups)
      this.#sessions.setOlder(session, this.#visitors.session(visitor))
      this.#visitors.setSession(visitor, session)
    }
    this.#chains.forget(visitor, this.reachableFrom)
    for (const { prints, times } of history.seen) this.remember(prints, times, times.length)
    this.#clicks.restore(visitor, history.clicks, this.recentFrom)
  }

  /**
   * Takes a cold visitor back whom nobody has asked for.
   * @param readFrom the history has all events from this time on
   */
  preload(history: VisitorHistory, readFrom: number): void {
    // Who was evicted meanwhile may have done more than its history says.
    if (this.#hasEvicted) return
    const from = this.cold.readFrom(this.#look(history.visitorId).idHash & positive, this.reachableFrom)
    if (from !== undefined && from >= readFrom) this.load(history)
  }

  /** Makes room for so many ids. */
  expectIds(count: number): void {
    this.#seen.reserve(count, this.seenFrom)
  }

  /** Takes ids back into memory that were accepted at these times; those that do not count as seen any more are left out. */
  remember(prints: Int32Array, times: Float64Array, count: number): void {
    let lookedAt = 0
    for (let from = 0; from < count; from += lookAheadRecords) {
      const to = Math.min(count, from + lookAheadRecords)
      for (let i = from; i < to; i++) lookedAt ^= this.#seen.touch(prints[i * fingerprintWords]!)
      for (let i = from; i < to; i++) {
        const eventTs = times[i]! as EpochMillis
        if (eventTs >= this.seenFrom) this.#seen.remember(prints, i * fingerprintWords, eventTs, this.seenFrom)
      }
    }
    // As in looking ahead: a load whose result goes nowhere might be left out.
    this.#prints[0] = lookedAt
  }

  /** Steps through a batch. Its first offset must not be before the next one. */
  step(events: EventBatch): void {
    for (let i = 0; i < events.count; i++) {
      if (i % lookAheadRecords === 0) this.#lookAhead(events, i)
      const offset = events.offsets[i]! as Offset
      if (offset < this.#nextOffset) {
        throw new Error(`partition ${this.partition}: offset ${offset} again, next is ${this.#nextOffset}`)
      }
      const eventTs = events.eventTs[i]! as EpochMillis
      if (events.kinds[i] === EventKind.control) {
        this.#pass(eventTs, events.appendedAt[i]! as EpochMillis, offset)
        continue
      }
      let session = none
      let outcome: Outcome
      if (events.kinds[i] === EventKind.failed) {
        outcome = Outcome.deadLettered
        this.#changes.deadLetters.push(keptRecord(events, i, events.failures.get(i)!, this.#watermark))
      } else if (eventTs > events.appendedAt[i]! + this.settings.futureMaxMs || eventTs < eventTsMin) {
        outcome = Outcome.rejected
        this.#changes.rejected.push(keptRecord(events, i, refusal(eventTs, events.appendedAt[i]!), this.#watermark))
      } else if (eventTs < this.seenFrom) {
        outcome = Outcome.late
        this.#changes.late.push(keptRecord(events, i, lateReason, this.#watermark))
      } else if (this.#seen.seen(this.#prints, i * printStride, eventTs, this.seenFrom)) {
        outcome = Outcome.duplicate
      } else {
        outcome = Outcome.accepted
        session = this.#accept(events, i, offset)
      }
      this.#count(outcome)
      this.#hash.update(offset, outcome)
      if (session !== none) this.#hash.updateSession(this.#sessions.words, this.#sessions.idPlace(session))
      this.#moveTo(offset + 1)
    }
    this.#expiry.sweep(this.seenFrom, this.#due)
    this.#sweepCold()
  }

  /** A control record: time goes on, at most as far as an event and the end of its session could be ahead. */
  #pass(watermark: number, appendedAt: EpochMillis, offset: Offset): void {
    const { futureMaxMs, gapMs, latenessMs } = this.settings
    const bounded = Math.min(watermark, appendedAt + futureMaxMs + gapMs + latenessMs)
    if (bounded > this.#watermark) this.#watermark = bounded
    this.#changes.controls.push({ offset, appendedAt, watermark: bounded })
    this.#hash.update(offset, controlMark)
    this.#moveTo(offset + 1)
  }

  #moveTo(offset: number): void {
    this.#nextOffset = offset as Offset
    if (offset % decisionHashEvery === 0) this.#changes.decisionHashes.push([this.#nextOffset, this.#hash.value])
  }

  /**
   * Evicts visitors until at most `visitorsMax` are left, as far as all they changed is durable: rather those who have been idle for
   * long, since the others will soon be back. They become cold: the next sight of them reads them back.
   * @param durable everything below it is in the warehouse
   */
  evict(visitorsMax: number, durable: Offset): void {
    this.#visitors.evict(visitorsMax, (visitor) => this.#idleSince(visitor, durable), (visitor) => {
      let from = -1
      for (let each = this.#visitors.session(visitor); each !== none; each = this.#sessions.older(each)) {
        from = this.#sessions.startedAt(each)
      }
      this.#chains.forget(visitor, this.reachableFrom)
      const newest = this.#visitors.session(visitor)
      if (newest !== none) {
        const endedAt = this.#sessions.endedAt(newest)
        this.cold.add(this.#visitors.hash(visitor) & positive, from, endedAt, this.reachableFrom)
      }
      this.#drop(visitor)
      this.#hasEvicted = true
    })
  }

  /** Since when a visitor has done nothing, in event time; Infinity while it must be held. */
  #idleSince(visitor: number, durable: Offset): number {
    const newest = this.#visitors.session(visitor)
    for (let each = newest; each !== none; each = this.#sessions.older(each)) {
      if (this.#sessions.version(each) > durable) return Infinity
    }
    return newest === none ? -Infinity : this.#sessions.endedAt(newest)
  }

  /**
   * Hashes the ids of the next records and touches the memory that each will need. These loads do not wait for each other, so they
   * overlap; one record after the other, each would cost its whole latency.
   */
  #lookAhead(events: EventBatch, from: number): void {
    const { count, places, view } = events
    const needed = count * printStride + 1
    if (this.#prints.length < needed) this.#prints = new Int32Array(needed)
    const prints = this.#prints
    const to = Math.min(count, from + lookAheadRecords)
    let lookedAt = 0
    for (let i = from; i < to; i++) {
      const at = i * placeStride
      const print = i * printStride
      const eventStart = places[at + Text.eventId]!
      const eventEnd = eventStart + places[at + Text.eventId + 1]!
      const visitorStart = places[at + Text.visitorId]!
      const visitorLength = places[at + Text.visitorId + 1]!
      const visitorEnd = visitorStart + visitorLength
      if (visitorStart === eventEnd + 1) hash(view, eventStart, visitorEnd - eventStart, prints, print)
      else {
        const { bytes } = events
        const visitorId = bytes.subarray(visitorStart, visitorEnd)
        this.#fingerprintText.ofBytes(visitorId, bytes.subarray(eventStart, eventEnd), prints, print)
      }
      const visitorHash = murmur2(view, visitorStart, visitorLength, partitionerSeed)
      prints[print + fingerprintWords] = visitorHash
      lookedAt ^= this.#seen.touch(prints[print]!) ^ this.#visitors.touch(visitorHash)
    }
    for (let i = from; i < to; i++) {
      const visitor = this.#find(events, i)
      if (visitor !== nobody) lookedAt ^= this.#sessions.touch(Math.max(0, this.#visitors.session(visitor)))
    }
    // Nobody reads it, but a load whose result goes nowhere might be left out.
    prints[count * printStride] = lookedAt
  }

  /** Counts an accepted event in; returns its session. */
  #accept(events: EventBatch, index: number, offset: Offset): number {
    const eventTs = events.eventTs[index]! as EpochMillis
    if (eventTs > this.#watermark) this.#watermark = eventTs
    const visitor = this.#visitor(events, index)
    const sessions = this.#sessions
    const { gapMs } = this.settings
    // The session that the event lands in: the last one that starts at or before event_ts + gap.
    let newer = none
    let session = this.#visitors.session(visitor)
    while (session !== none && sessions.startedAt(session) - gapMs > eventTs) {
      newer = session
      session = sessions.older(session)
    }
    const itemPlace = index * placeStride + Text.itemId
    const item = itemHash(events.view, events.places[itemPlace]!, events.places[itemPlace + 1]!)
    if (session !== none && eventTs <= sessions.endedAt(session) + gapMs) {
      sessions.add(session, events, index, offset, item)
      const before = sessions.older(session)
      if (before !== none && sessions.startedAt(session) <= sessions.endedAt(before) + gapMs) {
        session = this.#bridge(visitor, before, session, newer, offset)
      }
    } else {
      const opened = this.#open(visitor, events, index, offset)
      sessions.setOlder(opened, session)
      this.#chains.put(visitor, newer, opened)
      session = opened
      sessions.add(session, events, index, offset, item)
      this.#chains.forget(visitor, this.reachableFrom)
    }
    this.#changes.events.add(events, index, sessions.words, sessions.idPlace(session))
    if (events.kinds[index] === EventKind.click) this.#countClick(visitor, events, index, session, item)
    return session
  }

  #countClick(visitor: number, events: EventBatch, index: number, session: number, item: number): void {
    const eventTs = events.eventTs[index]! as EpochMillis
    const clicks = this.#clicks.note(visitor, eventTs, item, this.recentFrom)
    if (clicks === undefined) return
    const offset = events.offsets[index]! as Offset
    const appendedAt = events.appendedAt[index]! as EpochMillis
    const click = { eventTs, item, offset, appendedAt, sessionId: this.#sessions.id(session) }
    clicks.add(this.#rules, this.#visitors.id(visitor) as VisitorId, click, this.seenFrom, this.#touchFinding)
  }

  #open(visitor: number, events: EventBatch, index: number, offset: Offset): number {
    const eventTs = events.eventTs[index]! as EpochMillis
    const visitorId = this.#visitors.id(visitor) as VisitorId
    const id = sessionId(visitorId, events.text(index, Text.eventId) as EventId, eventTs)
    return this.#sessions.open(visitor, id, offset, eventTs)
  }

  /** Two sessions have become one: the id with the lower opening offset lives, every other id gets a tombstone. */
  #bridge(visitor: number, earlier: number, later: number, newer: number, offset: Offset): number {
    const sessions = this.#sessions
    const [survivor, other] = sessions.openedOffset(earlier) < sessions.openedOffset(later) ?
      [earlier, later] :
      [later, earlier]
    const gone = [sessions.id(other), ...sessions.absorbed(other)]
    const before = sessions.older(earlier)
    sessions.absorb(survivor, other, offset)
    sessions.setOlder(survivor, before)
    this.#chains.put(visitor, newer, survivor)
    for (const absorbedId of gone) {
      this.#changes.tombstones.push({
        absorbedId,
        mergedInto: sessions.id(survivor),
        visitorId: this.#visitors.id(visitor) as VisitorId,
        startedAt: sessions.startedAt(survivor) as EpochMillis,
        endedAt: sessions.endedAt(survivor) as EpochMillis,
        version: sessions.version(survivor)
      })
    }
    return survivor
  }

  /** Drops a visitor from memory, with its sessions. */
  #drop(visitor: number): void {
    this.#chains.release(visitor)
    this.#clicks.drop(visitor)
    this.#visitors.delete(visitor)
  }

  /** The visitor of an event, if memory holds it, or `nobody`. */
  #find(events: EventBatch, index: number): number {
    const at = index * placeStride + Text.visitorId
    return this.#visitors.find(this.#visitorHash(index), events.view, events.places[at]!, events.places[at + 1]!)
  }

  #visitor(events: EventBatch, index: number): number {
    const found = this.#find(events, index)
    if (found !== nobody) return found
    const at = index * placeStride + Text.visitorId
    return this.#newVisitor(this.#visitorHash(index), events.view, events.places[at]!, events.places[at + 1]!)
  }

  /** The visitor with this id, as text. */
  #look(id: VisitorId) {
    this.#id.set(id)
    const { length, view } = this.#id
    const idHash = murmur2(view, 0, length, partitionerSeed)
    return { found: this.#visitors.find(idHash, view, 0, length), idHash, length, view }
  }

  #visitorHash(index: number): number {
    return this.#prints[index * printStride + fingerprintWords]!
  }

  #newVisitor(idHash: number, view: DataView, start: number, length: number): number {
    const visitor = this.#visitors.add(idHash, view, start, length)
    this.#schedule(visitor, this.#watermark + this.#horizonMs)
    return visitor
  }

  /** Buckets are known by their lower 32 bits in the visitor's row. */
  #schedule(visitor: number, at: number): void {
    this.#visitors.setBucket(visitor, this.#expiry.schedule(visitor, at) | 0)
  }

  readonly #due = (visitor: number, bucket: number): void => {
    // The row may be another visitor's by now.
    if (!this.#visitors.isHeld(visitor) || this.#visitors.bucket(visitor) !== (bucket | 0)) return
    const newest = this.#visitors.session(visitor)
    const endedAt = newest === none ? -Infinity : this.#sessions.endedAt(newest)
    if (endedAt < this.reachableFrom) this.#drop(visitor)
    else this.#schedule(visitor, endedAt + this.#horizonMs)
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
}

/** So many that what they touch stays in the cache until they are stepped. */
const lookAheadRecords = 128

const isNoEvent = (kind: number): boolean => kind === EventKind.failed || kind === EventKind.control

/** Words per record in `#prints`: the fingerprint, then a hash of the visitor. */
const printStride = fingerprintWords + 1

/** A visitor's hash is that of Kafka's partitioner, without its highest bit: ClickHouse's kafkaMurmurHash. */
const partitionerSeed = 0x9747b28c
const positive = 0x7fffffff
