import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { fingerprint, fingerprintWords } from "../../src/sessionizer/Fingerprint.ts"

const of = (first: string, second: string): string => {
  fingerprint(first, second)
  return String.fromCharCode(...new Uint16Array(fingerprintWords.buffer))
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
        fingerprint("visitor", `event-${i}`)
        buckets[fingerprintWords[word]! >>> 26]!++
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
})
