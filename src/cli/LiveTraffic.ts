/** Appends simulated traffic to the log as time goes by. */
import { Clock, Effect } from "effect"
import { EventLog } from "../log/EventLog.ts"
import { encodeEvent } from "../log/WireFormat.ts"
import { ShopTraffic } from "../operations/traffic/ShopTraffic.ts"
import { eventSchemaId } from "./Installation.ts"

export interface LiveTrafficOptions {
  readonly eventsPerSecond: number
  /** Undefined: until interrupted. */
  readonly seconds: number | undefined
  readonly seed: number
  readonly onAppended?: (records: number) => void
}

const tickMs = 20
/** Records of one append: what a tick is behind is caught up in several. */
const appendRecordsMax = 5_000

export const liveTraffic = Effect.fnUntraced(function*(options: LiveTrafficOptions) {
  const log = yield* EventLog
  const schemaId = yield* eventSchemaId
  const startMs = yield* Clock.currentTimeMillis
  const endMs = options.seconds === undefined ? Infinity : startMs + options.seconds * 1000
  const traffic = new ShopTraffic({ seed: options.seed, startMs, eventsPerSecond: options.eventsPerSecond })
  for (;;) {
    const now = yield* Clock.currentTimeMillis
    const events = traffic.until(Math.min(now, endMs), { countMax: appendRecordsMax })
    if (events.length > 0) {
      yield* log.append(events.map((event) => ({ key: event.visitorId, value: encodeEvent(schemaId, event) })))
      options.onAppended?.(events.length)
    }
    if (now >= endMs && events.length < appendRecordsMax) return
    if (events.length < appendRecordsMax) yield* Effect.sleep(tickMs)
  }
})
