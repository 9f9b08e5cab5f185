import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Expiry } from "../../src/sessionizer/Expiry.ts"

describe("Expiry", () => {
  it("hands each visitor over once: not before its time, and at most two widths after it", () => {
    const width = 10
    fc.assert(fc.property(fc.array(fc.nat(500), { maxLength: 50 }), fc.array(fc.nat(60)), (times, steps) => {
      const expiry = new Expiry(width)
      const waiting = new Map(times.map((at, i) => [i, at]))
      for (const [visitor, at] of waiting) expiry.schedule(visitor, at)
      let now = 0
      for (const step of steps) {
        now += step
        expiry.sweep(now, (visitor) => {
          assert.isBelow(waiting.get(visitor) ?? Infinity, now)
          waiting.delete(visitor)
        })
        for (const at of waiting.values()) assert.isAbove(at, now - 2 * width - 1)
      }
    }))
  })

  it("does not look again at whom it was told to look at later", () => {
    const expiry = new Expiry(10)
    const visitor = 7
    expiry.schedule(visitor, 0)
    const seen: Array<number> = []
    for (let now = 0; now < 200; now += 5) {
      expiry.sweep(now, () => {
        seen.push(now)
        if (seen.length === 1) expiry.schedule(visitor, 100)
      })
    }
    assert.deepStrictEqual(seen, [20, 120])
  })
})
