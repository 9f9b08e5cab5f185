/**
 * The traffic of `bench:recovery`: appends history up to now, says so, and goes on live with the same visitors. Arguments: data
 * directory, records of history, events per second.
 */
import { Effect, Layer } from "effect"
import { eventSchemaId, logLayer, registryLayer } from "../../src/cli/Installation.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import { encodeEvent } from "../../src/log/WireFormat.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"

const [dataDirectory, history, rate] = process.argv.slice(2) as [string, string, string]
const eventsPerSecond = Number(rate)
const appendRecordsMax = 5_000
const tickMs = 20

const traffic = Effect.gen(function*() {
  const log = yield* EventLog
  const schemaId = yield* eventSchemaId
  const shop = new ShopTraffic({
    seed: 1,
    startMs: Date.now() - Number(history) / eventsPerSecond * 1000,
    eventsPerSecond
  })
  let appended = 0
  let isLive = false
  for (;;) {
    const events = shop.until(Date.now(), { countMax: appendRecordsMax })
    if (events.length > 0) {
      yield* log.append(events.map((event) => ({ key: event.visitorId, value: encodeEvent(schemaId, event) })))
    }
    appended += events.length
    if (events.length === appendRecordsMax) continue
    if (!isLive) console.log(String(appended))
    isLive = true
    yield* Effect.sleep(tickMs)
  }
})

await Effect.runPromise(Effect.provide(traffic, Layer.merge(logLayer(dataDirectory), registryLayer(dataDirectory))))
