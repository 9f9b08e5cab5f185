import { assert, describe, it } from "@effect/vitest"
import type { EpochMillis } from "../../src/domain/Identifiers.ts"
import { ClickCounts } from "../../src/sessionizer/ClickCounts.ts"
import { ClickRing } from "../../src/sessionizer/ClickRing.ts"
import { VisitorTable } from "../../src/sessionizer/VisitorTable.ts"

const visitorsOf = (ids: ReadonlyArray<string>) => {
  const table = new VisitorTable()
  const rows = ids.map((id, i) => {
    const bytes = Buffer.from(id)
    return table.add(i, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)
  })
  return { rows, table }
}

describe("ClickCounts", () => {
  // Sequence numbers outgrow 31 and 32 bits after days under load; a partition may live for years.
  for (const first of [0, 2 ** 31 - 7, 2 ** 32 - 7, 2 ** 40 - 7]) {
    it(`notices whoever has more clicks than the threshold, from click ${first} on`, () => {
      const { rows: [ann, bob], table } = visitorsOf(["ann", "bob"])
      const counts = new ClickCounts(table, { clicksBelow: 5 }, new ClickRing(first))
      const busy: Array<string> = []
      for (let i = 0; i < 12; i++) {
        const [visitor, name] = i % 2 === 0 ? [ann!, "ann"] : [bob!, "bob"]
        if (counts.note(visitor, 1_000 + i as EpochMillis, 7, 0) !== undefined) busy.push(`${name} at ${i}`)
      }
      assert.deepStrictEqual(busy, ["ann at 10", "bob at 11"])
    })
  }
})
