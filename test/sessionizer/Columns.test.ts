import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { murmur2 } from "../../src/sessionizer/Fingerprint.ts"
import { itemHashOf } from "../../src/sessionizer/ItemHash.ts"
import { ItemSets, itemWords } from "../../src/sessionizer/ItemSets.ts"
import { noRow, RowIndex } from "../../src/sessionizer/RowIndex.ts"
import { Slack } from "../../src/sessionizer/Slack.ts"
import { TextColumn } from "../../src/sessionizer/TextColumn.ts"
import { noText, TextTable } from "../../src/sessionizer/TextTable.ts"
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

describe("TextTable", () => {
  it("gives back each row's last text, whatever rows hold it besides, and holds no other", () => {
    const move = fc.tuple(
      fc.nat(19),
      fc.oneof(text, fc.constantFrom("", "/", "/cart", "/pages/a-page")),
      fc.constantFrom("hold", "holdText", "clear", "copy"),
      fc.nat(19)
    )
    fc.assert(fc.property(fc.array(move, { maxLength: 300, size: "max" }), (moves) => {
      const table = new TextTable(1)
      const held = Array.from({ length: 20 }, () => noText)
      const expected = held.map(() => "")
      for (const [row, each, how, other] of moves) {
        const { start, view } = placed(Buffer.from(each))
        const next = how === "hold" ?
          table.hold(view, start, Buffer.byteLength(each)) :
          how === "holdText" ?
          table.holdText(each) :
          how === "clear" ?
          noText :
          table.holdAgain(held[other]!)
        table.release(held[row]!)
        held[row] = next
        expected[row] = how === "clear" ? "" : how === "copy" ? expected[other]! : each
      }
      const column = new TextColumn()
      for (const each of held) table.appendTo(column, each)
      assert.deepStrictEqual([...column], expected)
      assert.strictEqual(table.size, new Set(expected.filter((each) => each !== "")).size)
      // Equal texts have equal numbers, unlike ones unlike.
      assert.strictEqual(new Set(held).size, new Set(expected).size)
    }))
  })

  it("needs room for what is held, not for all that ever was", () => {
    const table = new TextTable(1)
    const held: Array<number> = []
    for (let i = 0; i < 100_000; i++) {
      held.push(table.holdText(`https://shop.example/pages/${i}?campaign=${i * 7}`))
      if (held.length > 1_000) table.release(held.shift()!)
    }
    assert.strictEqual(table.size, 1_000)
    assert.isAtMost(table.textBytes, 1_000 * 150)
    for (const each of held) table.release(each)
    assert.strictEqual(table.size, 0)
    assert.throws(() => table.release(held[0]!), "nobody holds")
  })

  it("tells apart texts of one hash, and looks at so many of them only", () => {
    const seed = 0x5bd1e995
    const inverse = 0xe59b19bd
    /** Twelve bytes of its own and four that give all of them one hash: those of MurmurHash2's last block can be worked out. */
    const textOf = (i: number) => {
      const bytes = Buffer.alloc(16)
      bytes.write(String(i).padStart(12, "/"))
      const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
      let h = seed ^ 16
      for (let at = 0; at < 12; at += 4) {
        const k = Math.imul(view.getInt32(at, true), seed)
        h = Math.imul(h, seed) ^ Math.imul(k ^ (k >>> 24), seed)
      }
      const mixed = Math.imul(12_345 ^ Math.imul(h, seed), inverse)
      view.setInt32(12, Math.imul(mixed ^ (mixed >>> 24), inverse), true)
      return { bytes, view, hash: murmur2(view, 0, 16, seed) }
    }
    const texts = Array.from({ length: 300 }, (_, i) => textOf(i))
    assert.strictEqual(new Set(texts.map(({ hash }) => hash)).size, 1)
    const table = new TextTable(seed)
    const held = texts.map(({ view }) => table.hold(view, 0, 16))
    const again = texts.map(({ view }) => table.hold(view, 0, 16))
    const bytesOf = (text: number) => {
      const column = new TextColumn()
      table.appendTo(column, text)
      return [...column][0]
    }
    for (const numbers of [held, again]) {
      assert.deepStrictEqual(numbers.map(bytesOf), texts.map(({ bytes }) => bytes.toString()))
    }
    // The first ones are found again; the others are held once for each who asked.
    assert.deepStrictEqual(again.slice(0, 64), held.slice(0, 64))
    assert.strictEqual(table.size, 64 + 2 * (300 - 64))
    const copied = table.holdAgain(held[299]!)
    assert.strictEqual(bytesOf(copied), texts[299]!.bytes.toString())
    for (const each of [...held, ...again, copied]) table.release(each)
    assert.strictEqual(table.size, 0)
  })
})

describe("RowIndex", () => {
  it("finds each row by its hash after any additions and removals, also of equal hashes", () => {
    const move = fc.tuple(fc.nat(399), fc.boolean())
    fc.assert(fc.property(fc.array(move, { maxLength: 2_000, size: "max" }), (moves) => {
      const index = new RowIndex()
      const held = new Set<number>()
      const hashOf = (row: number) => Math.imul(row % 150, 0x01000193)
      const isFound = (row: number) => {
        for (let slot = index.home(hashOf(row));; slot = index.next(slot)) {
          const found = index.row(slot)
          if (found === noRow || (index.hash(slot) === hashOf(row) && found === row)) return found === row
        }
      }
      for (const [row, isAdded] of moves) {
        if (isAdded && !held.has(row)) {
          index.add(hashOf(row), row)
          held.add(row)
        } else if (!isAdded && held.delete(row)) index.remove(hashOf(row), row)
      }
      assert.strictEqual(index.size, held.size)
      for (let row = 0; row < 400; row++) assert.strictEqual(isFound(row), held.has(row))
      assert.throws(() => index.remove(hashOf(400), 400), "not in the index")
    }))
  })
})

describe("Slack", () => {
  it("says that memory is too large after a long row of small uses, and not while now and then a large one comes", () => {
    const slack = new Slack()
    const answers = Array.from({ length: 200 }, (_, use) => slack.isTooLarge(use % 60 === 0 ? 500 : 249, 1_000))
    assert.isFalse(answers.includes(true))
    const later = Array.from({ length: 64 }, () => slack.isTooLarge(249, 1_000))
    assert.isTrue(later.at(-1))
    assert.isFalse(slack.isTooLarge(250, 1_000))
  })
})

describe("ItemSets", () => {
  it("counts the distinct items of each session, few or many, and of sessions that are joined", () => {
    const item = fc.oneof(fc.constantFrom("a", "b", "c"), fc.string({ unit: "binary", minLength: 1, maxLength: 20 }))
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(2), item), { maxLength: 200, size: "max" }), (moves) => {
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
      // What a session gives back is another's.
      sets.clear(0, words, 0)
      assert.strictEqual(sets.size(0, words, 0), 0)
      sets.addAll(0, 2, words, 0, 2 * itemWords)
      assert.strictEqual(sets.size(0, words, 0), model[2]!.size)
      assert.strictEqual(sets.size(1, words, itemWords), model[1]!.size)
    }))
  })
})
