import { assert as check, integer, property } from "fast-check"
import { describe, expect, it } from "vitest"
import type { EpochMillis, Offset, Partition } from "../../../src/domain/Identifiers.ts"
import { Ledger } from "../../../src/operations/chaos/Ledger.ts"
import { memoryText } from "../../../src/operations/load/Memory.ts"
import { highestHeld, nextRate } from "../../../src/operations/load/Search.ts"
import type { Tried } from "../../../src/operations/load/Search.ts"
import { stepOf, visibleAfter } from "../../../src/operations/load/Step.ts"

/** Searches on a machine that holds up to `capacity`. */
const search = (first: number, capacity: number): ReadonlyArray<Tried> => {
  const tried: Array<Tried> = []
  for (;;) {
    const rate = nextRate(first, tried)
    if (rate === undefined) return tried
    tried.push({ recordsPerSecond: rate, isHeld: rate <= capacity })
  }
}

describe("the search for the highest held rate", () => {
  it("ends, and finds it to a tenth, wherever it begins within reach", () => {
    check(property(integer({ min: 100, max: 50_000 }), integer({ min: 100, max: 200_000 }), (first, capacity) => {
      const tried = search(first, capacity)
      expect(tried.length).toBeLessThanOrEqual(12)
      const held = highestHeld(tried)
      if (held === undefined) return
      expect(held).toBeLessThanOrEqual(capacity)
      const within = first <= capacity * 16 && capacity <= first * 64
      if (within && tried.length < 12) expect(capacity / held).toBeLessThan(1.11)
    }))
  })

  it("never trusts a rate above one that was not held", () => {
    expect(highestHeld([
      { recordsPerSecond: 100, isHeld: true },
      { recordsPerSecond: 200, isHeld: false },
      { recordsPerSecond: 400, isHeld: true }
    ])).toBe(100)
    expect(highestHeld([{ recordsPerSecond: 100, isHeld: false }])).toBeUndefined()
  })
})

describe("a step", () => {
  /** A record each 10 ms, acknowledged at once. */
  const ledger = new Ledger(1)
  for (let i = 0; i < 1_000; i++) {
    const at = i * 10
    const receipt = { partition: 0 as Partition, offset: i as Offset, appendedAt: at as EpochMillis }
    ledger.note([{ key: "v", value: Buffer.from("x") }], [receipt], at, at)
  }

  it("is held when no more than two seconds of traffic wait at its end", () => {
    const span = { from: 2_000, to: 8_000, recordsPerSecond: 100 }
    const sights = (behind: number) =>
      Array.from({ length: 100 }, (_, i) => ({ at: i * 100, next: [Math.max(0, i * 10 - behind)] }))
    expect(stepOf(ledger, sights(100), span)).toMatchObject({ isHeld: true, lagEnd: 101, acknowledgedPerSecond: 100 })
    expect(stepOf(ledger, sights(300), span).isHeld).toBe(false)
    expect(stepOf(ledger, [], span).isHeld).toBe(false)
    expect(stepOf(ledger, sights(100), span)).not.toHaveProperty("shownP95Ms")
    expect(stepOf(ledger, sights(100), { ...span, shown: [30, 10, 20] })).toMatchObject({
      shownP50Ms: 20,
      shownP95Ms: 30
    })
  })

  it("says how much memory there was at the end of each sixth of the time, and at most", () => {
    const memory = Array.from(
      { length: 12 },
      (_, i) => ({ afterMs: (i + 1) * 30_000, residentBytes: i === 4 ? 3e9 : i * 1e8 })
    )
    expect(memoryText(memory)).toBe(
      "memory after 1.0 / 2.0 / 3.0 / 4.0 / 5.0 / 6.0 min 0.10 / 0.30 / 0.50 / 0.70 / 0.90 / 1.10 GB, at most 3.00 GB"
    )
    expect(memoryText(memory.slice(0, 2))).toBe("memory after 0.5 / 1.0 min 0.00 / 0.10 GB, at most 0.10 GB")
    expect(memoryText([])).toBe("memory unknown")
  })

  it("is not held when the log acknowledges too little", () => {
    const sights = [{ at: 7_900, next: [790] }]
    expect(stepOf(ledger, sights, { from: 2_000, to: 8_000, recordsPerSecond: 200 }).isHeld).toBe(false)
  })

  it("counts a record as visible from the first look that finds it", () => {
    expect(visibleAfter(ledger, [{ at: 1_000, next: [0] }, { at: 2_000, next: [3] }], 0, 9_000)).toEqual(
      new Map([[2_000, 1], [1_990, 1], [1_980, 1]])
    )
  })
})
