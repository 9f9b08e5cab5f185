import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { positiveMurmur2 } from "../../src/domain/Murmur2.ts"
import { ColdVisitors } from "../../src/sessionizer/ColdVisitors.ts"

describe("ColdVisitors", () => {
  it("knows from where to read everyone whose newest session is in reach, before and after a sweep", () => {
    const entry = fc.record({ visitor: fc.nat(9), from: fc.nat(100_000), length: fc.nat(50_000) })
    fc.assert(fc.property(fc.array(entry, { maxLength: 40 }), fc.nat(200_000), fc.nat(200_000), (entries, a, b) => {
      const cold = new ColdVisitors()
      const model = new Map<number, { from: number; endedAt: number }>()
      for (const { from, length, visitor } of entries) {
        cold.add(positiveMurmur2(`visitor-${visitor}`), from, from + length, -Infinity)
        const known = model.get(visitor)
        model.set(visitor, {
          from: Math.min(known?.from ?? Infinity, Math.floor(from / 1_000) * 1_000),
          endedAt: Math.max(known?.endedAt ?? -Infinity, Math.ceil((from + length) / 1_000) * 1_000)
        })
      }
      const [swept, reachable] = [Math.min(a, b), Math.max(a, b)]
      const look = () => {
        for (let visitor = 0; visitor <= 9; visitor++) {
          const known = model.get(visitor)
          const expected = known === undefined || known.endedAt < reachable ? undefined : known.from
          assert.strictEqual(cold.readFrom(positiveMurmur2(`visitor-${visitor}`), reachable), expected)
        }
      }
      look()
      cold.sweep(swept)
      look()
      assert.strictEqual(cold.size, [...model.values()].filter(({ endedAt }) => endedAt >= swept).length)
    }))
  })

  it("holds a million, and gives the memory back when they are out of reach", () => {
    const cold = new ColdVisitors()
    for (let i = 0; i < 1_000_000; i++) cold.add(Math.imul(i, 6) & 0x7fffffff, i * second, (i + 10) * second, -Infinity)
    assert.strictEqual(cold.size, 1_000_000)
    assert.strictEqual(cold.readFrom(6 * 77_777, 0), 77_777 * second)
    cold.sweep((999_000 + 10) * second)
    assert.strictEqual(cold.size, 1_000)
    assert.strictEqual(cold.readFrom(6 * 77_777, 0), undefined)
    assert.strictEqual(cold.readFrom(6 * 999_999, 0), 999_999 * second)
  })

  it("follows those in reach, not all that ever came", () => {
    const cold = new ColdVisitors()
    let most = 0
    for (let i = 0; i < 200_000; i++) {
      cold.add(Math.imul(i, 6) & 0x7fffffff, i * second, i * second, (i - 1_000) * second)
      most = Math.max(most, cold.size)
    }
    for (let i = 199_000; i < 200_000; i++) {
      assert.strictEqual(cold.readFrom(Math.imul(i, 6) & 0x7fffffff, 0), i * second)
    }
    assert.isAtMost(most, 2_000)
  })
})

const second = 1_000
