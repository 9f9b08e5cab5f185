import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { Offset, Partition } from "../../src/domain/Identifiers.ts"
import { Outcome } from "../../src/domain/Outcome.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { DecisionHash, decisionHashEvery } from "../../src/sessionizer/DecisionHash.ts"
import { PartitionCore, startPosition } from "../../src/sessionizer/PartitionCore.ts"
import { dawn, makeBatch, makeEvent, minute } from "./Story.ts"

const wordsOf = (id: string): Int32Array => {
  const bytes = Buffer.from(id, "hex")
  return Int32Array.from([0, 4, 8, 12], (at) => bytes.readInt32LE(at))
}

type Decision = readonly [offset: number, outcome: Outcome, sessionId: string | undefined]

const hashOf = (decisions: ReadonlyArray<Decision>, from = 0n): bigint => {
  const hash = new DecisionHash(from)
  for (const [offset, outcome, session] of decisions) {
    hash.update(offset as Offset, outcome)
    if (session !== undefined) hash.updateSession(wordsOf(session), 0)
  }
  return hash.value
}

const session = fc.stringMatching(/^[0-9a-f]{32}$/)
const decision: fc.Arbitrary<Decision> = fc.tuple(
  fc.maxSafeNat(),
  fc.constantFrom(...Object.values(Outcome)),
  fc.option(session, { nil: undefined })
)
const decisions = fc.array(decision, { minLength: 1, maxLength: 20 })

describe("the decision hash", () => {
  it("differs when an offset, an outcome or a single digit of a session differs, wherever", () => {
    fc.assert(
      fc.property(decisions, fc.nat(), decision, (before, at, other) => {
        const i = at % before.length
        const [offset, outcome, id] = before[i]!
        for (
          const changed of [
            [offset === 0 ? 1 : offset - 1, outcome, id],
            [offset, outcome % 5 + 1, id],
            [offset, outcome, id === undefined ? other[2] : undefined],
            [offset, outcome, id === undefined ? id : id.slice(0, 31) + (id.endsWith("0") ? "1" : "0")]
          ] as ReadonlyArray<Decision>
        ) {
          if (changed.every((value, field) => value === before[i]![field])) continue
          assert.notStrictEqual(hashOf(before.with(i, changed)), hashOf(before))
        }
      }),
      { numRuns: 500 }
    )
  })

  it("differs when a decision is missing, or two have changed places", () => {
    fc.assert(fc.property(decisions, decision, decision, (before, a, b) => {
      assert.notStrictEqual(hashOf([...before, a]), hashOf(before))
      if (String(a) !== String(b)) assert.notStrictEqual(hashOf([...before, a, b]), hashOf([...before, b, a]))
    }))
  })

  it("goes on from a checkpoint as if nothing had happened", () => {
    fc.assert(fc.property(decisions, decisions, (before, after) => {
      assert.strictEqual(hashOf(after, hashOf(before)), hashOf([...before, ...after]))
    }))
  })

  it("tells apart a million decisions that differ little", () => {
    const seen = new Set<bigint>()
    for (let offset = 0; offset < 250_000; offset++) {
      for (const outcome of [1, 2, 3, 4] as const) seen.add(hashOf([[offset, outcome, undefined]]))
    }
    assert.strictEqual(seen.size, 1_000_000)
  })

  it("does not depend on batch boundaries, and is noted at fixed offsets", () => {
    const count = decisionHashEvery + 1_000
    const events = Array.from(
      { length: count },
      (_, i) =>
        makeEvent({ at: i * 97 % (20 * minute) + i, visitor: `v${i % 300}`, id: `e${i % 700 === 0 ? i - 300 : i}` }, i)
    )
    const run = (batchRecords: number) => {
      const core = new PartitionCore(0 as Partition, defaultCoreSettings, startPosition(0 as Offset))
      for (let from = 0; from < count; from += batchRecords) {
        const part = events.slice(from, from + batchRecords)
        core.step(makeBatch(part, from, part.map(() => dawn + 60 * minute)))
      }
      return { noted: core.takeChanges().decisionHashes, ...core.position }
    }
    const whole = run(count)
    assert.deepStrictEqual(run(7), whole)
    assert.deepStrictEqual(run(1_000), whole)
    assert.deepStrictEqual(whole.noted.map(([offset]) => offset as number), [decisionHashEvery])
    assert.isAbove(whole.counts.late, 0)
    assert.isAbove(whole.counts.duplicate, 0)
  })
})
