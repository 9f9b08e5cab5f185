import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { isConserved } from "../../src/domain/Outcome.ts"
import { eventTsMin } from "../../src/domain/Settings.ts"
import { dawn, day, minute, Story } from "./Story.ts"

const lateness = 10 * minute
const ahead = 5 * minute

describe("a late record", () => {
  it("is one before watermark - lateness; exactly there it is taken", () => {
    const story = new Story()
    assert.deepStrictEqual(
      story.tell({ at: lateness }, { at: 0 }, { at: -1 }),
      ["accepted", "accepted", "late"]
    )
  })

  it("is judged by the watermark of its partition, whoever moved it", () => {
    const story = new Story()
    assert.deepStrictEqual(story.tell({ at: 0 }, { at: day, visitor: "bob" }, { at: 1 }), [
      "accepted",
      "accepted",
      "late"
    ])
  })

  it("is judged record by record, not by the batch", () => {
    const story = new Story()
    story.tell({ at: 0 }, { at: lateness }, { at: 0 }, { at: lateness + 1 })
    assert.deepStrictEqual(story.tell({ at: 0 }, { at: 1 }), ["late", "accepted"])
  })
})

describe("a duplicate", () => {
  it("is the same id of the same visitor, whatever else it says", () => {
    const story = new Story()
    assert.deepStrictEqual(
      story.tell({ at: 0, id: "x" }, { at: 5, id: "x", type: "purchase", price: "9" }, {
        at: 0,
        id: "x",
        visitor: "bob"
      }),
      ["accepted", "duplicate", "accepted"]
    )
    assert.strictEqual(story.sessions[0]!.events, 1)
  })

  it("is known exactly as long as its event could still come in time", () => {
    const story = new Story()
    story.tell({ at: 0, id: "x" }, { at: lateness })
    assert.deepStrictEqual(story.tell({ at: 5, id: "x" }), ["duplicate"])
    story.tell({ at: lateness + 1 })
    assert.deepStrictEqual(story.tell({ at: 5, id: "x" }), ["accepted"])
    assert.deepStrictEqual(story.tell({ at: 6, id: "x" }), ["duplicate"])
  })

  it("does not prolong the memory of the event that it repeats", () => {
    const story = new Story()
    story.tell({ at: 0, id: "x" }, { at: 9 * minute, id: "x" }, { at: lateness + 1 })
    assert.deepStrictEqual(story.tell({ at: 9 * minute, id: "x" }), ["accepted"])
  })

  it("is late first, when it is both", () => {
    const story = new Story()
    assert.deepStrictEqual(
      story.tell({ at: 0, id: "x" }, { at: lateness + 1 }, { at: 0, id: "x" }),
      ["accepted", "accepted", "late"]
    )
  })
})

describe("a rejected record", () => {
  it("is one more than five minutes ahead of its append time; it moves nothing", () => {
    const story = new Story()
    assert.deepStrictEqual(
      story.tell({ at: 0 }, { at: ahead, appendedAt: 0 }, { at: ahead + minute + 1, appendedAt: minute }),
      ["accepted", "accepted", "rejected"]
    )
    assert.strictEqual(story.watermark, ahead)
    assert.deepStrictEqual(story.ranges, [[0, ahead]])
  })

  it("is one before the year 2000, also as the first of all", () => {
    const story = new Story()
    const at = eventTsMin - dawn
    assert.deepStrictEqual(story.tell({ at: at - 1 }), ["rejected"])
    assert.strictEqual(story.watermark, -Infinity)
    assert.deepStrictEqual(story.tell({ at }), ["accepted"])
  })

  it("leaves its id free", () => {
    const story = new Story()
    assert.deepStrictEqual(
      story.tell({ at: 0 }, { at: day, id: "x", appendedAt: 0 }, { at: 1, id: "x" }),
      ["accepted", "rejected", "accepted"]
    )
  })
})

describe("every record", () => {
  it("has exactly one outcome", () => {
    const told = fc.record({
      at: fc.integer({ min: -20 * minute, max: 20 * minute }),
      id: fc.constantFrom("a", "b", "c", "d"),
      visitor: fc.constantFrom("ann", "bob"),
      appendedAt: fc.integer({ min: 0, max: 20 * minute })
    })
    fc.assert(fc.property(fc.array(told, { maxLength: 60 }), (records) => {
      const story = new Story()
      const outcomes = story.tell(...records)
      assert.isTrue(isConserved(story.core.counts))
      assert.strictEqual(story.core.counts.received, records.length)
      for (const outcome of new Set(outcomes)) {
        assert.strictEqual(story.core.counts[outcome], outcomes.filter((each) => each === outcome).length)
      }
      const counted = story.sessions.reduce((sum, { events }) => sum + events, 0)
      assert.strictEqual(counted, story.core.counts.accepted)
    }))
  })
})
