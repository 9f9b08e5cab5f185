/**
 * Prints how fast the embedded log and the wire format are here: `node test/log/bench.ts`. Best of several runs for the
 * codecs, the whole run for the log.
 */
import { Effect, Stream } from "effect"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import { noProperties } from "../../src/domain/EventBatch.ts"
import { partition } from "../../src/domain/Identifiers.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import { avroType } from "../../src/log/SchemaRegistry.ts"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"
import { encodeEvent, EventDecoder, headBytes } from "../../src/log/WireFormat.ts"
import { storedBatch } from "../support/EventBatches.ts"
import { toRaw } from "./EventArbitrary.ts"
import { testFolder } from "./TestFolder.ts"

const events = 100_000
const recordsPerCall = 5_000
const calls = 300
const valueBytes = 200

/** A small generator of numbers in [0, 1), so that each run measures the same events. */
const random = (() => {
  let state = 1
  return () => (state = Math.imul(state, 1_103_515_245) + 12_345 & 0x7fffffff) / 0x80000000
})()

const hex = (digits: number) => Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join("")

const makeEvent = (i: number): ClickEvent => {
  const item = Math.floor(random() ** 3 * 50_000)
  const purchase = i % 20 === 0
  return {
    eventId: `${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`,
    visitorId: `v${String(Math.floor(random() * 20_000) * 7_919).padStart(11, "0")}`,
    eventTs: 1_764_000_000_000 + i * 13,
    eventType: purchase ? "purchase" : i % 3 === 0 ? "click" : "view",
    itemId: `item-${item}`,
    category: `category-${item % 20}`,
    price: purchase ? 1_299_000 : 0,
    currency: purchase ? "EUR" : "",
    quantity: 1,
    url: `https://shop.example.com/products/category-${item % 20}/item-${item}?ref=home`,
    referrer: i % 2 === 0 ? "https://www.google.com/search?q" : `https://shop.example.com/s?q=${item % 1_000}`,
    userAgent: `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${
      100 + i % 200
    }.0.0.0 Safari/537.36`,
    properties: noProperties,
    truncated: false
  } as unknown as ClickEvent
}

/** Nanoseconds per item, the best of many runs. */
const best = (items: number, body: () => number): number => {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < 20; run++) {
    const begun = performance.now()
    body()
    least = Math.min(least, (performance.now() - begun) * 1e6 / items)
  }
  return Math.round(least)
}

const codecs = Effect.gen(function*() {
  const library = avroType(avroSchema)
  const decoder = new EventDecoder(() => Effect.succeed(avroSchema))
  yield* decoder.learn(1)
  const all = Array.from({ length: events }, (_, i) => makeEvent(i))
  const raw = all.map(toRaw)
  const values = all.map((event) => encodeEvent(1, event))
  const joined = Buffer.concat(values)
  const ends = [0]
  for (const value of values) ends.push(ends.at(-1)! + value.length)
  const sum = (each: (i: number) => number) => () => {
    let total = 0
    for (let i = 0; i < events; i++) total += each(i)
    return total
  }
  const view = (i: number, skip: number) => joined.subarray(ends[i]! + skip, ends[i + 1])
  console.log(`event of ${Math.round(joined.length / events)} bytes, ns each (views of the bytes included):`)
  console.log("  view alone   ", best(events, sum((i) => view(i, 0).length)))
  const batch = storedBatch(0, values.map((value, offset) => ({ offset, appendedAt: 0, value })))
  console.log("  decode       ", best(events, () => decoder.decodeKnown(batch).eventTs[events - 1]!))
  console.log("  encode       ", best(events, sum((i) => encodeEvent(1, all[i]!).length)))
  console.log(
    "  library decode",
    best(events, sum((i) => (library.fromBuffer(view(i, headBytes)) as { event_ts: number }).event_ts))
  )
  console.log("  library encode", best(events, sum((i) => library.toBuffer(raw[i]!).length)))
})

const appends = Effect.gen(function*() {
  const log = yield* EventLog
  const value = Buffer.alloc(valueBytes, 7)
  const batches = Array.from(
    { length: 8 },
    (_, b) => Array.from({ length: recordsPerCall }, (_, i) => ({ key: `visitor-${b}-${i}`, value }))
  )
  for (const concurrency of [1, 2, 4]) {
    const waits: Array<number> = []
    const begun = performance.now()
    yield* Effect.forEach(Array.from({ length: calls }, (_, i) => i), (i) =>
      Effect.suspend(() => {
        const called = performance.now()
        return Effect.map(log.append(batches[i % 8]!), () => waits.push(performance.now() - called))
      }), { concurrency, discard: true })
    const rate = recordsPerCall * calls / (performance.now() - begun) * 1_000
    waits.sort((a, b) => a - b)
    const quantile = (share: number) => `${waits[Math.floor(share * waits.length)]!.toFixed(1)} ms`
    console.log(
      `append, ${concurrency} at once: ${Math.round(rate)} records/s, p50 ${quantile(0.5)}, p99 ${quantile(0.99)}`
    )
  }
})

const reads = Effect.gen(function*() {
  const log = yield* EventLog
  const ranges = yield* log.ranges
  for (const concurrency of [1, 6]) {
    let records = 0
    const begun = performance.now()
    yield* Effect.forEach(ranges, ({ end, start }, p) => {
      let left = end - start
      return log.read(partition(p), start, { recordsMax: 5_000 }).pipe(
        Stream.takeUntil((batch) => {
          for (let i = 0; i < batch.count; i++) records += batch.value(i).length / valueBytes
          return (left -= batch.count) === 0
        }),
        Stream.runDrain
      )
    }, { concurrency, discard: true })
    const rate = records / (performance.now() - begun) * 1_000
    console.log(`read, ${concurrency} partitions at once: ${Math.round(rate)} records/s`)
  }
})

const singles = Effect.gen(function*() {
  const log = yield* EventLog
  const value = Buffer.alloc(valueBytes, 7)
  const waits: Array<number> = []
  yield* Effect.forEach(Array.from({ length: 300 }, (_, i) => i), () => {
    const called = performance.now()
    return Effect.map(log.append([{ key: "v", value }]), () => waits.push(performance.now() - called))
  }, { discard: true })
  waits.sort((a, b) => a - b)
  console.log(`append of one record: p50 ${waits[150]!.toFixed(1)} ms, p99 ${waits[297]!.toFixed(1)} ms`)
})

await Effect.runPromise(codecs)
await Effect.runPromise(Effect.scoped(Effect.flatMap(testFolder, (directory) =>
  Effect.provide(
    Effect.andThen(appends, Effect.andThen(reads, singles)),
    SqliteEventLog.layer({ directory })
  ))))
