import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { ClickEvent } from "../../../src/domain/ClickEvent.ts"
import { isClick, violation } from "../../../src/domain/ClickEvent.ts"
import { defaultCoreSettings } from "../../../src/domain/Settings.ts"
import { botItemsCount, botsCount } from "../../../src/operations/traffic/Bots.ts"
import { ShopTraffic } from "../../../src/operations/traffic/ShopTraffic.ts"

const startMs = Date.UTC(2026, 0, 1)
const isBot = (event: ClickEvent) => event.visitorId.startsWith("bot-")
const encode = (event: ClickEvent) => Buffer.from(JSON.stringify(event))

describe("ShopTraffic", () => {
  it("gives the same events for the same options, however they are asked for", () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer(),
          eventsPerSecond: fc.integer({ min: 1, max: 20_000 }),
          visitors: fc.integer({ min: 1, max: 500 }),
          mode: fc.constantFrom("usual" as const, "messy" as const)
        }),
        fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 10 }),
        (options, counts) => {
          const inPieces = new ShopTraffic({ ...options, startMs })
          const pieces = counts.flatMap((count) => inPieces.next(count))
          expect(new ShopTraffic({ ...options, startMs }).next(pieces.length)).toEqual(pieces)
        }
      ),
      { numRuns: 100 }
    )
  })

  it("gives other events for another seed, and no event id twice but for duplicates", () => {
    const one = new ShopTraffic({ seed: 1, startMs, eventsPerSecond: 1000 }).next(20_000)
    const other = new ShopTraffic({ seed: 2, startMs, eventsPerSecond: 1000 }).next(20_000)
    const ids = new Set(one.map((event) => event.eventId))
    expect(other.every((event) => !ids.has(event.eventId))).toBe(true)
    expect(
      one.every((event) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(event.eventId))
    )
      .toBe(true)
    const first = new Map<string, ClickEvent>()
    for (const event of one) {
      const earlier = first.get(event.eventId)
      if (earlier === undefined) first.set(event.eventId, event)
      else expect(event).toEqual(earlier)
    }
  })

  it("holds its rate, its shares and the order of a healthy shop", () => {
    const eventsPerSecond = 5_000
    const count = 500_000
    const traffic = new ShopTraffic({ seed: 7, startMs, eventsPerSecond })
    const events = traffic.next(count)
    expect((traffic.nextAt - startMs) / 1000).toBeCloseTo(count / eventsPerSecond, 0)
    expect(events.filter((event) => violation(event) !== undefined)).toEqual([])
    expect(share(events, isBot)).toBeCloseTo(0.1, 2)
    const { behind, late } = disorder(events)
    expect(late / count).toBeGreaterThan(0.0008)
    expect(late / count).toBeLessThan(0.0012)
    expect(behind / count).toBeGreaterThan(0.009)
    expect(behind / count).toBeLessThan(0.014)
    const duplicates = count - new Set(events.map((event) => event.eventId)).size
    expect(duplicates / count).toBeGreaterThan(0.0008)
    expect(duplicates / count).toBeLessThan(0.0012)
  })

  it("leads people from view over click and cart to purchase", () => {
    const events = new ShopTraffic({ seed: 3, startMs, eventsPerSecond: 2_000 }).next(300_000).filter((event) =>
      !isBot(event)
    )
    const count = (type: string) => events.filter((event) => event.eventType === type).length
    expect(count("view")).toBeGreaterThan(count("click"))
    expect(count("click")).toBeGreaterThan(count("add_to_cart"))
    expect(count("add_to_cart")).toBeGreaterThan(count("purchase"))
    expect(count("purchase")).toBeGreaterThan(events.length * 0.01)
    expect(
      events.filter((event) => event.eventType === "purchase").every((event) =>
        event.price > 0 && event.quantity > 0 && event.currency !== "" && event.itemId !== ""
      )
    ).toBe(true)
    const byItem = new Map<string, number>()
    for (const event of events) byItem.set(event.itemId, (byItem.get(event.itemId) ?? 0) + 1)
    byItem.delete("")
    const popular = [...byItem.values()].sort((one, other) => other - one)
    expect(popular[0]! / popular[9]!).toBeGreaterThan(7)
    expect(popular[0]! / popular[9]!).toBeLessThan(13)
  })

  it.each([15, 20, 50, 100, 200, 500, 2_000])(
    "lets all four bots break both rules within five minutes at %i events/s, with a tenth of the events",
    (eventsPerSecond) => {
      const events = new ShopTraffic({ seed: 11, startMs: startMs + 34_567, eventsPerSecond })
        .until(startMs + 334_567, { countMax: 2_000_000 })
      expect(share(events, isBot)).toBeGreaterThan(0.085)
      expect(share(events, isBot)).toBeLessThan(0.115)
      const bots = new Map<string, Array<ClickEvent>>()
      for (const event of events) {
        if (isBot(event)) bots.set(event.visitorId, bots.get(event.visitorId) ?? [])
        bots.get(event.visitorId)?.push(event)
      }
      expect(bots.size).toBe(botsCount)
      for (const clicks of bots.values()) {
        expect(clicks.every((event) => isClick(event.eventType))).toBe(true)
        expect(new Set(clicks.map((event) => event.itemId)).size).toBe(botItemsCount)
        expect(busiest(clicks, defaultCoreSettings.highFrequencyWindowMs)).toBeGreaterThan(
          defaultCoreSettings.highFrequencyClicks
        )
        expect(busiest(clicks, defaultCoreSettings.botLikeWindowMs)).toBeGreaterThan(defaultCoreSettings.botLikeClicks)
      }
    }
  )

  it("keeps as many visitors active as it is told, and lets some return after a gap", () => {
    const visitors = 1_000
    const events = new ShopTraffic({ seed: 5, startMs, eventsPerSecond: 50, visitors }).next(200_000)
    const people = new Set(events.slice(0, 20_000).filter((event) => !isBot(event)).map((event) => event.visitorId))
    expect(people.size).toBeGreaterThan(visitors)
    const lastSeen = new Map<string, number>()
    let returned = 0
    for (const event of events) {
      const before = lastSeen.get(event.visitorId)
      if (before !== undefined && event.eventTs - before > defaultCoreSettings.gapMs) returned++
      lastSeen.set(event.visitorId, event.eventTs)
    }
    expect(returned).toBeGreaterThan(100)
  })

  it("gives the events up to a time, no more, and paces itself by that", () => {
    const traffic = new ShopTraffic({ seed: 9, startMs, eventsPerSecond: 1000 })
    const events = [1, 2, 3, 4, 5].flatMap((second) => traffic.until(startMs + second * 1000, { countMax: 10_000 }))
    expect(events.length).toBeGreaterThan(4_800)
    expect(events.length).toBeLessThan(5_200)
    expect(events.every((event) => event.eventTs <= startMs + 5_000)).toBe(true)
    expect(traffic.until(startMs + 60_000, { countMax: 10 })).toHaveLength(10)
  })

  it("makes a mess on request: every way to go wrong, in the shares it names", () => {
    const count = 100_000
    const options = { seed: 13, startMs, eventsPerSecond: 25, mode: "messy" } as const
    const events = new ShopTraffic(options).next(count)
    const records = new ShopTraffic(options).nextRecords(count, encode)
    const spoilt = records.filter((record, i) => Buffer.compare(record.value, encode(events[i]!)) !== 0).length
    expect(spoilt / count).toBeGreaterThan(0.0006)
    expect(spoilt / count).toBeLessThan(0.0014)
    const again = new ShopTraffic(options).nextRecords(count, encode)
    expect(again.every((record, i) => Buffer.compare(record.value, records[i]!.value) === 0)).toBe(true)
    const broken = share(events, (event) => violation(event) !== undefined)
    expect(broken).toBeGreaterThan(0.0006)
    expect(broken).toBeLessThan(0.0014)
    expect(events.some((event) => event.eventTs > Date.UTC(2099, 0, 1))).toBe(true)
    expect(events.some((event) => event.eventTs < Date.UTC(2000, 0, 1))).toBe(true)
    const possible = events.filter((event) => event.eventTs > startMs - 3_600_000 && event.eventTs < startMs * 2)
    const { behind, late } = disorder(possible)
    expect(late / count).toBeGreaterThan(0.009)
    expect(behind / count).toBeGreaterThan(0.05)
    expect(bridges(possible, defaultCoreSettings.gapMs)).toBeGreaterThan(500)
  })
})

