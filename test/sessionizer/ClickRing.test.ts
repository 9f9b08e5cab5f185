import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { ClickRing } from "../../src/sessionizer/ClickRing.ts"

const windowMs = 60

describe("ClickRing", () => {
  it("gives each visitor's clicks back, newest first, as long as a rule may need them", () => {
    const click = fc.record({
      visitor: fc.nat(4),
      advance: fc.oneof({ weight: 400, arbitrary: fc.nat(6) }, fc.constantFrom(1_000, 2 ** 31, 2 ** 33)),
      behind: fc.nat(20),
      item: fc.nat(9)
    })
    fc.assert(
      fc.property(fc.array(click, { maxLength: 3_000, size: "max" }), fc.constantFrom(0, 1.7e12), (clicks, start) => {
        const ring = new ClickRing()
        const newest = Array.from({ length: 5 }, () => -1)
        const model = Array.from({ length: 5 }, () => [] as Array<readonly [number, number]>)
        let clock = start
        let forgetBefore = -Infinity
        for (const { advance, behind, item, visitor } of clicks) {
          clock += advance
          forgetBefore = clock - windowMs
          newest[visitor] = ring.add(clock - behind, item, newest[visitor]!, forgetBefore)
          model[visitor]!.unshift([clock - behind, item])
        }
        for (const [visitor, expected] of model.entries()) {
          const found: Array<readonly [number, number]> = []
          ring.each(newest[visitor]!, (eventTs, item) => found.push([eventTs, item]))
          // It may hold more than is needed, but nothing else, and never less.
          assert.deepStrictEqual(found, expected.slice(0, found.length))
          const needed = expected.filter(([eventTs]) => eventTs >= forgetBefore)
          assert.deepStrictEqual(found.filter(([eventTs]) => eventTs >= forgetBefore), needed)
          assert.strictEqual(ring.count(newest[visitor]!, forgetBefore), needed.length)
        }
      }),
      { numRuns: 60 }
    )
  })

  it("goes on after 49 days: clicks that are held then keep their times", () => {
    const ring = new ClickRing()
    let newest = ring.add(0, 1, -1, -windowMs)
    const held: Array<readonly [number, number]> = []
    // The base moves when times relative to it outgrow 32 bits: while the window is full of clicks, and one is ahead of the others.
    for (let step = 0; step < 400; step++) {
      const clock = 2 ** 32 - 200 + step
      const eventTs = step === 100 ? clock + 300 : clock
      newest = ring.add(eventTs, step, newest, clock - windowMs)
      held.unshift([eventTs, step])
      const needed = held.filter(([time]) => time >= clock - windowMs)
      const found: Array<readonly [number, number]> = []
      ring.each(newest, (time, item) => found.push([time, item]))
      assert.deepStrictEqual(found.filter(([time]) => time >= clock - windowMs), needed)
      assert.strictEqual(ring.count(newest, clock - windowMs), needed.length)
    }
  })

  it("forgets what no rule needs: its size follows the window, not the history", () => {
    const ring = new ClickRing()
    let newest = -1
    for (let clock = 0; clock < 200_000; clock++) newest = ring.add(clock, 7, newest, clock - windowMs)
    assert.isAtMost(ring.size, windowMs + 1)
  })
})
