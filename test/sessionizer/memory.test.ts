import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { Offset, Partition, VisitorId } from "../../src/domain/Identifiers.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { ClickHistory } from "../../src/sessionizer/ClickHistory.ts"
import { PartitionCore, startPosition } from "../../src/sessionizer/PartitionCore.ts"
import { day, makeBatch, makeEvent, minute, Story } from "./Story.ts"

const { gapMs, latenessMs } = defaultCoreSettings

describe("the memory of a partition", () => {
  it("drops a visitor when lateness has put all of it out of reach, and not before", () => {
    const story = new Story()
    story.tell({ at: 0 }, { at: 0, visitor: "bob" }, { at: gapMs + latenessMs, visitor: "bob" })
    assert.strictEqual(story.core.visitorsInMemory, 2)
    assert.deepStrictEqual(story.tell({ at: gapMs }), ["accepted"])
    assert.deepStrictEqual(story.ranges[0], [0, gapMs])
    story.tell({ at: 3 * (gapMs + latenessMs), visitor: "bob" })
    assert.strictEqual(story.core.visitorsInMemory, 1)
  })

  it("stays small on a long history: weeks, a hundred thousand visitors, silences and bursts", () => {
    const core = new PartitionCore(0 as Partition, defaultCoreSettings, startPosition(0 as Offset))
    const records = 300_000
    const visitors = 100_000
    const everyMs = 28 * day / records
    let mostVisitors = 0
    let mostIds = 0
    let mostSessions = 0
    for (let from = 0; from < records; from += 1_000) {
      const events = Array.from({ length: 1_000 }, (_, i) => {
        const at = Math.floor((from + i) * everyMs)
        // A day of silence in each week: the watermark jumps.
        return makeEvent(
          { at: at + Math.floor(at / (7 * day)) * day, visitor: `v${(from + i) * 7_919 % visitors}` },
          from + i
        )
      })
      core.step(makeBatch(events, from, events.map(({ eventTs }) => eventTs)))
      mostSessions = Math.max(mostSessions, core.takeChanges().sessions.length)
      mostVisitors = Math.max(mostVisitors, core.visitorsInMemory)
      mostIds = Math.max(mostIds, core.idsInMemory)
    }
    assert.strictEqual(core.counts.accepted, records)
    // Some 130 events in ten minutes of lateness, 520 in those and a gap; as much again is a batch.
    const perMinute = minute / everyMs
    assert.isAtMost(mostIds, 2 * 10 * perMinute + 1_000)
    assert.isAtMost(mostVisitors, 2 * 40 * perMinute + 1_000)
    assert.isAtMost(mostSessions, 1_000)
  })

  it("forgets evicted visitors too, once they are out of reach", () => {
    const core = new PartitionCore(0 as Partition, defaultCoreSettings, startPosition(0 as Offset))
    let most = 0
    for (let i = 0; i < 20_000; i++) {
      const event = makeEvent({ at: i * minute, visitor: `v${i}` }, i)
      core.step(makeBatch([event], i, [event.eventTs]))
      core.takeChanges()
      core.evict(0, core.nextOffset)
      most = Math.max(most, core.cold.size)
    }
    assert.strictEqual(core.visitorsInMemory, 0)
    assert.isAtMost(most, 200)
  })

  it("holds no text of sessions that are gone, merged, evicted or read back", () => {
    const told = fc.record({
      visitor: fc.nat(3),
      advance: fc.integer({ min: 0, max: 40 }),
      behind: fc.nat(9),
      url: fc.constantFrom("", "/", "/a", "/b"),
      next: fc.constantFrom("go on", "go on", "flush", "evict", "read back")
    })
    fc.assert(fc.property(fc.array(told, { maxLength: 60, size: "max" }), (all) => {
      const story = new Story()
      let clock = 0
      for (const { advance, behind, next, url, visitor } of all) {
        clock += advance * minute
        story.tell({ at: clock - behind * minute, visitor: `v${visitor}`, url })
        if (next === "go on") continue
        story.core.takeChanges()
        if (next === "evict") story.core.evict(1, story.core.nextOffset)
        if (next === "read back") {
          story.core.load({ visitorId: `v${visitor}` as VisitorId, sessions: [], seen: [], clicks: new ClickHistory() })
        }
      }
      story.tell({ at: clock + 3 * (gapMs + latenessMs), visitor: "last" })
      story.core.takeChanges()
      assert.strictEqual(story.core.visitorsInMemory, 1)
      assert.strictEqual(story.core.textsInMemory, 0)
    }))
  })

  it("evicts those who have been idle longest", () => {
    const core = new PartitionCore(0 as Partition, defaultCoreSettings, startPosition(0 as Offset))
    const events = Array.from({ length: 1_000 }, (_, i) => makeEvent({ at: i * 1_000, visitor: `v${i}` }, i))
    const times = events.map(({ eventTs }) => eventTs)
    core.step(makeBatch(events, 0, times))
    core.takeChanges()
    core.evict(500, core.nextOffset)
    assert.strictEqual(core.visitorsInMemory, 500)
    const missing = new Map<VisitorId, number | undefined>()
    core.missing(makeBatch(events, 1_000, times), missing)
    assert.strictEqual(missing.size, 500)
    const newest = [...missing.keys()].filter((visitor) => Number(visitor.slice(1)) >= 700)
    // At random there would be 150 of them.
    assert.isAtMost(newest.length, 5)
  })

  it("keeps the memory of flushes that are alike, and gives back what only one needed", () => {
    const core = new PartitionCore(0 as Partition, defaultCoreSettings, startPosition(0 as Offset))
    const used = new Set<object>()
    const flush = (records: number) => {
      const from = core.nextOffset
      const events = Array.from({ length: records }, (_, i) => makeEvent({ at: from + i }, from + i))
      core.step(makeBatch(events, from, events.map(({ eventTs }) => eventTs)))
      const changes = core.takeChanges()
      used.add(changes)
      core.reuse(changes)
    }
    for (let i = 0; i < 300; i++) flush(10)
    assert.strictEqual(used.size, 2)
    flush(1_000)
    for (let i = 0; i < 300; i++) flush(10)
    assert.isAbove(used.size, 2)
    const before = used.size
    for (let i = 0; i < 300; i++) flush(10)
    assert.strictEqual(used.size, before)
  })
})
