import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { murmur2, positiveMurmur2 } from "../../src/domain/Murmur2.ts"

describe("murmur2", () => {
  /** From Kafka's `UtilsTest.testMurmur2`, signed. */
  it.each<[string, number]>([
    ["21", -973_932_308],
    ["foobar", -790_332_482],
    ["a-little-bit-long-string", -985_981_536],
    ["a-little-bit-longer-string", -1_486_304_829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
    ["abc", 479_470_107]
  ])("hashes %s like Kafka", (text, signed) => {
    assert.strictEqual(murmur2(text) | 0, signed)
    assert.strictEqual(positiveMurmur2(text), signed & 0x7fff_ffff)
  })

  it("equals the plain function over the UTF-8 bytes, whatever the text and its length", () => {
    const text = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.string({ unit: "grapheme", maxLength: 40 }),
      fc.string({ unit: "binary", minLength: 300, maxLength: 1_200, size: "max" })
    )
    fc.assert(fc.property(text, (each) => murmur2(each) === plainMurmur2(Buffer.from(each, "utf8"))), {
      numRuns: 2_000
    })
  })
})

/** Austin Appleby's MurmurHash2 with Kafka's seed, in BigInt. */
const plainMurmur2 = (bytes: Buffer): number => {
  const m = 0x5bd1e995n
  const word = (value: bigint) => BigInt.asUintN(32, value)
  const whole = bytes.length - bytes.length % 4
  let h = word(0x9747b28cn ^ BigInt(bytes.length))
  for (let at = 0; at < whole; at += 4) {
    const k = word(BigInt(bytes.readUInt32LE(at)) * m)
    h = word(h * m) ^ word((k ^ k >> 24n) * m)
  }
  if (whole < bytes.length) h = word((h ^ BigInt(bytes.readUIntLE(whole, bytes.length - whole))) * m)
  h = word((h ^ h >> 13n) * m)
  return Number(h ^ h >> 15n)
}
