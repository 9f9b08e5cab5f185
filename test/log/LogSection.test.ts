import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { offset, partition } from "../../src/domain/Identifiers.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import { endingAt, readSection } from "../../src/log/LogSection.ts"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"
import { record, seen } from "./conformance.ts"
import { testFolder } from "./TestFolder.ts"

const only = partition(0)

/** A log of ten records in one partition. */
const ten = Effect.gen(function*() {
  const log = yield* SqliteEventLog.make({ directory: yield* testFolder, partitions: 1 })
  yield* log.append(Array.from({ length: 10 }, (_, i) => record("visitor", `value ${i}`)))
  return log
})

/** So many records from an offset on, in batches of at most four. */
const values = (log: EventLog["Service"], from: number, count: number) =>
  log.read(only, offset(from), { recordsMax: 4 }).pipe(
    Stream.map(seen),
    Stream.flattenIterable,
    Stream.take(count),
    Stream.runCollect,
    Effect.map((all) => all.map(({ value }) => value))
  )

describe("a log that is taken to end earlier", () => {
  it.live("says so, and gives the records before that and no other, wherever batches end", () =>
    Effect.gen(function*() {
      const log = yield* ten
      for (const end of [0, 1, 4, 6, 8, 10]) {
        const short = endingAt(log, [end])
        assert.deepStrictEqual(yield* short.ranges, [{ start: offset(0), end: offset(end) }])
        const expected = Array.from({ length: end }, (_, i) => `value ${i}`)
        assert.deepStrictEqual(yield* values(short, 0, end), expected, `end ${end}`)
        // One more than there is: it waits, as at the end of any log.
        const more = yield* Effect.timeoutOption(values(short, 0, end + 1), "100 millis")
        assert.strictEqual(more._tag, "None", `end ${end}`)
      }
      const section = readSection({ partition: only, from: 2, to: 5 }, 100).pipe(
        Stream.map(seen),
        Stream.flattenIterable,
        Stream.runCollect,
        Effect.provideService(EventLog, endingAt(log, [5]))
      )
      assert.deepStrictEqual((yield* section).map(({ value }) => value), ["value 2", "value 3", "value 4"])
    }).pipe(Effect.scoped))
})
