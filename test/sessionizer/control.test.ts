import { assert, describe, it } from "@effect/vitest"
import type { EpochMillis, Offset, Partition } from "../../src/domain/Identifiers.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { endMarkers, heartbeats } from "../../src/log/ControlRecords.ts"
import { PartitionCore, startPosition } from "../../src/sessionizer/PartitionCore.ts"
import { decodedBatch, encoded } from "../support/EventBatches.ts"
import { dawn, makeEvent, minute } from "./Story.ts"

const hour = 60 * minute
const { futureMaxMs, gapMs, latenessMs } = defaultCoreSettings

const start = () => new PartitionCore(0 as Partition, defaultCoreSettings, startPosition(0 as Offset))

/** A control record appended `appended` ms after dawn, as the core's next one. */
const pass = (core: PartitionCore, headers: Readonly<Record<string, string>> | undefined, appended: number): void =>
  core.step(
    decodedBatch(0, [{
      offset: core.nextOffset,
      appendedAt: dawn + appended,
      value: Buffer.from("control"),
      headers
    }])
  )

const tell = (core: PartitionCore, at: number, appended = at): void =>
  core.step(
    decodedBatch(0, [{
      offset: core.nextOffset,
      appendedAt: dawn + appended,
      value: encoded(makeEvent({ at }, core.nextOffset))
    }])
  )

const watermark = (core: PartitionCore): number => core.position.watermark - dawn

describe("a control record", () => {
  it("carries time on, so that what comes too late is late, and counts as nothing itself", () => {
    const core = start()
    tell(core, 0)
    pass(core, heartbeats(1)[0]!.headers, 3 * hour)
    assert.strictEqual(watermark(core), 2 * hour)
    tell(core, hour, 3 * hour)
    assert.deepStrictEqual(core.counts, {
      received: 2,
      accepted: 1,
      duplicate: 0,
      late: 1,
      rejected: 0,
      deadLettered: 0
    })
    assert.strictEqual(core.nextOffset as number, 3)
  })

  it("never takes time back", () => {
    const core = start()
    tell(core, 5 * hour)
    pass(core, heartbeats(1)[0]!.headers, 5 * hour)
    pass(core, endMarkers(1, dawn as EpochMillis)[0]!.headers, 5 * hour)
    assert.strictEqual(watermark(core), 5 * hour)
  })

  it("carries time no further ahead of the log's clock than an event and the end of its session could be", () => {
    const core = start()
    pass(core, endMarkers(1, dawn + 1_000 * hour as EpochMillis)[0]!.headers, hour)
    assert.strictEqual(watermark(core), hour + futureMaxMs + gapMs + latenessMs)
  })

  it("has its place in the decision hash", () => {
    const [with_, without] = [start(), start()]
    pass(with_, heartbeats(1)[0]!.headers, 0)
    assert.notStrictEqual(with_.position.decisionHash, without.position.decisionHash)
  })

  it("is a dead letter when its headers say nothing that is known", () => {
    const core = start()
    pass(core, { "guardian-control": "start" }, 0)
    assert.strictEqual(core.counts.deadLettered, 1)
  })
})
