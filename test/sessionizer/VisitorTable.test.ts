import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { TextColumn } from "../../src/sessionizer/TextColumn.ts"
import { nobody, VisitorTable } from "../../src/sessionizer/VisitorTable.ts"

const viewOf = (id: string) => {
  const bytes = Buffer.from(`..${id}..`)
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), start: 2, length: bytes.length - 4 }
}

/** Few hashes, so that many share one, and some that lie at the end of the table. */
const hashOf = (id: string): number => [0, 1, 63, -1, 127][id.length % 5]!

const id = fc.oneof(
  fc.string({ minLength: 1, maxLength: 3 }),
  fc.string({ unit: "binary", minLength: 1, maxLength: 60 }),
  fc.stringMatching(/^[ab]{40,43}$/)
)

const move = fc.tuple(id, fc.constantFrom("add", "add", "delete", "reclaim"))

describe("VisitorTable", () => {
  it("finds whom it holds and nobody else, by every byte of the id", () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 300 }), (moves) => {
        const table = new VisitorTable()
        const model = new Map<string, number>()
        const find = (each: string) => {
          const { length, start, view } = viewOf(each)
          return table.find(hashOf(each), view, start, length)
        }
        for (const [each, what] of moves) {
          const { length, start, view } = viewOf(each)
          const found = find(each)
          assert.strictEqual(found, model.get(each) ?? nobody)
          if (what === "add" && found === nobody) {
            const visitor = table.add(hashOf(each), view, start, length)
            assert.strictEqual(table.session(visitor), -1)
            model.set(each, visitor)
          } else if (what === "delete" && found !== nobody) {
            table.delete(found)
            assert.isFalse(table.isHeld(found))
            assert.strictEqual(table.id(found), each)
            model.delete(each)
          } else if (what === "reclaim") table.reclaim()
          assert.strictEqual(table.size, model.size)
        }
        assert.strictEqual(new Set(model.values()).size, model.size)
        for (const [each, visitor] of model) {
          assert.strictEqual(find(each), visitor)
          assert.strictEqual(table.id(visitor), each)
          const column = new TextColumn()
          table.appendId(visitor, column)
          assert.deepStrictEqual([...column], [each])
        }
      }),
      { numRuns: 300 }
    )
  })

  it("evicts those who were idle longest, nobody who must be held, and stops at the size asked for", () => {
    const table = new VisitorTable()
    for (let i = 0; i < 1_000; i++) {
      const { length, start, view } = viewOf(`v${i}`)
      table.add(i * 7, view, start, length)
    }
    const evicted: Array<number> = []
    // The larger its number, the longer was it idle. Every other one must stay.
    table.evict(700, (visitor) => visitor % 2 === 0 ? -visitor : Infinity, (visitor) => {
      evicted.push(visitor)
      table.delete(visitor)
    })
    assert.strictEqual(table.size, 700)
    assert.strictEqual(new Set(evicted).size, 300)
    assert.isTrue(evicted.every((visitor) => visitor % 2 === 0))
    // A perfect choice would have taken 400 to 998; of 300 at random 120 would be below.
    assert.isAtMost(evicted.filter((visitor) => visitor < 400).length, 30)
    table.evict(0, (visitor) => visitor % 2 === 0 ? 0 : Infinity, (visitor) => table.delete(visitor))
    assert.strictEqual(table.size, 500)
    table.evict(0, () => 0, (visitor) => table.delete(visitor))
    assert.strictEqual(table.size, 0)
  })
})
