/**
 * npm run bench:core -- [--records N] [--visitors N] [--churn]
 *
 * Records/s of the pure core alone, on one thread: 200,000 visitors, shop traffic with 10 % from bots, duplicates, late and
 * out-of-order events, six partitions. Events are decoded beforehand; a flush is taken (not encoded, not written) every 20,000
 * records, as in the pipeline. --churn: visitors who leave are replaced by new ones, so that every fifth record opens a session.
 */
import { parseArgs } from "node:util"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import type { EventBatch } from "../../src/domain/EventBatch.ts"
import type { Offset, Partition, VisitorId } from "../../src/domain/Identifiers.ts"
import { murmur2 } from "../../src/domain/Murmur2.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { partitionOf } from "../../src/log/Partitioner.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"
import { PartitionCore, startPosition } from "../../src/sessionizer/PartitionCore.ts"
import { decodedBatch, encoded } from "../support/EventBatches.ts"
import { machine } from "./machine.ts"

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "3000000" },
    visitors: { type: "string", default: "200000" },
    churn: { type: "boolean", default: false }
  }
})
const records = Number(values.records)
const visitors = Number(values.visitors)
const partitions = 6
const batchRecords = 2_000
const flushRecords = 20_000
/** A fixed population: whoever leaves comes back as somebody of the same 200,000. */
const population = Array.from(
  { length: visitors },
  (_, i) => Buffer.from(`visitor-${i.toString(16).padStart(12, "0")}`).toString("latin1") as VisitorId
)
/** In place: the events are ours alone, and a copy would have another shape than those that the log decodes. */
const ofPopulation = (event: ClickEvent): ClickEvent => {
  if (!values.churn && !event.visitorId.startsWith("bot")) {
    ;(event as { visitorId: VisitorId }).visitorId = population[murmur2(event.visitorId) % visitors]!
  }
  return event
}

const traffic = new ShopTraffic({ seed: 1, startMs: Date.UTC(2026, 0, 1), eventsPerSecond: 15_000, visitors })
const cores = Array.from(
  { length: partitions },
  (_, partition) => new PartitionCore(partition as Partition, defaultCoreSettings, startPosition(0 as Offset))
)
let milliseconds = 0
let stepped = 0
let sinceFlush = 0
const rates: Array<number> = []
let cpuMicros = 0

while (stepped < records) {
  const batches = makeBatches(traffic.next(batchRecords * partitions).map(ofPopulation))
  const before = performance.now()
  const cpuBefore = process.cpuUsage()
  for (const batch of batches) cores[batch.partition]!.step(batch)
  stepped += batchRecords * partitions
  sinceFlush += batchRecords * partitions
  if (sinceFlush >= flushRecords) {
    sinceFlush = 0
    for (const core of cores) core.reuse(core.takeChanges())
  }
  const spent = performance.now() - before
  const cpu = process.cpuUsage(cpuBefore)
  cpuMicros += cpu.user + cpu.system
  milliseconds += spent
  for (const batch of batches) batch.release()
  rates.push(batchRecords * partitions / spent * 1000)
}

rates.sort((a, b) => a - b)
console.log(machine())
console.log(
  `records        ${stepped.toLocaleString("en")} (${visitors.toLocaleString("en")} visitors, ${partitions} partitions)`
)
console.log(
  `rate           ${Math.round(stepped / milliseconds * 1000).toLocaleString("en")} records/s; median batch ${
    Math.round(rates[rates.length >> 1]!).toLocaleString("en")
  }`
)
console.log(`CPU            ${(cpuMicros / stepped).toFixed(2)} us a record, collector threads included`)
console.log(
  `in memory      ${sum((core) => core.visitorsInMemory).toLocaleString("en")} visitors, ${
    sum((core) => core.idsInMemory).toLocaleString("en")
  } ids, ${Math.round(process.memoryUsage().rss / 1e6)} MB resident (generator included)`
)
console.log(
  `outcomes       ${
    JSON.stringify(
      cores.map(({ counts }) => counts).reduce((a, b) =>
        Object.fromEntries(Object.entries(a).map(([name, count]) => [name, count + b[name as keyof typeof b]])) as never
      )
    )
  }`
)

function sum(read: (core: PartitionCore) => number): number {
  return cores.reduce((total, core) => total + read(core), 0)
}

function makeBatches(events: ReadonlyArray<ClickEvent>): ReadonlyArray<EventBatch> {
  return cores.map(({ nextOffset, partition }) =>
    decodedBatch(
      partition,
      events.filter((event) => partitionOf(event.visitorId, partitions) === partition).map((event, i) => ({
        offset: nextOffset + i,
        appendedAt: traffic.nextAt,
        value: encoded(event)
      }))
    )
  )
}
