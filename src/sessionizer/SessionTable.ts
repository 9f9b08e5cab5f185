/**
 * The sessions in memory: aggregates of a visitor's accepted events, never the events themselves. A session only grows: events are
 * added, sessions are absorbed, nothing is ever taken out.
 *
 * Rows of two cache lines in typed memory, for the same reasons as in `VisitorTable`. A session is named by its row's number, which
 * holds until it is released and what changed of it has been taken. The sessions of a visitor are a chain, newest first.
 */
import type { EventBatch } from "../domain/EventBatch.ts"
import { EventKind, placeStride, Text } from "../domain/EventBatch.ts"
import type { EpochMillis, Offset, SessionId } from "../domain/Identifiers.ts"
import type { Price } from "../domain/Money.ts"
import { amountOf } from "../domain/Money.ts"
import { itemHashOf, noItem } from "./ItemHash.ts"
import { ItemSets } from "./ItemSets.ts"
import type { SessionParts } from "./SessionParts.ts"
import type { SessionRows } from "./SessionRows.ts"
import { noText, TextTable } from "./TextTable.ts"
import type { VisitorTable } from "./VisitorTable.ts"

const rowBytes = 128
const rowDoubles = rowBytes / 8
const rowWords = rowBytes / 4
/** Places within a row, in doubles. */
const startedAtAt = 0
const endedAtAt = 1
const openedOffsetAt = 2
const versionAt = 3
const openedAtAt = 4
/** Places within a row, in words, behind them. */
const idAt = 10
const eventsAt = 14
const clicksAt = 15
const cartsAt = 16
const purchasesAt = 17
const flagsAt = 18
const visitorAt = 19
const olderAt = 20
/** Nobody reads it: it takes the result of loads that might else be left out. */
const unusedAt = 21
/** Items have the rest of the row. */
const itemsAt = 22

/** Places within a session's texts. */
const exitUrlAt = 0
const entryUrlAt = 1
const referrerAt = 2
const userAgentAt = 3
const textWords = 4

const free = 0
const held = 1
/** A change of it waits to be taken. */
const dirty = 2
/** Another session has absorbed it: from then on it has a tombstone and no row. */
const merged = 4
/** Released, and kept only until its change is taken. */
const released = 8

const capacityMin = 64
/** No session. */
export const none = -1

/** So many that what they touch stays in the cache until they are copied. */
const lookAheadSessions = 64

interface Money {
  revenue: bigint
  byCurrency: Map<string, bigint> | undefined
}

export class SessionTable {
  #doubles = new Float64Array(capacityMin * rowDoubles)
  #words = new Int32Array(this.#doubles.buffer)
  #rowsUsed = 0
  readonly #free: Array<number> = []
  readonly #changed: Array<number> = []
  readonly #visitors: VisitorTable
  readonly #reportingCurrency: string
  /** Of each session `textWords` numbers of texts. */
  #texts = new Int32Array(capacityMin * textWords)
  readonly #textTable: TextTable
  /** Of the sessions with purchases. */
  readonly #money = new Map<number, Money>()
  /** Every id that was merged into a session, directly or through others. */
  readonly #absorbed = new Map<number, ReadonlyArray<SessionId>>()
  readonly #items = new ItemSets()

  /** @param hashSeed of the table of texts */
  constructor(visitors: VisitorTable, reportingCurrency: string, hashSeed: number) {
    this.#textTable = new TextTable(hashSeed)
    this.#visitors = visitors
    this.#reportingCurrency = reportingCurrency
  }

  /** Unlike texts that sessions refer to. */
  get textsHeld(): number {
    return this.#textTable.size
  }

  /** Loads what an event will need. */
  touch(session: number): number {
    return this.#words[session * rowWords]! ^ this.#words[session * rowWords + flagsAt]! ^
      this.#texts[session * textWords]!
  }

  startedAt(session: number): number {
    return this.#doubles[session * rowDoubles + startedAtAt]!
  }

  endedAt(session: number): number {
    return this.#doubles[session * rowDoubles + endedAtAt]!
  }

  openedOffset(session: number): number {
    return this.#doubles[session * rowDoubles + openedOffsetAt]!
  }

  /** Offset of the last record that changed it, plus one. */
  version(session: number): number {
    return this.#doubles[session * rowDoubles + versionAt]!
  }

  /** The visitor's session before, or `none`. */
  older(session: number): number {
    return this.#words[session * rowWords + olderAt]!
  }

