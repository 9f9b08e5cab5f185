import { assert, describe, it } from "@effect/vitest"
import type { Offset, Partition } from "../../src/domain/Identifiers.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
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
})
