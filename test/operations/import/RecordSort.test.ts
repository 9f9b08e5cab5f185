import * as fc from "fast-check"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { NewRecord } from "../../../src/log/EventLog.ts"
import { batchBytesMax, batchRecordsMax, RecordSort } from "../../../src/operations/import/RecordSort.ts"

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "record-sort-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const sorted = async (entries: ReadonlyArray<readonly [number, NewRecord]>, limits: object) => {
  const sort = new RecordSort({ temporaryFolder: folder, ...limits })
  try {
    for (const [order, record] of entries) {
      sort.add(order, record)
      if (sort.full) await sort.spill()
    }
    const { spilled } = sort
    const batches: Array<ReadonlyArray<NewRecord>> = []
    for await (const batch of sort.batches()) batches.push(batch)
    return {
      batches,
      spilled,
      records: batches.flat().map((record) => ({ ...record, value: Buffer.from(record.value) }))
    }
  } finally {
    await sort.close()
  }
}

describe("RecordSort", () => {
  it("sorts stably and keeps every byte, whatever fits into memory", async () => {
    const record = fc.record({
      key: fc.string({ unit: "grapheme", maxLength: 8 }),
      value: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
    })
    const order = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(-Infinity), fc.integer())
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(order, record), { maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        async (entries, recordsMax) => {
          const { records } = await sorted(entries, { recordsMax })
          const expected = entries.toSorted(([one], [other]) => one < other ? -1 : one > other ? 1 : 0)
          expect(records).toEqual(expected.map(([, record]) => record))
        }
      ),
      { numRuns: 60 }
    )
    expect(await readdir(folder)).toEqual([])
  })

  it("merges more runs than it opens at once, in batches of bounded size", async () => {
    const count = 30_000
    const entries = Array.from(
      { length: count },
      (_, i) =>
        [(i * 7919) % 1000, { key: `k${i}`, value: Buffer.from(String(i)), headers: { line: String(i) } }] as const
    )
    const { batches, records, spilled } = await sorted(entries, { recordsMax: 100 })
    expect(spilled).toBeLessThan(128)
    expect(batches.every((batch) => batch.length <= batchRecordsMax)).toBe(true)
    const expected = entries.toSorted(([one], [other]) => one - other).map(([, record]) => record)
    expect(records.map(({ key }) => key)).toEqual(expected.map(({ key }) => key))
    expect(records[17]!.headers).toEqual(expected[17]!.headers)
  })

  it("holds no more than some megabytes in a batch, but for a single larger record", async () => {
    const entries = [1, 2, 3, 4].map((order) => [order, { key: "k", value: Buffer.alloc(6_000_000, order) }] as const)
    const large = [5, { key: "k", value: Buffer.alloc(20_000_000, 5) }] as const
    const { batches, spilled } = await sorted([large, ...entries], { memoryBytesMax: 10_000_000 })
    expect(spilled).toBeGreaterThan(1)
    expect(batches.map((batch) => batch.length)).toEqual([1, 1, 1, 1, 1])
    expect(batches.at(-1)![0]!.value.length).toBeGreaterThan(batchBytesMax)
    expect(batches.map((batch) => batch[0]!.value[0])).toEqual([1, 2, 3, 4, 5])
  })
})
