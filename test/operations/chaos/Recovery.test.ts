import { array, assert as check, boolean, integer, nat, property, record } from "fast-check"
import { describe, expect, it } from "vitest"
import type { Offset, Partition } from "../../../src/domain/Identifiers.ts"
import type { EpochMillis } from "../../../src/domain/Identifiers.ts"
import { Ledger } from "../../../src/operations/chaos/Ledger.ts"
import { appendFigures, lagAt, quantile, recoveryOf } from "../../../src/operations/chaos/Recovery.ts"
import { isExact, reportMarkdown, reportText } from "../../../src/operations/chaos/Report.ts"
import type { FaultReport } from "../../../src/operations/chaos/Report.ts"

const value = Buffer.from("an event")

/** One record a partition each 100 ms, acknowledged 10 ms later, but not while the log is away. */
const ledgerOf = (partitions: number, { awayFrom = Infinity, awayTo = Infinity } = {}): Ledger => {
  const ledger = new Ledger(partitions)
  for (let i = 0; i < 100; i++) {
    const sentAt = i * 100
    const acknowledgedAt = sentAt >= awayFrom && sentAt < awayTo ? awayTo : sentAt + 10
    for (let partition = 0; partition < partitions; partition++) {
      ledger.note(
        [{ key: "v", value }],
        [{ partition: partition as Partition, offset: i as Offset, appendedAt: acknowledgedAt as EpochMillis }],
        sentAt,
        acknowledgedAt
      )
    }
  }
  return ledger
}

describe("the ledger", () => {
  it("knows what lies where, and what does not", () => {
    const ledger = ledgerOf(2)
    expect(ledger.records).toBe(200)
    expect(ledger.holds(1, 7, value)).toBe(true)
    expect(ledger.holds(1, 7, Buffer.from("another"))).toBe(false)
    expect(ledger.holds(1, 100, value)).toBeUndefined()
  })

  it("takes acknowledgements in another order than that of offsets", () => {
    const ledger = new Ledger(1)
    for (const [offset, at] of [[2, 100], [0, 110], [1, 110], [3, 120]] as const) {
      const receipt = { partition: 0 as Partition, offset: offset as Offset, appendedAt: at as EpochMillis }
      ledger.note([{ key: "v", value }], [receipt], 50, at)
    }
    expect(ledger.endAt(105)).toEqual([3])
    expect(ledger.acknowledged(0, 0, 3)).toEqual([[110, 1], [110, 1], [100, 1]])
    expect(ledger.firstAcknowledgedAt(0, 3)).toBe(120)
    expect(ledger.firstAcknowledgedAt(0, 4)).toBeUndefined()
  })

  it("knows of each record what it would know if each were noted alone", () => {
    const append = record({ skips: array(nat(3), { maxLength: 6 }), waits: nat(5), isSwapped: boolean() })
    check(property(array(append, { maxLength: 12 }), nat(40), nat(40), (appends, from, length) => {
      const [together, alone] = [new Ledger(1), new Ledger(1, { withChecksums: false })]
      const acknowledgedAt = new Map<number, number>()
      let offset = 0
      let at = 100
      for (const { isSwapped, skips, waits } of appends) {
        at += waits
        const offsets = skips.map((skip) => offset += 1 + (skip === 3 ? 2 : 0))
        if (isSwapped) offsets.reverse()
        const receipts = offsets.map((each) => ({
          partition: 0 as Partition,
          offset: each as Offset,
          appendedAt: at as EpochMillis
        }))
        const records = receipts.map(() => ({ key: "v", value }))
        together.note(records, receipts, at - 10, at)
        for (const [i, receipt] of receipts.entries()) {
          alone.note([records[i]!], [receipt], at - 10, at)
          acknowledgedAt.set(receipt.offset, at)
        }
      }
      const to = from + length
      const each = [...acknowledgedAt].filter(([offset]) => offset >= from && offset < to).sort(([a], [b]) => a - b)
      for (const ledger of [together, alone]) {
        const times = ledger.acknowledged(0, from, to).flatMap(([time, records]) =>
          Array.from({ length: records }, () => time)
        )
        expect(times).toEqual(each.map(([, time]) => time))
        const next = [...acknowledgedAt].filter(([offset]) => offset >= from).sort(([a], [b]) => a - b)[0]
        expect(ledger.firstAcknowledgedAt(0, from)).toBe(next?.[1])
        expect(ledger.endAt(at)).toEqual([Math.max(0, ...acknowledgedAt.keys()) + (acknowledgedAt.size > 0 ? 1 : 0)])
        expect(ledger.records).toBe(acknowledgedAt.size)
      }
    }))
  })

  it("knows how far each partition was acknowledged at any time", () => {
    const ledger = ledgerOf(1)
    check(property(integer({ min: 0, max: 12_000 }), (time) => {
      const expected = time < 10 ? 0 : Math.min(100, Math.floor((time - 10) / 100) + 1)
      expect(ledger.endAt(time)).toEqual([expected])
    }))
  })
})

