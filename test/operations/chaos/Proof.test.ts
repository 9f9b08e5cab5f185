import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { heartbeats } from "../../../src/log/ControlRecords.ts"
import { EventLog } from "../../../src/log/EventLog.ts"
import type { NewRecord } from "../../../src/log/EventLog.ts"
import * as SqliteEventLog from "../../../src/log/sqlite/SqliteEventLog.ts"
import { Ledger } from "../../../src/operations/chaos/Ledger.ts"
import { counted, prove, runHeader } from "../../../src/operations/chaos/Proof.ts"
import type { Outcomes, Position } from "../../../src/operations/chaos/Proof.ts"
import { record } from "../../log/conformance.ts"
import { testFolder } from "../../log/TestFolder.ts"

const partitions = 2
const none: Outcomes = { accepted: 0, duplicate: 0, late: 0, rejected: 0, dead_lettered: 0 }

const records = (name: string, count: number): ReadonlyArray<NewRecord> =>
  Array.from({ length: count }, (_, i) => record(`${name}-${i}`, `${name} ${i}`))
const own = (runId: string, count: number) =>
  records("own", count).map((each) => ({ ...each, headers: { [runHeader]: runId } }))

/** Where the log ends now, everything having been processed: `accepted` in the first partition, the rest as it was. */
const positionsNow = (log: EventLog["Service"], accepted: number): Effect.Effect<ReadonlyArray<Position>, unknown> =>
  Effect.map(
    log.ranges,
    (ranges) =>
      ranges.map(({ end }, partition) => ({ offset: end, outcomes: partition === 0 ? { ...none, accepted } : none }))
  )

/** A log that held 50 records, all of them processed, before the run sent 100 of its own. */
const place = Effect.gen(function*() {
  const log = yield* SqliteEventLog.make({ directory: yield* testFolder, partitions })
  yield* log.append([...records("before", 30), ...own("an earlier run", 20)])
  const from = yield* positionsNow(log, 50)
  const ledger = new Ledger(partitions)
  const sent = own("this run", 100)
  ledger.note(sent, yield* log.append(sent), 1, 2)
  yield* log.append([...records("meanwhile", 5), ...heartbeats(partitions)])
  const proof = (to: ReadonlyArray<Position>) =>
    Effect.provideService(prove(ledger, { from, to, runId: "this run" }), EventLog, log)
  return { log, ledger, sent, proof }
})

describe("a proof over a log that holds other records", () => {
  it.live("speaks of what came since the run began, and knows its own from that of others and from control records", () =>
    Effect.gen(function*() {
      const { log, proof } = yield* place
      assert.deepStrictEqual(yield* proof(yield* positionsNow(log, 155)), {
        acknowledged: 100,
        inLog: 105,
        ofOthers: 5,
        lost: 0,
        appendedTwice: 0,
        outcomes: { ...none, accepted: 105 },
        uncounted: 0,
        countedTwice: 0
      })
    }).pipe(Effect.scoped))

  it.live("finds what is counted too often, or not at all", () =>
    Effect.gen(function*() {
      const { log, proof } = yield* place
      assert.deepInclude(yield* proof(yield* positionsNow(log, 158)), { uncounted: 0, countedTwice: 3 })
      assert.deepInclude(yield* proof(yield* positionsNow(log, 153)), { uncounted: 2, countedTwice: 0 })
    }).pipe(Effect.scoped))

  it.live("finds what was acknowledged and is not there, and what is there once more than it was sent", () =>
    Effect.gen(function*() {
      const { ledger, log, proof, sent } = yield* place
      const { end } = (yield* log.ranges)[0]!
      // Acknowledged at places where other bytes lie, or none.
      const receipts = (yield* log.append(records("not what was sent", 2))).slice(0, 1)
      ledger.note(own("this run", 1), receipts, 3, 4)
      ledger.note(own("this run", 1), [{ ...receipts[0]!, offset: end + 1_000 as typeof end }], 3, 4)
      yield* log.append(sent.slice(0, 3))
      const { appendedTwice, inLog, lost, outcomes } = yield* proof(yield* positionsNow(log, 50 + 105 + 5))
      assert.deepStrictEqual({ appendedTwice, inLog, lost, counted: counted(outcomes) }, {
        appendedTwice: 3,
        inLog: 110,
        lost: 2,
        counted: 110
      })
    }).pipe(Effect.scoped))
})
