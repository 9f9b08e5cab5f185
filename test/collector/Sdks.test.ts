import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { existingLogLayer } from "../../src/cli/Installation.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import { guardian } from "../cli/GuardianProcess.ts"
import { killedCollector } from "./KilledCollector.ts"
import {
  cloudEventsSender,
  plausibleSender,
  postHogSender,
  rudderSender,
  segmentSender,
  snowplowSender
} from "./SdkSenders.ts"
import type { Sender } from "./SdkSenders.ts"

const count = 1_000
const minutes = 60_000

interface Told {
  readonly delivered: number
  readonly kills: number
  /** Records in the log when it was through. */
  readonly records: number
}

interface Stored {
  readonly events: number
  readonly ids: number
  readonly visitors: number
}

/** Visitors of a sender begin with this; each of its answers takes so many events, so the kills differ. */
const senders: ReadonlyArray<readonly [prefix: string, send: Sender, killAt: ReadonlyArray<number>]> = [
  ["segment-", segmentSender, [7, 19]],
  ["rudderstack-", rudderSender, [7, 19]],
  ["posthog-", postHogSender, [7, 19]],
  ["snowplow-", snowplowSender, [7, 19]],
  ["cloudevents-", cloudEventsSender, [150, 700]],
  ["p.", plausibleSender, [150, 700]]
]

describe("a collector that is killed twice between the log and the answer", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "guardian-sdks-"))
  const told = new Map<string, Told>()
  let stored: ReadonlyMap<string, Stored> = new Map()
  let counts: Readonly<Record<string, number>> = {}

  const recordsNow = () =>
    Effect.flatMap(EventLog, (log) => log.ranges).pipe(
      Effect.map((ranges) => ranges.reduce((sum, { end, start }) => sum + end - start, 0)),
      Effect.provide(existingLogLayer(dataDir)),
      Effect.runPromise
    )

  beforeAll(async () => {
    let before = 0
    for (const [prefix, send, killAt] of senders) {
      const collector = await killedCollector(dataDir, killAt)
      const { delivered } = await send(collector.url, count, collector.ready).finally(collector.stop)
      const records = await recordsNow()
      told.set(prefix, { delivered, kills: collector.kills(), records: records - before })
      before = records
    }
    const drained = await guardian(["drain", "--json", "--data-dir", dataDir])
    assert.strictEqual(drained.code, 0, drained.stderr)
    counts = JSON.parse(drained.stdout) as typeof counts
    const sql = `SELECT replaceRegexpOne(visitor_id, '^(p\\\\.|[a-z]+-).*', '\\\\1') AS sender, count() AS events,
      uniqExact(visitor_id, event_id) AS ids, uniqExact(visitor_id) AS visitors FROM events GROUP BY sender`
    const answer = await guardian(["sql", sql, "--format", "JSONEachRow", "--data-dir", dataDir])
    assert.strictEqual(answer.code, 0, answer.stderr)
    stored = new Map(
      answer.stdout.trim().split("\n").map((line) => {
        const { events, ids, sender, visitors } = JSON.parse(line) as Record<string, string>
        return [sender!, { events: Number(events), ids: Number(ids), visitors: Number(visitors) }] as const
      })
    )
  }, 15 * minutes)

  afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

  for (const [prefix] of senders) {
    const keepsEvents = prefix !== "p."
    it(`counts each event of ${prefix} once`, () => {
      const { delivered, kills, records } = told.get(prefix)!
      const { events, ids, visitors } = stored.get(prefix)!
      assert.strictEqual(kills, 2)
      assert.strictEqual(events, ids)
      if (keepsEvents) {
        assert.strictEqual(delivered, count)
        assert.strictEqual(events, count)
        assert.strictEqual(visitors, 10)
        // The answers that were swallowed made it send again what was in the log already.
        assert.isAbove(records, count)
      } else {
        // It sends each event once: what was answered is there, what was cut off may be.
        assert.isAtLeast(events, delivered)
        assert.isAtMost(events, count)
        assert.isBelow(delivered, count)
      }
    })
  }

  it("puts no event into the dead letters, none too late", () => {
    assert.strictEqual(counts["deadLettered"], 0)
    assert.strictEqual(counts["late"], 0)
    assert.strictEqual(counts["rejected"], 0)
    assert.strictEqual(counts["received"], [...told.values()].reduce((sum, { records }) => sum + records, 0))
    assert.strictEqual(counts["received"], counts["accepted"]! + counts["duplicate"]!)
  })
})
