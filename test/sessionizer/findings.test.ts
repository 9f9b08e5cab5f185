import { assert, describe, it } from "@effect/vitest"
import type { Told } from "./Story.ts"
import { dawn, minute, second, Story } from "./Story.ts"

/** `count` clicks, `everyMs` apart. */
const clicks = (count: number, from: number, everyMs: number, item?: (i: number) => string): ReadonlyArray<Told> =>
  Array.from({ length: count }, (_, i) => ({ at: from + i * everyMs, ...(item !== undefined && { item: item(i) }) }))

const each = (i: number): string => `item-${i}`
const of = (story: Story, rule: string) => story.findings.filter((finding) => finding.rule === rule)

describe("HIGH_FREQUENCY", () => {
  it("is raised by the 51st click of a window, not by the 50th", () => {
    const story = new Story()
    story.tell(...clicks(50, 0, 100, each))
    assert.deepStrictEqual(story.findings, [])
    story.tell({ at: 5 * second, item: "last" })
    assert.deepStrictEqual(of(story, "HIGH_FREQUENCY"), [
      {
        rule: "HIGH_FREQUENCY",
        clicks: 51,
        foundAtOffset: 50,
        standing: true,
        version: 51,
        windowStart: dawn
      } as never
    ])
  })

  it("has a new version for each click that follows, found where it was found", () => {
    const story = new Story()
    story.tell(...clicks(53, 0, 100, each))
    assert.deepStrictEqual(
      of(story, "HIGH_FREQUENCY").map(({ clicks: count, foundAtOffset, version }) => [count, foundAtOffset, version]),
      [[51, 50, 51], [52, 50, 52], [53, 50, 53]] as never
    )
  })

  it("counts in windows that begin at multiples of 10 s: the same clicks across a border are none", () => {
    const story = new Story()
    story.tell(...clicks(100, 5 * second, 100, each))
    assert.deepStrictEqual(of(story, "HIGH_FREQUENCY"), [])
    const inside = new Story()
    inside.tell(...clicks(51, 10 * second, 100, each).slice(0, 50), { at: 20 * second - 1, item: "last" })
    assert.deepStrictEqual(of(inside, "HIGH_FREQUENCY").map(({ windowStart }) => windowStart - dawn), [10 * second])
    const outside = new Story()
    outside.tell(...clicks(51, 10 * second, 100, each).slice(0, 50), { at: 20 * second, item: "last" })
    assert.deepStrictEqual(of(outside, "HIGH_FREQUENCY"), [])
  })

  it("counts accepted clicks only: no duplicates, no purchases, nobody else's", () => {
    const story = new Story()
    story.tell(
      ...clicks(50, 0, 100, each),
      { at: 1, id: "event-0" },
      { at: 2, type: "purchase" },
      { at: 3, type: "add_to_cart" },
      { at: 4, visitor: "bob" }
    )
    assert.deepStrictEqual(story.findings, [])
  })

  it("is raised by a click out of order as well", () => {
    const story = new Story()
    story.tell(...clicks(50, 0, 100, each), { at: 9 * minute, item: "far" }, { at: 1, item: "back" })
    assert.deepStrictEqual(of(story, "HIGH_FREQUENCY").map(({ foundAtOffset }) => foundAtOffset as number), [51])
  })
})

describe("BOT_LIKE", () => {
  it("stands for more than 50 clicks on few items in a minute, in every window that has them", () => {
    const story = new Story()
    story.tell(...clicks(51, 30 * second, 500, () => "same"))
    assert.deepStrictEqual(
      of(story, "BOT_LIKE").map(({ clicks: count, windowStart }) => [count, windowStart - dawn]),
      [[51, 30 * second], [51, 0]]
    )
  })

  it("does not stand when a tenth of the clicks are on different items", () => {
    const story = new Story()
    story.tell(...clicks(60, 0, 900, (i) => each(i % 6)))
    assert.deepStrictEqual(of(story, "BOT_LIKE"), [])
  })

  it("is withdrawn when diversity rises, and found anew where it falls again", () => {
    const story = new Story({ botLikeSlideMs: minute })
    story.tell(...clicks(51, 0, 100, (i) => each(i % 5)))
    // 5 of 51 items; the sixth makes it 6 of 52, more than a tenth; at 61 clicks it is less again.
    story.tell({ at: 6 * second, item: "sixth" }, ...clicks(9, 7 * second, 100, () => each(0)))
    assert.deepStrictEqual(
      of(story, "BOT_LIKE").map((
        { clicks: count, foundAtOffset, standing }
      ) => [count, standing, foundAtOffset as number])
        .filter(([count]) => [51, 52, 60, 61].includes(count as number)),
      [[51, true, 50], [52, false, 50], [60, false, 50], [61, true, 60]]
    )
  })

  it("has no row before it has stood", () => {
    const story = new Story({ highFrequencyClicks: 1_000_000 })
    story.tell(...clicks(60, 0, 100, each))
    assert.deepStrictEqual(story.findings, [])
  })
})
