/**
 * A process that appends until it is killed and prints each receipt, one line per record: partition, offset, value. What it
 * printed was acknowledged. Arguments: directory, name of the process, records per call, calls.
 */
import { Effect } from "effect"
import { writeSync } from "node:fs"
import { EventLog } from "../../src/log/EventLog.ts"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"

const [directory, name, recordsPerCall, calls] = process.argv.slice(2) as [string, string, string, string]

const run = Effect.gen(function*() {
  const log = yield* EventLog
  writeSync(1, "open\n")
  yield* Effect.forEach(Array.from({ length: Number(calls) }, (_, call) => call), (call) => {
    const records = Array.from({ length: Number(recordsPerCall) }, (_, i) => ({
      key: `visitor-${i}`,
      value: Buffer.from(`${name}-${call}-${i}`)
    }))
    return Effect.map(log.append(records), (receipts) =>
      // Straight to the pipe: a buffer in this process would die with it.
      writeSync(1, receipts.map((one, i) => `${one.partition} ${one.offset} ${name}-${call}-${i}\n`).join("")))
  }, { concurrency: 4, discard: true })
})

await Effect.runPromise(Effect.provide(run, SqliteEventLog.layer({ directory, partitions: 3 })))
