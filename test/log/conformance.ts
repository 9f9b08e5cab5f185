/**
 * What every adapter of the event log promises. An adapter's test calls `eventLogConformance` with a way to make a new log.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import type { Layer, Scope } from "effect"
import { epochMillis, offset, partition } from "../../src/domain/Identifiers.ts"
import type { Offset, Partition } from "../../src/domain/Identifiers.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import type { LogBatch, LogError, NewRecord, OffsetOutOfRange } from "../../src/log/EventLog.ts"
import { partitionOf } from "../../src/log/Partitioner.ts"

/** A new, empty log. The layer opens it; provided again, it opens the same log again. */
export type NewLog = (partitions: number) => Effect.Effect<Layer.Layer<EventLog, LogError>, never, Scope.Scope>

/** A record as plain data. */
export interface Seen {
  readonly offset: number
  readonly key: string
  readonly value: string
  readonly appendedAt: number
}

export const record = (key: string, value: string): NewRecord => ({ key, value: Buffer.from(value) })

/** Copies a batch out. */
export const seen = (batch: LogBatch): Array<Seen> =>
  Array.from({ length: batch.count }, (_, i) => ({
    offset: batch.offset(i),
    key: batch.key(i).toString(),
    value: batch.value(i).toString(),
    appendedAt: batch.appendedAt(i)
  }))

/** Reads a number of records, waiting for them when they are not there yet. */
export const readCount = Effect.fnUntraced(
  function*(from: Partition, start: Offset, count: number, recordsMax = 5_000): Effect.fn.Return<
    Array<Seen>,
    LogError | OffsetOutOfRange,
    EventLog
  > {
    const log = yield* EventLog
    const all: Array<Seen> = []
    if (count === 0) return all
    yield* log.read(from, start, { recordsMax }).pipe(
      Stream.takeUntil((batch) => {
        assert.isAtMost(batch.count, recordsMax)
        assert.isAtLeast(batch.count, 1)
        assert.strictEqual(batch.partition, from)
        all.push(...seen(batch))
        return all.length >= count
      }),
      Stream.runDrain
    )
    return all
  }
)

/** Everything that the log holds, partition by partition. */
export const readAll = Effect.gen(function*() {
  const log = yield* EventLog
  const ranges = yield* log.ranges
  return yield* Effect.forEach(ranges, (range, p) => readCount(partition(p), range.start, range.end - range.start))
})

const first = partition(0)
const start = offset(0)

