import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { epochMillis, offset, partition } from "../../src/domain/Identifiers.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import type { LogError, NewRecord } from "../../src/log/EventLog.ts"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"
import { eventLogConformance, readAll, readCount, record } from "./conformance.ts"
import { testFolder } from "./TestFolder.ts"

eventLogConformance(
  "SqliteEventLog",
  (partitions) => Effect.map(testFolder, (directory) => SqliteEventLog.layer({ directory, partitions }))
)

const first = partition(0)
const start = offset(0)

const open = (options: SqliteEventLog.SqliteEventLogOptions) => Effect.provide(SqliteEventLog.layer(options))

/** Why a log in a directory does not open. */
const openFailure = (options: SqliteEventLog.SqliteEventLogOptions): Effect.Effect<LogError> =>
  Effect.flip(Effect.scoped(Effect.asVoid(SqliteEventLog.make(options)))) as Effect.Effect<LogError>

interface Appender {
  readonly process: ChildProcess
  /** Lines of whole receipts so far. */
  readonly lines: Array<string>
  readonly ended: Promise<unknown>
}

/** Starts `appender.ts`; killed with the scope. */
const appender = (directory: string, name: string, recordsPerCall: number, calls: number) =>
  Effect.acquireRelease(
    Effect.sync((): Appender => {
      const file = new URL("./appender.ts", import.meta.url).pathname
      const child = spawn(process.execPath, [file, directory, name, String(recordsPerCall), String(calls)], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      const lines: Array<string> = []
      let rest = ""
      child.stdout.on("data", (chunk: Buffer) => {
        const parts = (rest + chunk.toString()).split("\n")
        rest = parts.pop()!
        lines.push(...parts)
      })
      return { process: child, lines, ended: once(child, "close") }
    }),
    (child) =>
      Effect.promise(() => {
        child.process.kill("SIGKILL")
        return child.ended
      })
  )

/** Waits until a process has printed a number of lines. */
const printed = (child: Appender, count: number) =>
  Effect.promise(async () => {
    while (child.lines.length < count) await Promise.race([once(child.process.stdout!, "data"), child.ended])
  })

describe("SqliteEventLog under faults", () => {
  it.live("holds every record that was acknowledged before SIGKILL, round after round", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      const acknowledged: Array<string> = []
      for (const [recordsPerCall, lines] of [[1, 60], [20, 900], [400, 2_000], [1_500, 3_500]] as const) {
        const child = yield* appender(directory, `by${recordsPerCall}`, recordsPerCall, 1_000_000)
        yield* printed(child, lines)
        child.process.kill("SIGKILL")
        yield* Effect.promise(() => child.ended)
        acknowledged.push(...child.lines.filter((line) => line !== "open"))
        const held = yield* readAll.pipe(open({ directory }))
        for (const records of held) assert.isTrue(records.every((one, i) => one.offset === i))
        const lost = acknowledged.filter((line) => {
          const [p, at, value] = line.split(" ")
          return held[Number(p)]![Number(at)]?.value !== value
        })
        assert.deepStrictEqual(lost, [])
      }
      assert.isAbove(acknowledged.length, 6_000)
      const sqlite = new DatabaseSync(join(directory, "events.sqlite"))
      assert.deepStrictEqual({ ...sqlite.prepare("PRAGMA quick_check").get() }, { quick_check: "ok" })
      sqlite.close()
    }).pipe(Effect.scoped))

  it.live("lets several processes append at once, and this one read what they write as it comes", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* Effect.gen(function*() {
        const log = yield* EventLog
        const count = 3 * 40 * 25
        let arrived = 0
        const all = yield* Deferred.make<void>()
        const reader = yield* Effect.forkChild(
          Effect.forEach([0, 1, 2], (p) =>
            log.read(partition(p), start, { recordsMax: 500 }).pipe(
              Stream.runForEach((batch) => {
                for (let i = 0; i < batch.count; i++) assert.strictEqual(batch.offset(i) as number, batch.offset(0) + i)
                arrived += batch.count
                return arrived === count ? Deferred.succeed(all, undefined) : Effect.void
              })
            ), { concurrency: 3 })
        )
        const children = yield* Effect.forEach(["a", "b"], (name) => appender(directory, name, 25, 40))
        yield* Effect.forEach(
          Array.from({ length: 40 }, (_, call) => call),
          (call) => log.append(Array.from({ length: 25 }, (_, i) => record(`visitor-${i}`, `c-${call}-${i}`)))
        )
        for (const child of children) yield* Effect.promise(() => child.ended)
        yield* Effect.raceFirst(Deferred.await(all), Effect.asVoid(Fiber.join(reader)))
        const held = yield* readAll
        const values = held.flat().map((one) => one.value)
        assert.strictEqual(values.length, count)
        assert.strictEqual(new Set(values).size, count)
        for (const child of children) {
          for (const line of child.lines.filter((one) => one !== "open")) {
            const [p, at, value] = line.split(" ") as [string, string, string]
            assert.strictEqual(held[Number(p)]![Number(at)]!.value, value)
          }
        }
      }).pipe(open({ directory, partitions: 3 }))
    }).pipe(Effect.scoped))

  it.live("creates one log when several open a new directory at once", () =>
    Effect.gen(function*() {
      const directory = join(yield* testFolder, "made", "on", "the", "way")
      const ids = yield* Effect.forEach(
        [1, 2, 3, 4],
        () => Effect.scoped(Effect.map(SqliteEventLog.make({ directory }), (log) => log.logId)),
        { concurrency: 4 }
      )
      assert.strictEqual(new Set(ids).size, 1)
    }).pipe(Effect.scoped))

  it.live("acknowledges nothing that a full disk refused, and goes on when there is room", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* Effect.gen(function*() {
        const log = yield* EventLog
        const kilobytes = (n: number) => [record("v", `${n} ${"x".repeat(50_000)}`)]
        const acknowledged: Array<string> = []
        let failure: LogError | undefined
        for (let n = 0; failure === undefined; n++) {
          const exit = yield* Effect.result(log.append(kilobytes(n)))
          if (exit._tag === "Success") acknowledged.push(String(n))
          else failure = exit.failure
        }
        assert.isTrue(failure.retryable)
        assert.match(failure.message, /full: make room or trim/)
        assert.isAbove(acknowledged.length, 10)
        const values = Effect.map(readAll, (held) => held.flat().map((one) => one.value.split(" ")[0]))
        assert.deepStrictEqual(yield* values, acknowledged)
        assert.strictEqual(yield* log.trim(epochMillis(Date.now() + 1)), acknowledged.length)
        const [receipt] = yield* log.append(kilobytes(1_000))
        assert.strictEqual(receipt!.offset as number, acknowledged.length)
        assert.deepStrictEqual(yield* values, ["1000"])
      }).pipe(open({ directory, partitions: 1, bytesMax: 2_000_000 }))
    }).pipe(Effect.scoped))

  it.live("notices that it was deleted while it was open", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* Effect.gen(function*() {
        const log = yield* EventLog
        yield* log.append([record("v", "1")])
        const waiting = yield* Effect.forkChild(Effect.flip(readCount(first, start, 2)))
        rmSync(directory, { recursive: true })
        const error = yield* Effect.flip(log.append([record("v", "2")]))
        assert.match(error.message, /deleted or replaced/)
        assert.isFalse(error.retryable)
        assert.match((yield* Fiber.join(waiting)).message, /deleted or replaced/)
        assert.match((yield* Effect.flip(log.ranges)).message, /deleted or replaced/)
      }).pipe(open({ directory, partitions: 1 }))
    }).pipe(Effect.scoped))

  it.live("says which batch is damaged instead of giving its bytes", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* Effect.gen(function*() {
        const log = yield* EventLog
        yield* log.append([record("v", "good")])
        yield* log.append([record("v", "bad")])
      }).pipe(open({ directory, partitions: 1 }))
      const sqlite = new DatabaseSync(join(directory, "events.sqlite"))
      sqlite.exec("UPDATE batches SET bytes = substr(bytes, 1, length(bytes) - 1) || x'00' WHERE base_offset = 1")
      sqlite.close()
      const error = yield* Effect.flip(Effect.provide(
        readCount(first, offset(1), 1),
        SqliteEventLog.layer({ directory })
      ))
      assert.match(error.message, /partition 0, batch at offset 1 is damaged/)
    }).pipe(Effect.scoped))
})

