import { assert, describe, it } from "@effect/vitest"
import { murmur2 } from "../../src/domain/Murmur2.ts"
import { partitionOf } from "../../src/log/Partitioner.ts"

/** From Kafka's `UtilsTest.testMurmur2`, signed. */
const vectors: ReadonlyArray<readonly [string, number]> = [
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107]
]

describe("partitionOf", () => {
  it("hashes like Kafka's own partitioner", () => {
    for (const [key, hash] of vectors) {
      assert.strictEqual(murmur2(key) | 0, hash, key)
      assert.strictEqual(partitionOf(key, 12) as number, (hash & 0x7fffffff) % 12, key)
    }
  })

  it("hashes the UTF-8 bytes, so two strings with the same bytes share a partition", () => {
    for (const text of ["ü", "посетитель", "🦊", "a🦊b", "x".repeat(400) + "é", "é".repeat(2_000)]) {
      assert.strictEqual(murmur2(text), slowMurmur2(Buffer.from(text, "utf8")), text)
    }
  })

  it("spreads visitors evenly", () => {
    const counts = Array.from({ length: 6 }, () => 0)
    for (let i = 0; i < 60_000; i++) counts[partitionOf(`visitor-${i}`, 6)]!++
    for (const count of counts) assert.isTrue(count > 9_500 && count < 10_500, String(counts))
  })
})

/** Kafka's function, transcribed with BigInt. */
const slowMurmur2 = (bytes: Uint8Array): number => {
  const m = 0x5bd1e995n
  const mask = 0xffffffffn
  let h = (0x9747b28cn ^ BigInt(bytes.length)) & mask
  let at = 0
  for (; at + 4 <= bytes.length; at += 4) {
    let k = BigInt(Buffer.from(bytes).readUInt32LE(at))
    k = k * m & mask
    k = (k ^ k >> 24n) * m & mask
    h = (h * m & mask) ^ k
  }
  const rest = bytes.length - at
  if (rest >= 3) h ^= BigInt(bytes[at + 2]!) << 16n
  if (rest >= 2) h ^= BigInt(bytes[at + 1]!) << 8n
  if (rest >= 1) h = (h ^ BigInt(bytes[at]!)) * m & mask
  h = (h ^ h >> 13n) * m & mask
  return Number(h ^ h >> 15n)
}
