import { assert, describe, it } from "@effect/vitest"
import type { EpochMillis, EventId, VisitorId } from "../../src/domain/Identifiers.ts"
import { sessionId } from "../../src/domain/Identifiers.ts"
import { dawn, minute, Story } from "./Story.ts"

const gap = 30 * minute
const lateness = 10 * minute
/** Lateness longer than the gap: only then can an event open a session before another, and merges chain. */
const patient = { latenessMs: 180 * minute }

const idOf = (offset: number, at: number): string =>
  sessionId("ann" as VisitorId, `event-${offset}` as EventId, dawn + at as EpochMillis)

describe("a session", () => {
  it("goes on after exactly the gap", () => {
    const story = new Story()
    story.tell({ at: 0 }, { at: gap })
    assert.deepStrictEqual(story.ranges, [[0, gap]])
  })

  it("ends when the next event is one millisecond later than the gap", () => {
    const story = new Story()
    story.tell({ at: 0 }, { at: gap + 1 })
    assert.deepStrictEqual(story.ranges, [[0, 0], [gap + 1, gap + 1]])
  })

  it("is the visitor's own", () => {
    const story = new Story()
    story.tell({ at: 0 }, { at: 1, visitor: "bob" }, { at: 2 })
    assert.deepStrictEqual(story.sessions.map(({ events, visitorId }) => [visitorId as string, events]), [
      ["ann", 2],
      ["bob", 1]
    ])
  })

  it("keeps the id of the event that opened it when an earlier one moves its start", () => {
    const story = new Story()
    story.tell({ at: 9 * minute, url: "/second" }, { at: 2 * minute, url: "/first" })
    assert.deepStrictEqual(story.ranges, [[2 * minute, 9 * minute]])
    const [session] = story.sessions
    assert.strictEqual(session!.id as string, idOf(0, 9 * minute))
    assert.strictEqual(session!.entryUrl, "/first")
    assert.strictEqual(session!.exitUrl, "/second")
    assert.strictEqual(session!.version, 2)
  })

  it("takes entry and exit by time, and of equal times the first and the last record", () => {
    const story = new Story()
    const urls = [[5, "/a"], [5, "/b"], [1, "/c"], [1, "/d"], [5, "/e"], [3, "/f"]] as const
    story.tell(...urls.map(([at, url]) => ({ at, url })))
    assert.strictEqual(story.sessions[0]!.entryUrl, "/c")
    assert.strictEqual(story.sessions[0]!.exitUrl, "/e")
  })

  it("counts each item once, also when there are many", () => {
    const story = new Story()
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 40; i++) story.tell({ at: round * 40 + i, item: `item-${i}` })
      assert.strictEqual(story.sessions[0]!.uniqueItems, 40)
    }
    story.tell({ at: 200 }, { at: 201, item: "another" })
    assert.strictEqual(story.sessions[0]!.uniqueItems, 41)
    assert.strictEqual(story.sessions[0]!.events, 122)
  })

  it("adds money exactly, the reporting currency and none together, others each for itself", () => {
    const story = new Story()
    const buy = { type: "purchase", quantity: 3 }
    story.tell(
      { at: 0, ...buy, price: "0.1" },
      { at: 1, ...buy, price: "0.2", currency: "USD" },
      { at: 2, ...buy, price: "900719925474.0991", currency: "EUR", quantity: 4_294_967_295 },
      { at: 3, ...buy, price: "0.0001", currency: "EUR" },
      { at: 4, ...buy, price: "19.99", currency: "CHF" },
      { at: 5, type: "view", price: "5", quantity: 1 }
    )
    const [session] = story.sessions
    assert.strictEqual(session!.revenue, 9_000n)
    assert.deepStrictEqual(
      session!.revenueByCurrency,
      new Map([["EUR", 9_007_199_254_740_991n * 4_294_967_295n + 3n], ["CHF", 599_700n]])
    )
    assert.strictEqual(session!.purchases, 5)
    assert.strictEqual(session!.clicks, 1)
  })
})

describe("a bridge", () => {
  it("makes two sessions one, under the id of the lower offset, with all that both counted", () => {
    const story = new Story()
    const late = gap + 5 * minute
    story.tell(
      { at: 0, url: "/in", item: "a" },
      { at: late, url: "/out", item: "b", type: "purchase", price: "2" },
      { at: late - lateness, item: "a" }
    )
    assert.deepStrictEqual(story.ranges, [[0, late]])
    const [session] = story.sessions
    assert.strictEqual(session!.id as string, idOf(0, 0))
    assert.deepInclude(session, {
      events: 3,
      clicks: 2,
      purchases: 1,
      revenue: 20_000n,
      version: 3,
      entryUrl: "/in",
      exitUrl: "/out"
    })
    assert.strictEqual(session!.uniqueItems, 2)
    assert.deepStrictEqual(story.tombstones, [{
      absorbedId: idOf(1, late),
      mergedInto: idOf(0, 0),
      visitorId: "ann",
      startedAt: dawn,
      endedAt: dawn + late,
      version: 3
    }] as never)
  })

  it("keeps the later session's id when that was opened first", () => {
    const story = new Story(patient)
    story.tell({ at: 2 * gap }, { at: gap - minute }, { at: gap + minute })
    assert.deepStrictEqual(story.ranges, [[gap - minute, 2 * gap]])
    assert.strictEqual(story.sessions[0]!.id as string, idOf(0, 2 * gap))
    assert.deepStrictEqual(story.tombstones.map(({ absorbedId }) => absorbedId as string), [idOf(1, gap - minute)])
  })

  it("needs exactly the gap on both sides, and not a millisecond more", () => {
    const story = new Story(patient)
    story.tell({ at: 0 }, { at: 2 * gap }, { at: gap })
    assert.deepStrictEqual(story.ranges, [[0, 2 * gap]])
    const apart = new Story(patient)
    apart.tell({ at: 0 }, { at: 2 * gap + 1 }, { at: gap })
    assert.deepStrictEqual(apart.ranges, [[0, gap], [2 * gap + 1, 2 * gap + 1]])
  })

  it("points the tombstones of all that was merged before to the new survivor", () => {
    const story = new Story(patient)
    const [first, second, third] = [4 * gap, 4 * gap - 40 * minute, 4 * gap - 80 * minute]
    story.tell({ at: first }, { at: second }, { at: third })
    assert.strictEqual(story.sessions.length, 3)
    story.tell({ at: second - 20 * minute }, { at: second + 20 * minute })
    const ids = [idOf(0, first), idOf(1, second), idOf(2, third)]
    assert.deepStrictEqual(
      story.tombstones.map((
        { absorbedId, mergedInto, version }
      ) => [absorbedId as string, mergedInto as string, version]),
      [[ids[2], ids[1], 4], [ids[1], ids[0], 5], [ids[2], ids[0], 5]]
    )
    // Whatever row of the chain recovery meets, it reaches back to the start of all.
    for (const { endedAt, startedAt } of story.tombstones.slice(1)) {
      assert.deepStrictEqual([startedAt - dawn, endedAt - dawn], [third, first])
    }
    assert.deepStrictEqual(story.ranges, [[third, first]])
    assert.strictEqual(story.sessions[0]!.events, 5)
  })
})