const share = (events: ReadonlyArray<ClickEvent>, test: (event: ClickEvent) => boolean) =>
  events.filter((event) => test(event)).length / events.length

/** Events behind the greatest time so far, and those of them behind it by more than the allowed lateness. */
const disorder = (events: ReadonlyArray<ClickEvent>) => {
  let newest = 0
  let behind = 0
  let late = 0
  for (const { eventTs } of events) {
    if (eventTs < newest) behind++
    if (eventTs < newest - defaultCoreSettings.latenessMs) late++
    newest = Math.max(newest, eventTs)
  }
  return { behind, late }
}

/** Most events in one window aligned to the epoch. */
const busiest = (events: ReadonlyArray<ClickEvent>, windowMs: number) => {
  const counts = new Map<number, number>()
  for (const { eventTs } of events) {
    const window = Math.floor(eventTs / windowMs)
    counts.set(window, (counts.get(window) ?? 0) + 1)
  }
  return Math.max(...counts.values())
}

/** Events that come after both their neighbours in time, which without them lie more than a gap apart. */
const bridges = (events: ReadonlyArray<ClickEvent>, gapMs: number) => {
  const seen = new Map<string, Array<number>>()
  let count = 0
  for (const { eventTs, visitorId } of events) {
    const times = seen.get(visitorId) ?? []
    const before = Math.max(...times.filter((time) => time <= eventTs))
    const after = Math.min(...times.filter((time) => time > eventTs))
    if (after - before > gapMs && eventTs - before <= gapMs && after - eventTs <= gapMs) count++
    times.push(eventTs)
    if (!visitorId.startsWith("bot-")) seen.set(visitorId, times)
  }
  return count
}
