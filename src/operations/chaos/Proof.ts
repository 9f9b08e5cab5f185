/**
 * Whether everything is there once: the acknowledged set, the log, and the outcomes in the database. Log and database may hold other
 * records, from before the run and of others meanwhile: what counts lies between the checkpoints before and after it, and what is the
 * run's own says a header.
 */
import { Effect, Stream } from "effect"
import type { Partition } from "../../domain/Identifiers.ts"
import { controlOf } from "../../log/ControlRecords.ts"
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
  /** Of these, what others appended meanwhile. */
  readonly ofOthers: number
  /** Acknowledged, but not in the log, or with other bytes. */
  readonly lost: number
  /** In the log more often than they were sent: never acknowledged under that offset. */
  readonly appendedTwice: number
  readonly outcomes: Outcomes
  /** Records of the log that no outcome counts, and outcomes beyond the log's records. */
  readonly uncounted: number
  readonly countedTwice: number
}

const outcomeNames = ["accepted", "duplicate", "late", "rejected", "dead_lettered"] as const
export type OutcomeName = typeof outcomeNames[number]
export type Outcomes = Readonly<Record<OutcomeName, number>>

/** Header of each record of a run: its id. */
export const runHeader = "guardian-chaos-run"

/** How far a partition is processed: everything below the offset is, with these outcomes since the log's start. */
export interface Position {
  readonly offset: number
  readonly outcomes: Outcomes
}

/** Records that these outcomes count. */
export const counted = (outcomes: Outcomes): number => outcomeNames.reduce((sum, name) => sum + outcomes[name], 0)

const outcomesBy = (value: (name: OutcomeName) => number): Outcomes =>
  Object.fromEntries(outcomeNames.map((name) => [name, value(name)])) as Record<OutcomeName, number>

/** The newest checkpoints by partition; the log's start where there is none. */
export const positions: Effect.Effect<ReadonlyArray<Position>, LogError | WarehouseError, EventLog | Warehouse> = Effect
  .gen(function*() {
    const rows = yield* (yield* Warehouse).query(
      `SELECT partition, offset, ${outcomeNames.map((name) => `counters['${name}'] AS ${name}`).join(", ")}
       FROM checkpoints FINAL
       WHERE (partition, offset) IN (SELECT partition, max(offset) FROM checkpoints GROUP BY partition)`
    )
    const found = new Map(rows.map((row) => [
      Number(row["partition"]),
      { offset: Number(row["offset"]), outcomes: outcomesBy((name) => Number(row[name])) }
    ]))
    return (yield* (yield* EventLog).ranges).map(({ start }, partition) =>
      found.get(partition) ?? { offset: start, outcomes: outcomesBy(() => 0) }
    )
  })

export interface ProvenRun {
  /** Before the first record was sent, and when all of them were processed. */
  readonly from: ReadonlyArray<Position>
  readonly to: ReadonlyArray<Position>
  /** What `runHeader` says in the run's own records. */
  readonly runId: string
}

const recordsMax = 10_000

/** Reads what the log holds between the positions and compares. */
export const prove = Effect.fnUntraced(function*(
  ledger: Ledger,
  { from, runId, to }: ProvenRun
): Effect.fn.Return<Proof, LogError | OffsetOutOfRange, EventLog> {
  let held = 0
  let appendedTwice = 0
  let ofOthers = 0
  let inLog = 0
  for (const [partition, { offset: end }] of to.entries()) {
    yield* Stream.runForEach(
      readSection({ partition: partition as Partition, from: from[partition]!.offset, to: end }, recordsMax),
      (batch) =>
        Effect.sync(() => {
          for (let i = 0; i < batch.count; i++) {
            if (batch.offset(i) >= end) break
            const headers = batch.headers(i)
            if (controlOf(headers, batch.appendedAt(i)) !== undefined) continue
            inLog++
            if (headers?.[runHeader] !== runId) {
              ofOthers++
              continue
            }
            const holds = ledger.holds(partition, batch.offset(i), batch.value(i))
            if (holds === true) held++
            else if (holds === undefined) appendedTwice++
          }
        })
    )
  }
  const outcomes = outcomesBy((name) =>
    to.reduce((sum, position, partition) => sum + position.outcomes[name] - from[partition]!.outcomes[name], 0)
  )
  const outcomesCounted = counted(outcomes)
  return {
    acknowledged: ledger.records,
    inLog,
    ofOthers,
    lost: ledger.records - held,
    appendedTwice,
    outcomes,
    uncounted: Math.max(0, inLog - outcomesCounted),
    countedTwice: Math.max(0, outcomesCounted - inLog)
  }
})
