/** Steady messy traffic that keeps account of every acknowledgement. */
import { Clock, Deferred, Effect, FiberSet } from "effect"
import type { Scope } from "effect"
import type { LogError } from "../../log/EventLog.ts"
import { EventLog } from "../../log/EventLog.ts"
import { encodeEvent } from "../../log/WireFormat.ts"
import { ShopTraffic } from "../traffic/ShopTraffic.ts"
import type { Ledger } from "./Ledger.ts"

export interface SenderOptions {
  readonly ledger: Ledger
  readonly recordsPerSecond: number
  readonly seed: number
  readonly schemaId: number
  /** Ends it: what was sent is acknowledged first. */
  readonly stop: Deferred.Deferred<void>
}

const tickMs = 20
const appendRecordsMax = 2_000
/** Appends that may wait at once; while more would, the traffic waits, and catches up afterwards as senders do. */
const appendsMax = 300

/** Sends by the clock until it is told to stop. Fails only when the log gives up. */
export const sendTraffic = Effect.fnUntraced(function*(
  { ledger, recordsPerSecond, schemaId, seed, stop }: SenderOptions
): Effect.fn.Return<void, LogError, EventLog | Scope.Scope> {
  const log = yield* EventLog
  const clock = yield* Clock.Clock
  const startMs = clock.currentTimeMillisUnsafe()
  const shop = new ShopTraffic({ seed, startMs, eventsPerSecond: recordsPerSecond, mode: "messy" })
  const pending = yield* FiberSet.make<void, LogError>()
  const failed = FiberSet.join(pending)
  let sent = 0
  const sending = Effect.gen(function*() {
    while (!Deferred.isDoneUnsafe(stop)) {
      const due = Math.floor((clock.currentTimeMillisUnsafe() - startMs) / 1_000 * recordsPerSecond) - sent
      if (due > 0 && (yield* FiberSet.size(pending)) < appendsMax) {
        const records = shop.nextRecords(Math.min(due, appendRecordsMax), (event) => encodeEvent(schemaId, event))
        sent += records.length
        const sentAt = clock.currentTimeMillisUnsafe()
        yield* FiberSet.run(
          pending,
          Effect.map(
            log.append(records),
            (receipts) => ledger.note(records, receipts, sentAt, clock.currentTimeMillisUnsafe())
          )
        )
        if (due > appendRecordsMax) {
          yield* Effect.yieldNow
          continue
        }
      }
      yield* Effect.sleep(tickMs)
    }
  })
  yield* Effect.raceFirst(sending, failed)
  yield* Effect.raceFirst(FiberSet.awaitEmpty(pending), failed)
})