export const eventLogConformance = (name: string, newLog: NewLog) =>
  describe(`${name} keeps the promises of the event log`, () => {
    const withLog = <A, E>(partitions: number, body: Effect.Effect<A, E, EventLog>) =>
      Effect.flatMap(newLog(partitions), (layer) => Effect.provide(body, layer))

    it.live("gives each record its key's partition, the next offset and a receipt in the order of the call", () =>
      withLog(
        4,
        Effect.gen(function*() {
          const log = yield* EventLog
          assert.strictEqual(log.partitions, 4)
          const records = Array.from({ length: 200 }, (_, i) => record(`visitor-${i % 17}`, `value ${i}`))
          const receipts = [...(yield* log.append(records.slice(0, 90))), ...(yield* log.append(records.slice(90)))]
          const next = [0, 0, 0, 0]
          receipts.forEach((receipt, i) => {
            const p = partitionOf(records[i]!.key, 4)
            assert.strictEqual(receipt.partition, p)
            assert.strictEqual(receipt.offset, next[p]!++ as Offset)
          })
          const ranges = yield* log.ranges
          assert.deepStrictEqual(ranges.map((range) => [range.start, range.end]), next.map((end) => [0, end]))
          const held = yield* readAll
          receipts.forEach((receipt, i) =>
            assert.deepStrictEqual(held[receipt.partition]![receipt.offset], {
              offset: receipt.offset,
              key: records[i]!.key,
              value: `value ${i}`,
              appendedAt: receipt.appendedAt
            })
          )
        })
      ).pipe(Effect.scoped))

    it.live("appends nothing for an empty call", () =>
      withLog(
        1,
        Effect.gen(function*() {
          const log = yield* EventLog
          assert.deepStrictEqual(yield* log.append([]), [])
          assert.deepStrictEqual(yield* log.ranges, [{ start, end: start }])
        })
      ).pipe(Effect.scoped))

    it.live("keeps keys in any language, empty values, bytes of every kind and headers", () =>
      withLog(
        1,
        Effect.gen(function*() {
          const log = yield* EventLog
          const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i * 7 % 256)
          yield* log.append([
            { key: "посетитель-🦊", value: bytes },
            { key: "", value: new Uint8Array(0), headers: {} },
            { key: "k".repeat(300), value: Buffer.from([0]), headers: { source: "sdk", "имя": "значение" } }
          ])
          const batch = yield* firstBatch(10)
          assert.strictEqual(batch.count, 3)
          assert.strictEqual(batch.key(0).toString(), "посетитель-🦊")
          assert.isTrue(batch.value(0).equals(bytes))
          assert.isUndefined(batch.headers(0))
          assert.strictEqual(batch.key(1).length, 0)
          assert.strictEqual(batch.value(1).length, 0)
          // Kafka keeps a list of headers: no headers and an empty list are the same.
          assert.deepStrictEqual(batch.headers(1) ?? {}, {})
          assert.strictEqual(batch.key(2).toString(), "k".repeat(300))
          assert.deepStrictEqual(batch.headers(2), { source: "sdk", "имя": "значение" })
        })
      ).pipe(Effect.scoped))

    it.live("reads from any offset, whatever the batches were, and the same each time", () =>
      withLog(
        1,
        Effect.gen(function*() {
          const log = yield* EventLog
          for (const size of [1, 7, 1, 50, 2, 30]) {
            yield* log.append(Array.from({ length: size }, (_, i) => record("v", `${size}/${i}`)))
          }
          const all = yield* readCount(first, start, 91, 1_000)
          assert.strictEqual(all.length, 91)
          for (const recordsMax of [1, 3, 40, 91]) {
            for (const from of [0, 1, 5, 8, 9, 33, 58, 60, 90]) {
              const some = yield* readCount(first, offset(from), 91 - from, recordsMax)
              assert.deepStrictEqual(some, all.slice(from))
            }
          }
        })
      ).pipe(Effect.scoped))

    it.live("keeps append times from going back within a partition", () =>
      withLog(
        1,
        Effect.gen(function*() {
          const log = yield* EventLog
          for (let i = 0; i < 20; i++) yield* log.append([record("v", String(i))])
          const times = (yield* readCount(first, start, 20)).map((one) => one.appendedAt)
          assert.deepStrictEqual(times, [...times].sort((a, b) => a - b))
          assert.isTrue(times.every(Number.isSafeInteger))
        })
      ).pipe(Effect.scoped))

    it.live("waits at the end and delivers what is appended then, to every reader", () =>
      withLog(
        1,
        Effect.gen(function*() {
          const log = yield* EventLog
          const readers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(readCount(first, start, 30)))
          for (let i = 0; i < 30; i++) yield* log.append([record("v", String(i))])
          for (const reader of readers) {
            const got = yield* Fiber.join(reader)
            assert.deepStrictEqual(got.map((one) => one.value), Array.from({ length: 30 }, (_, i) => String(i)))
          }
        })
      ).pipe(Effect.scoped))

    it.live("gives concurrent appends offsets without gaps, each call's records in its order", () =>
      withLog(
        3,
        Effect.gen(function*() {
          const log = yield* EventLog
          yield* Effect.forEach(
            Array.from({ length: 60 }, (_, call) => call),
            (call) => log.append(Array.from({ length: 40 }, (_, i) => record(`v${i % 11}`, `${call} ${i}`))),
            { concurrency: "unbounded", discard: true }
          )
          const held = yield* readAll
          assert.strictEqual(held.flat().length, 60 * 40)
          for (const records of held) {
            const newest = new Map<string, number>()
            records.forEach((one, i) => {
              assert.strictEqual(one.offset, i)
              const [call, n] = one.value.split(" ") as [string, string]
              assert.isAbove(Number(n), newest.get(call) ?? -1)
              newest.set(call, Number(n))
            })
          }
        })
      ).pipe(Effect.scoped))

    it.live("refuses to read what it does not hold", () =>
      withLog(
        2,
        Effect.gen(function*() {
          const log = yield* EventLog
          const beyond = yield* Effect.flip(log.read(first, offset(1), { recordsMax: 1 }).pipe(Stream.runDrain))
          assert.strictEqual(beyond._tag, "OffsetOutOfRange")
          if (beyond._tag === "OffsetOutOfRange") assert.deepStrictEqual([beyond.start, beyond.end], [0, 0])
          const before = yield* Effect.flip(log.read(first, offset(-1), { recordsMax: 1 }).pipe(Stream.runDrain))
          assert.strictEqual(before._tag, "OffsetOutOfRange")
        })
      ).pipe(Effect.scoped))

    it.live("is the same log with the same records when it is opened again", () =>
      Effect.gen(function*() {
        const layer = yield* newLog(2)
        const records = Array.from({ length: 50 }, (_, i) => record(`v${i}`, String(i)))
        const before = yield* Effect.gen(function*() {
          const log = yield* EventLog
          yield* log.append(records)
          return { id: log.logId, held: yield* readAll }
        }).pipe(Effect.provide(layer))
        const after = yield* Effect.gen(function*() {
          const log = yield* EventLog
          return { id: log.logId, held: yield* readAll }
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual(after, before)
        assert.isNotEmpty(before.id)
      }).pipe(Effect.scoped))

    it.live("trims nothing that is young enough, and moves the start past what it trims", () =>
      withLog(
        2,
        Effect.gen(function*() {
          const log = yield* EventLog
          const [receipt] = yield* log.append([record("v", "1"), record("v", "2")])
          assert.strictEqual(yield* log.trim(receipt!.appendedAt), 0)
          assert.strictEqual(yield* log.trim(epochMillis(receipt!.appendedAt + 1)), 2)
          const { end, start: held } = (yield* log.ranges)[receipt!.partition]!
          assert.deepStrictEqual([held, end], [2, 2])
          const error = yield* Effect.flip(readCount(receipt!.partition, start, 1))
          assert.strictEqual(error._tag, "OffsetOutOfRange")
          const [next] = yield* log.append([record("v", "3")])
          assert.strictEqual(next!.offset, offset(2))
        })
      ).pipe(Effect.scoped))
  })

const firstBatch = (recordsMax: number) =>
  Effect.gen(function*() {
    const log = yield* EventLog
    const batches = yield* log.read(first, start, { recordsMax }).pipe(Stream.take(1), Stream.runCollect)
    return batches[0]!
  })