describe("recovery", () => {
  it("counts until a row of an event that was sent after the fault, of the first partition and of the last", () => {
    const ledger = ledgerOf(2)
    // The fault is at 1,000: record 11 is the first one sent after it.
    const sights = [
      { at: 900, next: [9, 9] },
      { at: 1_500, next: [11, 11] },
      { at: 2_000, next: [12, 11] },
      { at: 3_000, next: [20, 11] },
      { at: 4_000, next: [39, 39] }
    ]
    const recovery = recoveryOf(ledger, sights, { from: 1_000, recordsPerSecond: 10, isOver: true })
    expect(recovery).toEqual({
      goesOnMs: 500,
      firstRowMs: 1_000,
      allPartitionsMs: 3_000,
      acknowledgedMs: 110,
      caughtUpMs: 3_000
    })
    // What was under way at the fault may still be shown.
    expect(recoveryOf(ledger, sights, { from: 1_000, recordsPerSecond: 10, isOver: false })).toEqual({
      ...recovery,
      goesOnMs: undefined
    })
  })

  it("says never when a partition shows nothing", () => {
    const { allPartitionsMs, caughtUpMs, firstRowMs } = recoveryOf(ledgerOf(2), [{ at: 9_000, next: [90, 3] }], {
      from: 1_000,
      recordsPerSecond: 10,
      isOver: true
    })
    expect(firstRowMs).toBe(8_000)
    expect(allPartitionsMs).toBeUndefined()
    expect(caughtUpMs).toBeUndefined()
  })

  it("tells the log's share apart", () => {
    const ledger = ledgerOf(1, { awayFrom: 1_000, awayTo: 4_000 })
    const { acknowledgedMs } = recoveryOf(ledger, [], { from: 999, recordsPerSecond: 10, isOver: false })
    expect(acknowledgedMs).toBe(3_001)
    expect(appendFigures(ledger.appends, 0, 1_000)).toEqual({ p95Ms: 10, maxMs: 10 })
    expect(appendFigures(ledger.appends, 1_000, 4_000).maxMs).toBe(3_000)
    expect(lagAt(ledger, { at: 900, next: [5] })).toBe(4)
  })
})

describe("a quantile", () => {
  it("is one of the values, and so many are not above it", () => {
    check(property(array(integer(), { minLength: 1 }), integer({ min: 1, max: 100 }), (values, percent) => {
      const found = quantile(values, percent / 100)
      expect(values).toContain(found)
      expect(values.filter((each) => each <= found).length).toBeGreaterThanOrEqual(
        Math.ceil(percent / 100 * values.length)
      )
    }))
  })
})

describe("the report", () => {
  const report: FaultReport = {
    fault: "kill-broker",
    what: "a test",
    recordsPerSecond: 100,
    seconds: 10,
    acknowledged: 1_234,
    inLog: 1_234,
    ofOthers: 0,
    lost: 0,
    appendedTwice: 0,
    outcomes: { accepted: 1_234, duplicate: 0, late: 0, rejected: 0, dead_lettered: 0 },
    uncounted: 0,
    countedTwice: 0,
    goesOnMs: 7,
    firstRowMs: 10,
    allPartitionsMs: 20,
    acknowledgedMs: 5,
    caughtUpMs: undefined,
    appendP95Before: 1,
    appendP95During: 2,
    appendMaxDuring: 3,
    rowAgeP95Before: 4,
    differences: [],
    notCompared: undefined
  }

  it("is exact only when nothing is lost, twice, different, or away for good", () => {
    expect(isExact(report)).toBe(true)
    for (const name of ["lost", "uncounted", "countedTwice"] as const) {
      expect(isExact({ ...report, [name]: 1 }), name).toBe(false)
    }
    expect(isExact({ ...report, differences: ["events: 1 against 2"] })).toBe(false)
    expect(isExact({ ...report, allPartitionsMs: undefined })).toBe(false)
  })

  it("says what was found, as text and as a table", () => {
    expect(reportText(report)).toContain("acknowledged 1,234, in the log 1,234")
    expect(reportText({ ...report, differences: ["events: 1 against 2"] })).toContain("events: 1 against 2")
    expect(reportText({ ...report, ofOthers: 7, inLog: 1_241 })).toContain("in the log 1,241 (7 of others)")
    expect(reportText({ ...report, notCompared: "the log is long" })).toContain(
      "not compared with an undisturbed run: the log is long"
    )
    const table = reportMarkdown([report], { machine: "a machine", installation: "Three brokers", leftOut: [] }).split(
      "\n"
    ).filter((
      line
    ) => line.startsWith("|"))
    expect(new Set(table.map((line) => line.split("|").length)).size).toBe(1)
    expect(table.at(-1)).toContain("| kill-broker | 1,234 | 0 | 0 | same | 7 ms | 10 ms | 20 ms | 5 ms | never |")
  })
})
