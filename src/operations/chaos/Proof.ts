/** Whether everything is there once: the acknowledged set, the log, the outcomes in the database, and the database of an undisturbed run. */
import { Effect, Stream } from "effect"
import type { Partition } from "../../domain/Identifiers.ts"
import type { LogError, OffsetOutOfRange } from "../../log/EventLog.ts"
import { EventLog } from "../../log/EventLog.ts"
import { readSection } from "../../log/LogSection.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import type { Ledger } from "./Ledger.ts"

export interface Proof {
  readonly acknowledged: number
  /** Records that the log holds, control records apart. */
  readonly inLog: number
  /** Acknowledged, but not in the log, or with other bytes. */
  readonly lost: number
  /** In the log more often than they were sent: never acknowledged under that offset. */
  readonly appendedTwice: number
  readonly outcomes: Readonly<Record<OutcomeName, number>>
  /** Records of the log that no outcome counts, and outcomes beyond the log's records. */
  readonly uncounted: number
  readonly countedTwice: number
}

const outcomeNames = ["accepted", "duplicate", "late", "rejected", "dead_lettered"] as const
export type OutcomeName = typeof outcomeNames[number]

const recordsMax = 10_000

/** Reads the log from its start to its end and compares. Everything must have been processed. */
export const prove = Effect.fnUntraced(function*(
  ledger: Ledger
): Effect.fn.Return<Proof, LogError | OffsetOutOfRange | WarehouseError, EventLog | Warehouse> {
  const log = yield* EventLog
  const warehouse = yield* Warehouse
  let held = 0
  let unknown = 0
  let records = 0
  for (const [partition, { end, start }] of (yield* log.ranges).entries()) {
    yield* Stream.runForEach(
      readSection({ partition: partition as Partition, from: start, to: end }, recordsMax),
      (batch) =>
        Effect.sync(() => {
          for (let i = 0; i < batch.count; i++) {
            if (batch.offset(i) >= end) break
            records++
            const holds = ledger.holds(partition, batch.offset(i), batch.value(i))
            if (holds === true) held++
            else if (holds === undefined) unknown++
          }
        })
    )
  }
  const [control] = yield* warehouse.query("SELECT count() AS records FROM control_records FINAL")
  const controls = Number(control!["records"])
  const [row] = yield* warehouse.query(
    `SELECT ${outcomeNames.map((name) => `sum(counters['${name}']) AS ${name}`).join(", ")} FROM checkpoints FINAL
     WHERE (partition, offset) IN (SELECT partition, max(offset) FROM checkpoints GROUP BY partition)`
  )
  const outcomes = Object.fromEntries(outcomeNames.map((name) => [name, Number(row![name])])) as Proof["outcomes"]
  const counted = Object.values(outcomes).reduce((sum, each) => sum + each, 0)
  const inLog = records - controls
  return {
    acknowledged: ledger.records,
    inLog,
    lost: ledger.records - held,
    appendedTwice: Math.max(0, unknown - controls),
    outcomes,
    uncounted: Math.max(0, inLog - counted),
    countedTwice: Math.max(0, counted - inLog)
  }
})