  setOlder(session: number, older: number): void {
    this.#words[session * rowWords + olderAt] = older
  }

  /** Where the four words of the id lie in `words`. */
  idPlace(session: number): number {
    return session * rowWords + idAt
  }

  /** Memory in which the ids lie; valid until the next session is opened. */
  get words(): Int32Array {
    return this.#words
  }

  id(session: number): SessionId {
    const at = (session * rowWords + idAt) * 4
    return Buffer.from(this.#words.buffer, at, 16).toString("hex") as SessionId
  }

  absorbed(session: number): ReadonlyArray<SessionId> {
    return this.#absorbed.get(session) ?? noIds
  }

  /** A session without events. `id` is that of its opening event, whose offset and event_ts these are. */
  open(visitor: number, id: SessionId, openedOffset: Offset, openedAt: EpochMillis): number {
    const session = this.#free.pop() ?? this.#rowsUsed++
    if ((session + 1) * rowDoubles > this.#doubles.length) this.#grow()
    const at = session * rowDoubles
    const word = session * rowWords
    this.#doubles[at + startedAtAt] = openedAt
    this.#doubles[at + endedAtAt] = openedAt
    this.#doubles[at + openedOffsetAt] = openedOffset
    this.#doubles[at + versionAt] = openedOffset + 1
    this.#doubles[at + openedAtAt] = openedAt
    Buffer.from(this.#words.buffer, (word + idAt) * 4, 16).write(id, "hex")
    this.#words.fill(0, word + eventsAt, word + rowWords)
    this.#words[word + flagsAt] = held
    this.#words[word + visitorAt] = visitor
    this.#words[word + olderAt] = none
    return session
  }

  /**
   * Counts an event in. Records come in offset order, so among equal times this one is the last.
   * @param item the hash of its item, or `noItem`
   */
  add(session: number, events: EventBatch, index: number, offset: Offset, item: number): void {
    const at = session * rowDoubles
    const word = session * rowWords
    const eventTs = events.eventTs[index]!
    if (this.#words[word + eventsAt] === 0 || eventTs < this.#doubles[at + startedAtAt]!) {
      this.#doubles[at + startedAtAt] = eventTs
      this.#setText(session, entryUrlAt, events, index, Text.url)
      this.#setText(session, referrerAt, events, index, Text.referrer)
      this.#setText(session, userAgentAt, events, index, Text.userAgent)
    }
    if (eventTs >= this.#doubles[at + endedAtAt]!) {
      this.#doubles[at + endedAtAt] = eventTs
      this.#setText(session, exitUrlAt, events, index, Text.url)
    }
    this.#words[word + eventsAt]!++
    this.#doubles[at + versionAt] = offset + 1
    const kind = events.kinds[index]
    if (kind === EventKind.click) this.#words[word + clicksAt]!++
    else if (kind === EventKind.purchase) this.#addPurchase(session, events, index)
    else if (kind === EventKind.cart) this.#words[word + cartsAt]!++
    if (item !== noItem) this.#items.add(session, this.#words, word + itemsAt, item)
    this.#change(session)
  }

  /**
   * Takes over everything that another session of the visitor counts, as of the record at `offset`; they lie apart, so no times
   * are equal. The other one is released.
   */
  absorb(session: number, other: number, offset: Offset): void {
    const at = session * rowDoubles
    const otherAt = other * rowDoubles
    if (this.#doubles[otherAt + startedAtAt]! < this.#doubles[at + startedAtAt]!) {
      this.#doubles[at + startedAtAt] = this.#doubles[otherAt + startedAtAt]!
      for (const text of [entryUrlAt, referrerAt, userAgentAt]) this.#copyText(other, session, text)
    }
    if (this.#doubles[otherAt + endedAtAt]! > this.#doubles[at + endedAtAt]!) {
      this.#doubles[at + endedAtAt] = this.#doubles[otherAt + endedAtAt]!
      this.#copyText(other, session, exitUrlAt)
    }
    this.#doubles[at + versionAt] = offset + 1
    for (const count of [eventsAt, clicksAt, cartsAt, purchasesAt]) {
      this.#words[session * rowWords + count]! += this.#words[other * rowWords + count]!
    }
    const money = this.#money.get(other)
    if (money !== undefined) this.#addMoney(session, money.revenue, money.byCurrency ?? noAmounts)
    this.#items.addAll(session, other, this.#words, session * rowWords + itemsAt, other * rowWords + itemsAt)
    this.#absorbed.set(session, [...this.absorbed(session), this.id(other), ...this.absorbed(other)])
    this.#words[other * rowWords + flagsAt]! |= merged
    this.release(other)
    this.#change(session)
  }

  /**
   * A session from its groups of events by session_id at acceptance (at least one group). Groups may overlap in time, so first
   * and last events are found by (event_ts, offset). The id is that of the lowest offset; the other ids are what it absorbed.
   */
  restore(visitor: number, groups: ReadonlyArray<SessionParts>): number {
    const opening = groups.reduce((a, b) => b.openedOffset < a.openedOffset ? b : a)
    const first = groups.reduce((a, b) => comesBefore(b.startedAt, b.firstOffset, a.startedAt, a.firstOffset) ? b : a)
    const last = groups.reduce((a, b) => comesBefore(a.endedAt, a.lastOffset, b.endedAt, b.lastOffset) ? b : a)
    const session = this.open(visitor, opening.sessionId, opening.openedOffset, openedAtOf(opening.sessionId))
    const at = session * rowDoubles
    const word = session * rowWords
    this.#doubles[at + startedAtAt] = first.startedAt
    this.#doubles[at + endedAtAt] = last.endedAt
    const texts = session * textWords
    this.#texts[texts + entryUrlAt] = this.#textTable.holdText(first.entryUrl)
    this.#texts[texts + exitUrlAt] = this.#textTable.holdText(last.exitUrl)
    this.#texts[texts + referrerAt] = this.#textTable.holdText(first.firstReferrer)
    this.#texts[texts + userAgentAt] = this.#textTable.holdText(first.userAgent)
    for (const group of groups) {
      this.#words[word + eventsAt]! += group.events
      this.#words[word + clicksAt]! += group.clicks
      this.#words[word + cartsAt]! += group.carts
      this.#words[word + purchasesAt]! += group.purchases
      if (group.purchases > 0) this.#addMoney(session, group.revenue, group.revenueByCurrency)
      for (const item of group.items) this.#items.add(session, this.#words, word + itemsAt, itemHashOf(item))
      if (group.lastChangedOffset + 1 > this.#doubles[at + versionAt]!) {
        this.#doubles[at + versionAt] = group.lastChangedOffset + 1
      }
    }
    if (groups.length > 1) {
      this.#absorbed.set(session, groups.filter((group) => group !== opening).map((group) => group.sessionId))
    }
    return session
  }

  /** Drops a session from memory, once its change, if there is one, has been taken. */
  release(session: number): void {
    const word = session * rowWords + flagsAt
    if ((this.#words[word]! & dirty) !== 0) this.#words[word]! |= released
    else this.#forget(session)
  }

  /** Hands over the state of every living session that changed since the last call. */
  takeChanged(rows: SessionRows): void {
    const changed = this.#changed
    for (let i = 0; i < changed.length; i++) {
      if (i % lookAheadSessions === 0) this.#lookAhead(i)
      const session = changed[i]!
      const word = session * rowWords + flagsAt
      const flags = this.#words[word]!
      if ((flags & merged) === 0) this.#copy(session, rows)
      this.#words[word] = flags & ~dirty
      if ((flags & released) !== 0) this.#forget(session)
    }
    this.#changed.length = 0
  }

  /** As in `PartitionCore`: what the next rows will need is loaded side by side. */
  #lookAhead(from: number): void {
    const to = Math.min(this.#changed.length, from + lookAheadSessions)
    let lookedAt = 0
    for (let i = from; i < to; i++) {
      const session = this.#changed[i]!
      lookedAt ^= this.touch(session) ^ this.#visitors.touchRow(this.#words[session * rowWords + visitorAt]!)
    }
    this.#words[unusedAt] = lookedAt
  }

  #copy(session: number, rows: SessionRows): void {
    const at = session * rowDoubles
    const word = session * rowWords
    const words = this.#words
    rows.sessionId.appendHex(words, word + idAt)
    this.#visitors.appendId(words[word + visitorAt]!, rows.visitorId)
    rows.startedAt.append(this.#doubles[at + startedAtAt]!)
    rows.endedAt.append(this.#doubles[at + endedAtAt]!)
    rows.openedAt.append(this.#doubles[at + openedAtAt]!)
    // Counted in words that have a sign; the columns have none.
    rows.events.append(words[word + eventsAt]! >>> 0)
    rows.clicks.append(words[word + clicksAt]! >>> 0)
    rows.carts.append(words[word + cartsAt]! >>> 0)
    rows.purchases.append(words[word + purchasesAt]! >>> 0)
    rows.uniqueItems.append(this.#items.size(session, words, word + itemsAt))
    const money = words[word + purchasesAt] === 0 ? undefined : this.#money.get(session)
    rows.revenue.push(money?.revenue ?? 0n)
    rows.revenueByCurrency.push(sorted(money?.byCurrency))
    const texts = session * textWords
    this.#textTable.appendTo(rows.entryUrl, this.#texts[texts + entryUrlAt]!)
    this.#textTable.appendTo(rows.exitUrl, this.#texts[texts + exitUrlAt]!)
    this.#textTable.appendTo(rows.firstReferrer, this.#texts[texts + referrerAt]!)
    this.#textTable.appendTo(rows.userAgent, this.#texts[texts + userAgentAt]!)
    rows.version.append(this.#doubles[at + versionAt]!)
  }

  #change(session: number): void {
    const word = session * rowWords + flagsAt
    if ((this.#words[word]! & dirty) !== 0) return
    this.#words[word]! |= dirty
    this.#changed.push(session)
  }

  #forget(session: number): void {
    this.#words[session * rowWords + flagsAt] = free
    for (let at = session * textWords; at < (session + 1) * textWords; at++) {
      this.#textTable.release(this.#texts[at]!)
      this.#texts[at] = noText
    }
    this.#money.delete(session)
    this.#absorbed.delete(session)
    this.#items.clear(session, this.#words, session * rowWords + itemsAt)
    this.#free.push(session)
  }

  #addPurchase(session: number, events: EventBatch, index: number): void {
    this.#words[session * rowWords + purchasesAt]!++
    const amount = amountOf(events.price[index]! as Price, events.quantity[index]!)
    const currency = events.text(index, Text.currency)
    if (currency === "" || currency === this.#reportingCurrency) this.#addMoney(session, amount, noAmounts)
    else this.#addMoney(session, 0n, new Map([[currency, amount]]))
  }

  #addMoney(session: number, revenue: bigint, byCurrency: ReadonlyMap<string, bigint>): void {
    let money = this.#money.get(session)
    if (money === undefined) this.#money.set(session, money = { revenue: 0n, byCurrency: undefined })
    money.revenue += revenue
    for (const [currency, amount] of byCurrency) {
      money.byCurrency ??= new Map()
      money.byCurrency.set(currency, (money.byCurrency.get(currency) ?? 0n) + amount)
    }
  }

  #grow(): void {
    const larger = new Float64Array(this.#doubles.length * 2)
    larger.set(this.#doubles)
    this.#doubles = larger
    this.#words = new Int32Array(larger.buffer)
    const texts = new Int32Array(this.#texts.length * 2)
    texts.set(this.#texts)
    this.#texts = texts
  }

  #setText(session: number, which: number, events: EventBatch, index: number, text: Text): void {
    const place = index * placeStride + text
    const held = this.#textTable.hold(events.view, events.places[place]!, events.places[place + 1]!)
    this.#replaceText(session * textWords + which, held)
  }

  #copyText(from: number, to: number, which: number): void {
    this.#replaceText(to * textWords + which, this.#textTable.holdAgain(this.#texts[from * textWords + which]!))
  }

  #replaceText(at: number, held: number): void {
    this.#textTable.release(this.#texts[at]!)
    this.#texts[at] = held
  }
}

const noIds: ReadonlyArray<SessionId> = []
const noAmounts: ReadonlyMap<string, bigint> = new Map()

/** A copy, in the order of the codes. */
const sorted = (amounts: ReadonlyMap<string, bigint> | undefined): ReadonlyMap<string, bigint> =>
  amounts === undefined ? noAmounts : new Map([...amounts].sort(([a], [b]) => a < b ? -1 : 1))

/** The time of a session's opening event: the first twelve hex digits of its id. */
const openedAtOf = (id: SessionId): EpochMillis => Number.parseInt(id.slice(0, 12), 16) as EpochMillis

const comesBefore = (ts: EpochMillis, offset: Offset, otherTs: EpochMillis, otherOffset: Offset): boolean =>
  ts < otherTs || (ts === otherTs && offset < otherOffset)
