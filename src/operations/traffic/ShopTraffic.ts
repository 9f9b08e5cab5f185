/**
 * A shop's traffic from a seed: visitors in sessions (view, click, add_to_cart, purchase) on items of unlike popularity, four
 * bots, duplicates, late and unordered events. Pure: no clock, no I/O; the same options give the same events, in the order in
 * which they are sent. One event is drawn in about a microsecond.
 *
 * Time is the event's: each step moves the clock by 1 / `eventsPerSecond` on average and lets one of the active visitors act,
 * so a visitor thinks for `visitors / eventsPerSecond` s on average between two events.
 *
 * @example
 * const traffic = new ShopTraffic({ seed: 1, startMs: Date.UTC(2026, 0, 1), eventsPerSecond: 15_000 })
 * const history = traffic.next(1_000_000) // for benches
 * const live = traffic.until(nowMs, { countMax: 10_000 }) // for pacing by a clock
 */
import type { ClickEvent } from "../../domain/ClickEvent.ts"
import type { EpochMillis, VisitorId } from "../../domain/Identifiers.ts"
import { epochMillis } from "../../domain/Identifiers.ts"
import type { Price } from "../../domain/Money.ts"
import { defaultCoreSettings } from "../../domain/Settings.ts"
import type { NewRecord } from "../../log/EventLog.ts"
import { botItemsCount, Bots, botsCount } from "./Bots.ts"
import type { Catalog } from "./Catalog.ts"
import { botUserAgent, homeUrl, makeCatalog } from "./Catalog.ts"
import { corrupt } from "./Corruption.ts"
import { DelayQueue } from "./DelayQueue.ts"
import type { Disorder } from "./Disorder.ts"
import { messyDisorder, usualDisorder } from "./Disorder.ts"
import { drawEventId } from "./EventIds.ts"
import { Random } from "./Random.ts"
import { ended, Visitors } from "./Visitors.ts"

export interface TrafficOptions {
  readonly seed: number
  /** Time of the first event, epoch ms. */
  readonly startMs: number
  /** Events sent per second of event time, all kinds together. */
  readonly eventsPerSecond: number
  /** Visitors in the shop at any time; default 20 s of thinking for each: 20 * `eventsPerSecond`. */
  readonly visitors?: number
  /** "usual" (default) is what a healthy shop sees; "messy" is for crash tests and needs hours of event time, not many events. */
  readonly mode?: "usual" | "messy"
  /** The session gap that messy traffic plays with, ms; default that of the core. */
  readonly gapMs?: number
}

const noProperties: Readonly<Record<string, string>> = {}
const lateMs = 11 * 60_000
/** Event times that no append time allows: 2100-01-01 and 1970-01-01T00:00:15Z. */
const farFutureMs = 4_102_444_800_000
const longPastMs = 15_000

export class ShopTraffic {
  readonly #random: Random
  readonly #corruption: Random
  readonly #catalog: Catalog
  readonly #visitors: Visitors
  readonly #bots: Bots
  readonly #disorder: Disorder
  readonly #stepMs: number
  readonly #gapMs: number
  /** What was decided earlier and is sent when its time comes. */
  readonly #delayed = new DelayQueue<ClickEvent>()
  #nextAt: number

