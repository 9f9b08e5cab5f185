/**
 * The traffic of `bench:kpi`. Arguments: data directory, event time of its begin (epoch ms), events per second. Every second a purchase
 * in the currency XTS goes with it; when the log has it, a line says so.
 */
import { Effect, Layer } from "effect"
import { eventSchemaId, logLayer, registryLayer } from "../../src/cli/Installation.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import { encodeEvent } from "../../src/log/WireFormat.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"
import { click } from "../warehouse/kpi/KpiPlace.ts"

/** One line of its output: the n-th probe, from 1, is durable since then; so many events were appended before it. */
export interface ProbeLine {
  readonly probe: number
  readonly atMs: number
  readonly appended: number
}

const [dataDirectory, startMs, rate] = process.argv.slice(2) as [string, string, string]
const appendRecordsMax = 5_000
const tickMs = 20
const probeEveryMs = 1_000

const traffic = Effect.gen(function*() {
  const log = yield* EventLog
  const schemaId = yield* eventSchemaId
  const shop = new ShopTraffic({ seed: 1, startMs: Number(startMs), eventsPerSecond: Number(rate) })
  const began = Date.now()
  let appended = 0
  for (let probe = 0;;) {
    const now = Number(startMs) + Date.now() - began
    const events = shop.until(now, { countMax: appendRecordsMax })
    const isDue = Date.now() - began >= probe * probeEveryMs
    if (isDue) {
      events.push(click(`probe-${probe + 1}`, now, { eventType: "purchase", currency: "XTS", price: 1_0000 }))
      probe++
    }
    if (events.length > 0) {
      yield* log.append(events.map((event) => ({ key: event.visitorId, value: encodeEvent(schemaId, event) })))
    }
    appended += events.length
    if (isDue) console.log(JSON.stringify({ probe, atMs: Date.now(), appended } satisfies ProbeLine))
    if (events.length < appendRecordsMax) yield* Effect.sleep(tickMs)
  }
})

await Effect.runPromise(Effect.provide(traffic, Layer.merge(logLayer(dataDirectory), registryLayer(dataDirectory))))
