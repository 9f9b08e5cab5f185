import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { itemHashOf } from "../../src/sessionizer/ItemHash.ts"
import { ItemSets, itemWords } from "../../src/sessionizer/ItemSets.ts"
import { TextColumn } from "../../src/sessionizer/TextColumn.ts"
import { TextSlots } from "../../src/sessionizer/TextSlots.ts"
import { WordColumn } from "../../src/sessionizer/WordColumn.ts"

const text = fc.oneof(
  fc.string({ maxLength: 10 }),
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.string({ minLength: 120, maxLength: 400 })
)

/** Bytes somewhere in memory, with others around them. */
const placed = (bytes: Uint8Array) => {
  const memory = Buffer.concat([Buffer.alloc(3, 0xee), bytes, Buffer.alloc(5, 0xff)])
  return { memory, view: new DataView(memory.buffer, memory.byteOffset, memory.length), start: 3 }
}

const append = (column: TextColumn | WordColumn, bytes: Uint8Array): void => {
  const { memory, start, view } = placed(bytes)
  column.append(memory, view, start, bytes.length)
}

describe("TextColumn", () => {
  it("holds what was appended, as bytes or as strings, and is empty after clear", () => {
    const column = new TextColumn()
    fc.assert(fc.property(fc.array(fc.tuple(text, fc.boolean())), (texts) => {
      column.clear()
      for (const [each, asBytes] of texts) {
        if (asBytes) append(column, Buffer.from(each))
        else column.appendText(each)
      }
      assert.strictEqual(column.count, texts.length)
      assert.deepStrictEqual([...column], texts.map(([each]) => each))
      assert.deepStrictEqual([...TextColumn.of(texts.map(([each]) => each))], [...column])
    }))
  })

  it("turns what is no UTF-8 into U+FFFD, as a string of those bytes would have it", () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (all) => {
      const column = new TextColumn()
      for (const bytes of all) append(column, bytes)
      assert.deepStrictEqual([...column], all.map((bytes) => Buffer.from(bytes).toString("utf8")))
    }))
  })

  it("writes sixteen bytes as hex digits", () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const column = new TextColumn()
      const words = Int32Array.from([0, 4, 8, 12], (at) => Buffer.from(bytes).readInt32LE(at))
      column.appendHex(words, 0)
      assert.deepStrictEqual([...column], [Buffer.from(bytes).toString("hex")])
    }))
  })

  it("has as many empty texts as asked for", () => {
    assert.deepStrictEqual([...TextColumn.empty(3_000)], Array.from({ length: 3_000 }, () => ""))
  })
})

describe("WordColumn", () => {
  it("keeps each distinct text once, in order of appearance, through growth and clear", () => {
    const column = new WordColumn()
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constantFrom("", "view", "click"), text), { maxLength: 300 }), (texts) => {
        column.clear()
        for (const each of texts) append(column, Buffer.from(each))
        const keys = [...column.keys]
        assert.deepStrictEqual(keys, [...new Set(texts)])
        assert.deepStrictEqual(Array.from(column.indexes, (index) => keys[index]), texts)
      })
    )
  })
})

describe("TextSlots", () => {
  it("gives back each slot's last text, whatever its length was and whatever lay there before", () => {
    const move = fc.tuple(fc.nat(99), text, fc.constantFrom("set", "setText", "clear", "copy"), fc.nat(99))
    fc.assert(fc.property(fc.array(move), (moves) => {
      const slots = new TextSlots()
      slots.reserve(100)
      const expected = Array.from({ length: 100 }, () => "")
      for (const [slot, each, how, other] of moves) {
        const { start, view } = placed(Buffer.from(each))
        if (how === "set") slots.set(slot, view, start, Buffer.byteLength(each))
        else if (how === "setText") slots.setText(slot, each)
        else if (how === "clear") slots.clear(slot)
        else slots.copy(other, slot)
        expected[slot] = how === "clear" ? "" : how === "copy" ? expected[other]! : each
      }
      const column = new TextColumn()
      for (let slot = 0; slot < 100; slot++) slots.appendTo(column, slot)
      assert.deepStrictEqual([...column], expected)
    }))
  })
})

describe("ItemSets", () => {
  it("counts the distinct items of each session, few or many, and of sessions that are joined", () => {
    const item = fc.oneof(fc.constantFrom("a", "b", "c"), fc.string({ unit: "binary", minLength: 1, maxLength: 20 }))
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(2), item)), (moves) => {
      const sets = new ItemSets()
      const words = new Int32Array(3 * itemWords)
      const model = [new Set<string>(), new Set<string>(), new Set<string>()]
      for (const [session, each] of moves) {
        sets.add(session, words, session * itemWords, itemHashOf(each))
        model[session]!.add(each)
      }
      for (const session of [0, 1, 2]) {
        assert.strictEqual(sets.size(session, words, session * itemWords), model[session]!.size)
      }
      sets.addAll(0, 1, words, 0, itemWords)
      assert.strictEqual(sets.size(0, words, 0), new Set([...model[0]!, ...model[1]!]).size)
    }))
  })
})
