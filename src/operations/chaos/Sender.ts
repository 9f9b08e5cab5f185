/** Steady traffic by the clock that keeps account of every acknowledgement. */
import { Clock, Deferred, Effect, FiberSet } from "effect"
import type { Scope } from "effect"
import type { ClickEvent } from "../../domain/ClickEvent.ts"
import type { NewRecord, Receipt } from "../../log/EventLog.ts"
import { ShopTraffic } from "../traffic/ShopTraffic.ts"
import type { Ledger } from "./Ledger.ts"

/** Hands records over; done when all are acknowledged, with their receipts in order. */
export type Submit<E, R> = (records: ReadonlyArray<NewRecord>) => Effect.Effect<ReadonlyArray<Receipt>, E, R>

export interface SenderOptions<E, R> {
  readonly ledger: Ledger
  readonly recordsPerSecond: number
  readonly seed: number
  readonly mode: "usual" | "messy"
  readonly encode: (event: ClickEvent) => Uint8Array
  readonly submit: Submit<E, R>
  /** Records of one hand-over at most. */
  readonly recordsMax?: number
  /** Hand-overs that may wait at once; while more would, the traffic waits, and catches up afterwards as senders do. */
  readonly waitingMax?: number
  /** Ends it: what was sent is acknowledged first. */
  readonly stop: Deferred.Deferred<void>
}

const tickMs = 20
const defaults = { recordsMax: 2_000, waitingMax: 300 }

/** Sends until it is told to stop, and until all of it is acknowledged. Fails when a hand-over does. */
export const sendTraffic = Effect.fnUntraced(function*<E, R>(
  options: SenderOptions<E, R>
): Effect.fn.Return<void, E, R | Scope.Scope> {
  const { encode, ledger, mode, recordsPerSecond, seed, stop, submit } = options
  const { recordsMax = defaults.recordsMax, waitingMax = defaults.waitingMax } = options
  const clock = yield* Clock.Clock
  const startMs = clock.currentTimeMillisUnsafe()
  const shop = new ShopTraffic({ seed, startMs, eventsPerSecond: recordsPerSecond, mode })
  const waiting = yield* FiberSet.make<void, E>()
  const failed = FiberSet.join(waiting)
  let sent = 0
  const sending = Effect.gen(function*() {
    while (!Deferred.isDoneUnsafe(stop)) {
      const due = Math.floor((clock.currentTimeMillisUnsafe() - startMs) / 1_000 * recordsPerSecond) - sent
      if (due <= 0 || (yield* FiberSet.size(waiting)) >= waitingMax) {
        yield* Effect.sleep(tickMs)
        continue
      }
      const records = shop.nextRecords(Math.min(due, recordsMax), encode)
      sent += records.length
      const sentAt = clock.currentTimeMillisUnsafe()
      yield* FiberSet.run(
        waiting,
        Effect.map(
          submit(records),
          (receipts) => ledger.note(records, receipts, sentAt, clock.currentTimeMillisUnsafe())
        )
      )
      yield* due > recordsMax ? Effect.yieldNow : Effect.sleep(tickMs)
    }
  })
  yield* Effect.raceFirst(sending, failed)
  yield* Effect.raceFirst(FiberSet.awaitEmpty(waiting), failed)
})