  constructor({ seed, startMs, eventsPerSecond, visitors, mode = "usual", gapMs }: TrafficOptions) {
    if (!(eventsPerSecond > 0)) throw new RangeError(`eventsPerSecond must be > 0, not ${eventsPerSecond}`)
    this.#random = new Random(seed)
    this.#corruption = new Random(seed + 1)
    this.#catalog = makeCatalog(this.#random)
    this.#gapMs = gapMs ?? defaultCoreSettings.gapMs
    this.#visitors = new Visitors({
      random: this.#random,
      count: visitors ?? Math.max(20, Math.ceil(eventsPerSecond * 20)),
      awayMs: this.#gapMs + 60_000
    })
    this.#bots = new Bots({ startMs, eventsPerSecond })
    this.#disorder = mode === "messy" ? messyDisorder : usualDisorder
    this.#stepMs = 1000 / eventsPerSecond
    this.#nextAt = startMs
  }

  /** When the next event is sent, epoch ms with a fraction. */
  get nextAt(): number {
    return this.#nextAt
  }

  /** The next `count` events, in the order in which they are sent. */
  next(count: number): Array<ClickEvent> {
    const events = Array.from<ClickEvent>({ length: count })
    for (let i = 0; i < count; i++) events[i] = this.#step()
    return events
  }

  /** The events sent up to `timeMs`, at most `countMax` of them: call again while it gives `countMax`. */
  until(timeMs: number, { countMax }: { countMax: number }): Array<ClickEvent> {
    const events: Array<ClickEvent> = []
    while (this.#nextAt <= timeMs && events.length < countMax) events.push(this.#step())
    return events
  }

  /** `next` as records of the log; in messy traffic some values are spoilt so that they do not decode. */
  nextRecords(count: number, encode: (event: ClickEvent) => Uint8Array): Array<NewRecord> {
    return this.next(count).map((event) => {
      const value = encode(event)
      const spoilt = this.#disorder.undecodableShare > 0 &&
        this.#corruption.fraction() < this.#disorder.undecodableShare
      return { key: event.visitorId, value: spoilt ? corrupt(value, this.#corruption) : value }
    })
  }

  #step(): ClickEvent {
    const now = this.#nextAt
    this.#nextAt = now + this.#stepMs * 2 * this.#random.fraction()
    if (this.#delayed.nextAt <= now) return this.#delayed.pop()
    const bot = this.#bots.draw(now, this.#random)
    return this.#disturb(bot < 0 ? this.#person(now) : this.#bot(bot, now), now)
  }

  #person(now: number): ClickEvent {
    const visitors = this.#visitors
    const slot = visitors.draw()
    const type = visitors.act(slot, this.#catalog)
    const item = visitors.item(slot)
    const priced = type === "add_to_cart" || type === "purchase"
    const event: ClickEvent = {
      eventId: drawEventId(this.#random),
      visitorId: visitors.id(slot),
      eventTs: epochMillis(Math.floor(now)),
      eventType: type,
      itemId: item < 0 ? "" : this.#catalog.ids[item]!,
      category: item < 0 ? "" : this.#catalog.categories[item]!,
      price: priced ? this.#catalog.prices[item]! : 0 as Price,
      currency: priced ? visitors.currency(slot) : "",
      quantity: priced ? visitors.quantity(slot) : 1,
      url: item < 0 ? homeUrl : this.#catalog.urls[item]!,
      referrer: visitors.referrer(slot),
      userAgent: visitors.userAgent(slot),
      properties: noProperties,
      truncated: false
    }
    if (visitors.stage(slot) === ended) {
      if (this.#disorder.bridgeShare > 0 && this.#random.fraction() < this.#disorder.bridgeShare) this.#bridge(event)
      else visitors.rememberLeaving(slot, now)
      visitors.replace(slot, now)
    }
    return event
  }

  #bot(bot: number, now: number): ClickEvent {
    const item = botsCount + this.#random.below(botItemsCount)
    return {
      eventId: drawEventId(this.#random),
      visitorId: botIds[bot]!,
      eventTs: epochMillis(Math.floor(now)),
      eventType: this.#random.fraction() < 0.5 ? "view" : "click",
      itemId: this.#catalog.ids[item]!,
      category: this.#catalog.categories[item]!,
      price: 0 as Price,
      currency: "",
      quantity: 1,
      url: this.#catalog.urls[item]!,
      referrer: "",
      userAgent: botUserAgent,
      properties: noProperties,
      truncated: false
    }
  }

  /** One draw decides whether and how this event strays. */
  #disturb(event: ClickEvent, now: number): ClickEvent {
    const disorder = this.#disorder
    const random = this.#random
    let draw = random.fraction()
    if ((draw -= disorder.duplicateShare) < 0) {
      this.#repeat(event, now)
      return event
    }
    if ((draw -= disorder.lateShare) < 0) return at(event, now - lateMs - random.below(60_000))
    if ((draw -= disorder.outOfOrderShare) < 0) return at(event, now - random.below(disorder.outOfOrderMaxMs))
    if ((draw -= disorder.invalidShare) < 0) {
      return random.fraction() < 0.5 ?
        { ...event, eventType: "Not A Type" } :
        { ...event, currency: "euro" }
    }
    if (draw - disorder.impossibleTimeShare < 0) return at(event, random.fraction() < 0.5 ? farFutureMs : longPastMs)
    return event
  }

  #repeat(event: ClickEvent, now: number): void {
    const random = this.#random
    const kind = random.fraction()
    if (kind < this.#disorder.oddDuplicateShare) {
      this.#delayed.push(now + lateMs + random.below(60_000), event)
    } else if (kind < 2 * this.#disorder.oddDuplicateShare) {
      const later = now + random.between(60_000, 25 * 60_000)
      this.#delayed.push(later, at(event, later))
    } else this.#delayed.push(now + random.between(50, 5_000), event)
  }

  /**
   * The visitor returns just inside, exactly at, or just outside the gap after `last`, and an event from before that follows
   * some seconds later: within the gap of both ends, and not yet late.
   */
  #bridge(last: ClickEvent): void {
    const random = this.#random
    const kind = random.below(4)
    const beyond = kind === 0 ? 0 : kind === 1 ? 1 : random.below(5 * 60_000)
    const before = random.below(3) === 0 ? 0 : random.below(3 * 60_000)
    const back = last.eventTs + this.#gapMs + beyond
    const between = last.eventTs + this.#gapMs - before
    const visit = { ...last, eventType: "view", price: 0 as Price, currency: "", quantity: 1 }
    this.#delayed.push(back, at({ ...visit, eventId: drawEventId(random) }, back))
    this.#delayed.push(back + random.below(30_000), at({ ...visit, eventId: drawEventId(random) }, between))
  }
}

const botIds = Array.from({ length: botsCount }, (_, bot) => `bot-${bot + 1}` as VisitorId)

const at = (event: ClickEvent, timeMs: number): ClickEvent => ({
  ...event,
  eventTs: Math.floor(timeMs) as EpochMillis
})