describe("SqliteEventLog opened wrongly", () => {
  it.live("refuses another number of partitions and says what to do", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* Effect.void.pipe(open({ directory, partitions: 4 }))
      const error = yield* openFailure({ directory, partitions: 6 })
      assert.match(error.message, /has 4 partitions, 6 were asked for: open it with 4, or create a new log/)
      assert.isFalse(error.retryable)
      const { partitions } = yield* EventLog.pipe(open({ directory }))
      assert.strictEqual(partitions, 4)
    }).pipe(Effect.scoped))

  it.live("refuses a file that is no database, a database that is no log, a path that is no directory", () =>
    Effect.gen(function*() {
      const root = yield* testFolder
      const junk = join(root, "junk")
      mkdirSync(junk)
      writeFileSync(join(junk, "events.sqlite"), "not a database, but long enough to be looked at ".repeat(100))
      const other = join(root, "other")
      mkdirSync(other)
      const sqlite = new DatabaseSync(join(other, "events.sqlite"))
      sqlite.exec("CREATE TABLE mine (x)")
      sqlite.close()
      const file = join(root, "file")
      writeFileSync(file, "")
      for (
        const [directory, says] of [[junk, /no SQLite database/], [other, /no event log/], [file, /no directory/], [
          join(file, "below"),
          /no directory/
        ]] as const
      ) {
        const error = yield* openFailure({ directory })
        assert.match(error.message, says)
        assert.isFalse(error.retryable)
      }
    }).pipe(Effect.scoped))

  it.live("refuses a number of partitions that is none", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      assert.match((yield* openFailure({ directory, partitions: 0 })).message, /1 to 1024 partitions, not 0/)
    }).pipe(Effect.scoped))
})

