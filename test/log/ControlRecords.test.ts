import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { EpochMillis } from "../../src/domain/Identifiers.ts"
import { controlOf, endMarkers, heartbeatBehindMs, heartbeats } from "../../src/log/ControlRecords.ts"
import { partitionOf } from "../../src/log/Partitioner.ts"

const at = 1_764_000_000_000 as EpochMillis

describe("control records", () => {
  it("go to every partition, one each, in any log", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 64 }), (partitions) => {
      for (const records of [heartbeats(partitions), endMarkers(partitions, at)]) {
        assert.deepStrictEqual(
          records.map(({ key }) => partitionOf(key, partitions) as number),
          Array.from({ length: partitions }, (_, partition) => partition)
        )
      }
    }))
  })

  it("say how far time is: a heartbeat by its append time, an end marker by itself", () => {
    assert.deepStrictEqual(controlOf(heartbeats(1)[0]!.headers, at), {
      kind: "heartbeat",
      watermark: at - heartbeatBehindMs
    })
    assert.deepStrictEqual(controlOf(endMarkers(1, at)[0]!.headers, 0 as EpochMillis), { kind: "end", watermark: at })
  })

  it("are none without a kind that is known and a time that is one", () => {
    for (
      const headers of [
        undefined,
        {},
        { "guardian-control": "start" },
        { "guardian-control": "end" },
        { "guardian-control": "end", "guardian-watermark": "soon" }
      ]
    ) assert.strictEqual(controlOf(headers as Record<string, string> | undefined, at), undefined)
  })
})
