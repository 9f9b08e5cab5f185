import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { fingerprint, fingerprintStride, textHash, TextPair } from "../../src/sessionizer/Fingerprint.ts"

const pair = new TextPair()
const print = new Int32Array(fingerprintStride)

/** The words that name an event id within its visitor. */
const of = (first: string, second: string): string => {
  pair.set(first, second)
  pair.fingerprint(print, 0)
  return print.subarray(0, 3).join()
}

describe("fingerprint", () => {
  it("tells a million ids apart that differ in a digit", () => {
    const seen = new Set<string>()
    for (let visitor = 0; visitor < 1_000; visitor++) {
      for (let event = 0; event < 1_000; event++) seen.add(of(`visitor-${visitor}`, `event-${event}`))
    }
    assert.strictEqual(seen.size, 1_000_000)
  })

  it("spreads each of its words evenly", () => {
    for (const word of [0, 1, 2]) {
      const buckets = new Uint32Array(64)
      for (let i = 0; i < 64_000; i++) {
        of("visitor", `event-${i}`)
        buckets[print[word]! >>> 26]!++
      }
      for (const count of buckets) assert.isTrue(count > 800 && count < 1_200, String(count))
    }
  })

  it("knows where the visitor ends and the event begins", () => {
    assert.notStrictEqual(of("ab", "c"), of("a", "bc"))
    assert.notStrictEqual(of("", "abc"), of("abc", ""))
    assert.notStrictEqual(of("a", ""), of("a", "\0"))
    const text = fc.string({ unit: "binary", maxLength: 20 })
    fc.assert(fc.property(text, text, fc.nat(20), (first, second, at) => {
      const whole = first + second
      const cut = Math.min(at, whole.length)
      if (cut !== first.length) assert.notStrictEqual(of(first, second), of(whole.slice(0, cut), whole.slice(cut)))
      assert.strictEqual(of(first, second), of(first, second))
    }))
  })

  it("is the same wherever in memory the texts lie", () => {
    const text = fc.string({ unit: "binary", maxLength: 40 })
    fc.assert(fc.property(text, text, fc.nat(7), fc.nat(7), (first, second, before, between) => {
      const bytes = Buffer.concat([
        Buffer.alloc(before, 1),
        Buffer.from(first),
        Buffer.alloc(between, 2),
        Buffer.from(second)
      ])
      const start = before + Buffer.byteLength(first) + between
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
      const found = new Int32Array(fingerprintStride)
      fingerprint(view, before, Buffer.byteLength(first), start, Buffer.byteLength(second), found, 0)
      of(first, second)
      assert.deepStrictEqual(found, print)
    }))
  })
})

describe("textHash", () => {
  it("tells a million texts apart", () => {
    const seen = new Set<string>()
    const hash = new Int32Array(2)
    const bytes = Buffer.alloc(16)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let i = 0; i < 1_000_000; i++) {
      const length = bytes.write(`item-${i}`)
      textHash(view, 0, length, hash, 0)
      seen.add(`${hash[0]! & 0x1fffff},${hash[1]}`)
    }
    assert.strictEqual(seen.size, 1_000_000)
  })
})