describe("SqliteEventLog at its limits", () => {
  it.live("takes a record of 64 MiB, and gives no more than it must at once", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* Effect.gen(function*() {
        const log = yield* EventLog
        const large = Buffer.alloc(64 * 1024 * 1024, "large")
        const middle = Buffer.alloc(6 * 1024 * 1024, "middle")
        const records: Array<NewRecord> = [middle, middle, middle, middle, large, middle].map((value) => ({
          key: "v",
          value
        }))
        yield* log.append(records)
        const counts: Array<number> = []
        let at = 0
        yield* log.read(first, start, { recordsMax: 100 }).pipe(
          Stream.takeUntil((batch) => {
            for (let i = 0; i < batch.count; i++) assert.isTrue(batch.value(i).equals(records[at++]!.value))
            counts.push(batch.count)
            return at === records.length
          }),
          Stream.runDrain
        )
        assert.deepStrictEqual(counts, [2, 2, 1, 1])
        const error = yield* Effect.flip(log.append([{ key: "v", value: Buffer.concat([large, middle]) }]))
        assert.match(error.message, /at most 67108864 are possible/)
        assert.isFalse(error.retryable)
      }).pipe(open({ directory, partitions: 1 }))
    }).pipe(Effect.scoped))

  it.live("splits a call that is larger than its queue, and keeps its order", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* Effect.gen(function*() {
        const log = yield* EventLog
        const filler = "x".repeat(1_000)
        const receipts = yield* log.append(
          Array.from({ length: 40_000 }, (_, i) => record(`v${i % 5}`, `${i} ${filler}`))
        )
        assert.isTrue(receipts.every((receipt, i) => i < 5 || receipt.offset > receipts[i - 5]!.offset))
        const held = yield* readAll
        assert.isTrue(
          receipts.every((receipt, i) => held[receipt.partition]![receipt.offset]!.value.startsWith(`${i} `))
        )
      }).pipe(open({ directory, partitions: 2 }))
    }).pipe(Effect.scoped))

  it.live("finishes what was being appended when its scope ends", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      const appending = yield* Effect.gen(function*() {
        const log = yield* EventLog
        return yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          (i) => Effect.forkDetach(log.append([record("v", String(i))]), { startImmediately: true })
        )
      }).pipe(open({ directory, partitions: 1 }))
      for (const fiber of appending) assert.strictEqual((yield* Fiber.join(fiber)).length, 1)
      const [held] = yield* readAll.pipe(open({ directory }))
      assert.strictEqual(held!.length, 20)
    }).pipe(Effect.scoped))

  it.live("keeps append times from going back when the clock does", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      const times = [1_000, 2_000, 1_500, 500, 3_000]
      const now = () => times.shift()!
      const appended = yield* Effect.gen(function*() {
        const log = yield* EventLog
        const receipts = yield* Effect.forEach([1, 2, 3], () => log.append([record("v", "x")]))
        return receipts.flat().map((one) => one.appendedAt as number)
      }).pipe(open({ directory, partitions: 1, now }))
      const later = yield* Effect.gen(function*() {
        const log = yield* EventLog
        assert.strictEqual(yield* log.trim(epochMillis(5_000)), 3)
        const receipts = yield* Effect.forEach([1, 2], () => log.append([record("v", "x")]))
        return receipts.flat().map((one) => one.appendedAt as number)
      }).pipe(open({ directory, now }))
      assert.deepStrictEqual([...appended, ...later], [1_000, 2_000, 2_000, 2_000, 3_000])
    }).pipe(Effect.scoped))

  it.live("trims whole batches only, and gives the space back", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      let time = 0
      yield* Effect.gen(function*() {
        const log = yield* EventLog
        for (time = 0; time < 30; time++) {
          yield* log.append(Array.from({ length: 10 }, (_, i) => record("v", `${time}/${i}/${"x".repeat(50_000)}`)))
        }
        const before = yield* readCount(first, offset(250), 50)
        assert.strictEqual(yield* log.trim(epochMillis(25)), 250)
        assert.deepStrictEqual(yield* log.ranges, [{ start: offset(250), end: offset(300) }])
        assert.deepStrictEqual(yield* readCount(first, offset(250), 50), before)
      }).pipe(open({ directory, partitions: 1, now: () => time }))
      assert.isBelow(statSync(join(directory, "events.sqlite")).size, 5_000_000)
    }).pipe(Effect.scoped))

  it.live("fails a reader whose place was trimmed while it was away", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* Effect.gen(function*() {
        const log = yield* EventLog
        yield* log.append([record("v", "1"), record("v", "2")])
        yield* log.append([record("v", "3")])
        const error = yield* Effect.flip(
          log.read(first, start, { recordsMax: 1 }).pipe(
            Stream.tap(() => log.trim(epochMillis(Date.now() + 1))),
            Stream.runDrain
          )
        )
        assert.strictEqual(error._tag, "OffsetOutOfRange")
        assert.match(error.message, /was trimmed/)
      }).pipe(open({ directory, partitions: 1 }))
    }).pipe(Effect.scoped))
})
