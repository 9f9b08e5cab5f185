import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { EpochMillis } from "../../src/domain/Identifiers.ts"
import { FingerprintText, fingerprintWords } from "../../src/sessionizer/Fingerprint.ts"
import { SeenIds } from "../../src/sessionizer/SeenIds.ts"
import { dawn, day } from "./Story.ts"

const lateness = 10 * 60_000

const text = new FingerprintText()
const print = new Int32Array(fingerprintWords)

const printOf = (visitor: string, id: string): Int32Array => {
  text.ofStrings(visitor, id, print, 0)
  return print
}

/** What an id means, without any table: the time of the event that was accepted under it. */
class Model {
  readonly acceptedAt = new Map<string, number>()

  seen(key: string, eventTs: number, seenFrom: number): boolean {
    const acceptedAt = this.acceptedAt.get(key)
    if (acceptedAt !== undefined && acceptedAt >= seenFrom) return true
    this.acceptedAt.set(key, eventTs)
    return false
  }
}

interface Move {
  readonly key: number
  /** ms that the watermark moves on before. */
  readonly advance: number
  /** ms that the event lies behind the watermark, at most the lateness; 0: it moves it. */
  readonly behind: number
  /** Ids of the same sort that come along. */
  readonly crowd: number
}

const move: fc.Arbitrary<Move> = fc.record({
  key: fc.nat(15),
  advance: fc.oneof(
    { weight: 4, arbitrary: fc.nat(lateness / 4) },
    { weight: 2, arbitrary: fc.constantFrom(0, 1, lateness - 1, lateness, lateness + 1) },
    { weight: 1, arbitrary: fc.integer({ min: day, max: 400 * day }) }
  ),
  behind: fc.oneof(fc.constantFrom(0, 1, lateness - 1, lateness), fc.nat(lateness)),
  crowd: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(400) })
})

describe("SeenIds", () => {
  it("says seen exactly while the accepted event_ts >= watermark - lateness, through months and rebuilds", () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 80 }), (moves) => {
        const seen = new SeenIds()
        const model = new Model()
        let watermark = -Infinity
        let clock = dawn
        const look = (visitor: string, id: string, eventTs: number) => {
          const seenFrom = watermark - lateness
          const found = seen.seen(printOf(visitor, id), 0, eventTs as EpochMillis, seenFrom)
          assert.strictEqual(found, model.seen(`${visitor}/${id}`, eventTs, seenFrom), `${visitor}/${id} at ${eventTs}`)
          if (!found) watermark = Math.max(watermark, eventTs)
        }
        for (const { advance, behind, crowd, key } of moves) {
          clock += advance
          // Nothing before watermark - lateness comes this far: it is late.
          const eventTs = Math.max(clock - behind, watermark - lateness)
          look(`visitor-${key % 3}`, `id-${key}`, eventTs)
          for (let i = 0; i < crowd; i++) look("crowd", `${key}-${i}`, eventTs)
        }
      }),
      { numRuns: 500 }
    )
  })

  it("takes ids back as they were accepted, the newest time of an id winning, in any order", () => {
    const memory = fc.record({ key: fc.nat(5), at: fc.nat(2 * lateness) })
    fc.assert(fc.property(fc.array(memory, { maxLength: 30 }), fc.nat(2 * lateness), (memories, watermark) => {
      const seen = new SeenIds()
      const newest = new Map<number, number>()
      const seenFrom = dawn + watermark - lateness
      for (const { at, key } of memories) {
        seen.remember(printOf("ann", `id-${key}`), 0, dawn + at as EpochMillis, seenFrom)
        newest.set(key, Math.max(newest.get(key) ?? -Infinity, dawn + at))
      }
      for (let key = 0; key <= 5; key++) {
        const expected = (newest.get(key) ?? -Infinity) >= seenFrom
        assert.strictEqual(
          seen.seen(printOf("ann", `id-${key}`), 0, dawn + watermark as EpochMillis, seenFrom),
          expected
        )
      }
    }))
  })

  it("needs room for the ids that still count, not for all that ever came", () => {
    const seen = new SeenIds()
    const everyMs = 100
    let most = 0
    for (let i = 0; i < 1_000_000; i++) {
      const at = dawn + i * everyMs
      assert.isFalse(seen.seen(printOf("ann", `id-${i}`), 0, at as EpochMillis, at - lateness))
      most = Math.max(most, seen.bytes)
    }
    const live = lateness / everyMs
    assert.isAtMost(most / 16, live * 4)
    assert.isAtMost(seen.size, live * 4)
  })
})
