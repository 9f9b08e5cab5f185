/**
 * npm run bench:memory -- [--rate N] [--minutes N] [--visitors N]
 *
 * What one of six partitions holds in memory while the shop's traffic goes on, minute by minute of event time: visitors, ids, recent
 * clicks, who is cold. No log, no warehouse: a cold visitor who comes back is counted and gets an empty history. Figures are of
 * all six.
 */
import { parseArgs } from "node:util"
import type { Offset, Partition, VisitorId } from "../../src/domain/Identifiers.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"
import { defaultLimits } from "../../src/pipeline/Pipeline.ts"
import { ClickHistory } from "../../src/sessionizer/ClickHistory.ts"
import { PartitionCore, startPosition } from "../../src/sessionizer/PartitionCore.ts"
import { decodedBatch, encoded } from "../support/EventBatches.ts"
import { machine } from "./machine.ts"

const { values } = parseArgs({
  options: {
    rate: { type: "string", default: "15000" },
    minutes: { type: "string", default: "60" },
    visitors: { type: "string", default: String(defaultLimits.visitorsInMemoryMax) }
  }
})
const partitions = 6
const rate = Number(values.rate) / partitions
const visitorsMax = Number(values.visitors) / partitions
/** Half a second of traffic: what a flush takes. */
const batchRecords = Math.max(1, Math.round(rate / 2))

const traffic = new ShopTraffic({ seed: 1, startMs: Date.UTC(2026, 0, 1), eventsPerSecond: rate })
const core = new PartitionCore(0 as Partition, defaultCoreSettings, startPosition(0 as Offset))
const empty = { sessions: [], seen: [], clicks: new ClickHistory() }

globalThis.gc?.()
/** Of the process, before the core holds anything. */
const before = process.memoryUsage()
console.log(machine())
console.log("minute  visitors        ids       cold  read back/s    texts   typed memory      heap")
for (let minute = 1; minute <= Number(values.minutes); minute++) {
  let readBack = 0
  for (let second = 0; second < 120; second++) {
    const batch = decodedBatch(
      core.partition,
      traffic.next(batchRecords).map((event, i) => ({
        offset: core.nextOffset + i,
        appendedAt: traffic.nextAt,
        value: encoded(event)
      }))
    )
    const missing = new Map<VisitorId, number | undefined>()
    core.missing(batch, missing)
    readBack += missing.size
    for (const visitorId of missing.keys()) core.load({ visitorId, ...empty })
    core.step(batch)
    core.reuse(core.takeChanges())
    core.evict(visitorsMax, core.nextOffset)
    batch.release()
  }
  if (minute % 5 !== 0) continue
  globalThis.gc?.()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  console.log([
    String(minute).padStart(6),
    ofAll(core.visitorsInMemory).padStart(10),
    ofAll(core.idsInMemory).padStart(11),
    ofAll(core.cold.size).padStart(11),
    ofAll(readBack / 60).padStart(12),
    ofAll(core.textsInMemory).padStart(9),
    `${ofAll((arrayBuffers - before.arrayBuffers) / 1e6)} MB`.padStart(15),
    `${ofAll((heapUsed - before.heapUsed) / 1e6)} MB`.padStart(10)
  ].join(""))
}

function ofAll(value: number): string {
  return Math.round(value * partitions).toLocaleString("en")
}
