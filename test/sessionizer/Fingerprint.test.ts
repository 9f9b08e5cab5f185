import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { murmur2 as murmur2OfText } from "../../src/domain/Murmur2.ts"
import { FingerprintText, fingerprintWords, hash, murmur2, TextBytes } from "../../src/sessionizer/Fingerprint.ts"

const text = new FingerprintText()
const print = new Int32Array(fingerprintWords)

const of = (visitor: string, event: string): string => {
  text.ofStrings(visitor, event, print, 0)
  return print.join()
}

/** The three hashes as unsigned numbers. */
const hashesOf = (input: string, before = 0): ReadonlyArray<number> => {
  const bytes = Buffer.concat([Buffer.alloc(before, 7), Buffer.from(input), Buffer.alloc(3, 9)])
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  hash(view, before, Buffer.byteLength(input), print, 0)
  return Array.from(print, (word) => word >>> 0)
}

describe("hash", () => {
  it("is MurmurHash3_x86_32, xxHash32 and MurmurHash2 with seed 0, as published", () => {
    assert.deepStrictEqual(hashesOf(""), [0, 0x02cc5d05, 0])
    assert.strictEqual(hashesOf("test")[0], 0xba6bd213)
    assert.strictEqual(hashesOf("Hello, world!")[0], 0xc0363e43)
    assert.strictEqual(hashesOf("abc")[1], 0x32d153ff)
    assert.strictEqual(hashesOf("Nobody inspects the spammish repetition")[1], 0xe2293b2f)
  })

  it("is the same wherever in memory the text lies", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), fc.nat(7), (input, before) => {
      assert.deepStrictEqual(hashesOf(input, before), hashesOf(input))
    }))
  })

  it("spreads each of its words evenly, and tells a million texts apart by all of them", () => {
    const seen = new Set<string>()
    const buckets = [0, 1, 2].map(() => new Uint32Array(64))
    for (let i = 0; i < 1_000_000; i++) {
      const words = hashesOf(`item-${i}`)
      seen.add(words.join())
      if (i < 64_000) { for (const [word, value] of words.entries()) buckets[word]![value >>> 26]!++ }
    }
    assert.strictEqual(seen.size, 1_000_000)
    for (const counts of buckets) for (const count of counts) assert.isTrue(count > 800 && count < 1_200, String(count))
  })
})

describe("murmur2", () => {
  it("is with Kafka's seed what the partitioner makes of a key", () => {
    const bytes = new TextBytes()
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (key) => {
      bytes.set(key)
      assert.strictEqual(murmur2(bytes.view, 0, bytes.length, 0x9747b28c) >>> 0, murmur2OfText(key))
    }))
  })
})

describe("the fingerprint", () => {
  it("tells a million ids apart that differ in a digit", () => {
    const seen = new Set<string>()
    for (let visitor = 0; visitor < 1_000; visitor++) {
      for (let event = 0; event < 1_000; event++) seen.add(of(`visitor-${visitor}`, `event-${event}`))
    }
    assert.strictEqual(seen.size, 1_000_000)
  })

  it("knows where the event ends and the visitor begins", () => {
    assert.notStrictEqual(of("ab", "c"), of("b", "ca"))
    assert.notStrictEqual(of("a", ""), of("a", "\0"))
    const id = fc.string({ unit: "binary", minLength: 1, maxLength: 128 })
    fc.assert(fc.property(id, id, fc.nat(128), (visitor, event, at) => {
      const whole = event + visitor
      const cut = 1 + at % (whole.length - 1)
      if (cut !== event.length) assert.notStrictEqual(of(visitor, event), of(whole.slice(cut), whole.slice(0, cut)))
      assert.strictEqual(of(visitor, event), of(visitor, event))
    }))
  })
})
