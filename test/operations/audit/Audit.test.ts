import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { EpochMillis } from "../../../src/domain/Identifiers.ts"
import { endMarkers, heartbeats } from "../../../src/log/ControlRecords.ts"
import type { CheckedPromise } from "../../../src/operations/audit/Audit.ts"
import { slicesOf } from "../../../src/operations/audit/AuditContext.ts"
import { nightly } from "../../../src/operations/audit/Nightly.ts"
import type { TableBlock } from "../../../src/warehouse/TableBlock.ts"
import { WarehouseError } from "../../../src/warehouse/Warehouse.ts"
import { oracleViolations } from "../../support/OracleCheck.ts"
import { runPipeline } from "../../support/PipelineRun.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { eventually } from "../../warehouse/embedded/eventually.ts"
import { auditOf, checksOfTheLog, differencesOf, drained, place } from "./AuditedPlace.ts"

const dayMs = 86_400_000

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("an audit", (it) => {
  it.effect("finds nothing in what the pipeline made, however it is cut into slices", () =>
    Effect.gen(function*() {
      for (const seed of [1, 2]) {
        const made = yield* drained(seed, 2_000)
        const whole = yield* auditOf(made)
        assert.deepStrictEqual(differencesOf(whole), {}, `seed ${seed}: ${JSON.stringify(whole, null, 1)}`)
        assert.deepStrictEqual(whole.checks.map(({ name }) => name), checksOfTheLog.map(({ name }) => name))
        for (const { examined, name } of whole.checks) {
          if (name === "amendments") assert.strictEqual(examined, 0, "nobody amended anything")
          else assert.isAbove(examined, 2, `seed ${seed}, ${name}`)
        }
        const sliced = yield* auditOf(made, { sliceEventsMax: 500 })
        assert.deepStrictEqual(differencesOf(sliced), {}, `seed ${seed}: ${JSON.stringify(sliced, null, 1)}`)
        assert.deepStrictEqual(sliced.checks.map(counts), whole.checks.map(counts), `seed ${seed}`)
      }
    }))

  it.effect("of each day looks at every session, event and finding once", () =>
    Effect.gen(function*() {
      const made = yield* drained(4, 2_000)
      const whole = yield* auditOf(made)
      const days = (yield* made.warehouse.query(
        "SELECT DISTINCT toUnixTimestamp(toDateTime(toDate(event_ts), 'UTC')) * 1000 AS day_ms FROM events_raw"
      )).map((row) => Number(row["day_ms"]))
      assert.isAbove(days.length, 1)
      const parts = yield* Effect.forEach(days, (dayStart) => auditOf(made, { scope: { dayStart } }))
      for (const part of parts) assert.deepStrictEqual(differencesOf(part), {})
      for (const name of ["sessions", "sessions apart", "events in sessions", "findings", "aliases"]) {
        const examined = (report: typeof whole) => report.checks.find((check) => check.name === name)!.examined
        assert.strictEqual(parts.reduce((sum, part) => sum + examined(part), 0), examined(whole), name)
      }
    }))

  it.effect("works out every watermark, also where control records carried time", () =>
    Effect.gen(function*() {
      const made = yield* place(7, 500)
      const now = yield* made.append(100)
      yield* made.log.append(heartbeats(made.log.partitions))
      yield* made.log.append(endMarkers(made.log.partitions, (now + 1_800_000) as EpochMillis))
      yield* made.append(1_000)
      yield* runPipeline(made, { batch: 100 })
      assert.deepStrictEqual(yield* oracleViolations(made), [])
      const [row] = yield* made.warehouse.query(
        "SELECT (SELECT count() FROM late_events) AS late, (SELECT count() FROM control_records) AS controls"
      )
      assert.isAbove(Number(row!["late"]), 100)
      assert.isAbove(Number(row!["controls"]), 2 * made.log.partitions)
      const report = yield* auditOf(made)
      assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
      yield* made.warehouse.command(
        `ALTER TABLE ${made.warehouse.database}.control_records DELETE WHERE 1 SETTINGS mutations_sync = 1`
      )
      assert.include(Object.keys(differencesOf(yield* auditOf(made))), "outcomes")
    }))

  it.effect("leaves its result in the table audits", () =>
    Effect.gen(function*() {
      const made = yield* drained(5, 500)
      const report = yield* auditOf(made, { auditId: "to be found" })
      assert.deepStrictEqual(
        yield* made.warehouse.query(
          `SELECT scope, check_name, promise, toUInt32(examined) AS examined, toUInt32(differences) AS differences, sample, unchecked,
             mapApply((k, v) -> (k, toUInt32(v)), checkpoint) AS checkpoint,
             toUnixTimestamp64Milli(finished_at) >= toUnixTimestamp64Milli(started_at) AS in_order
           FROM audits WHERE audit_id = 'to be found' ORDER BY check_name`
        ),
        report.checks.toSorted((a, b) => a.name < b.name ? -1 : 1).map(({ differences, examined, name, promise }) => ({
          scope: "all",
          check_name: name,
          promise,
          examined,
          differences,
          sample: "[]",
          unchecked: "",
          checkpoint: report.checkpoint,
          in_order: 1
        }))
      )
      assert.strictEqual(Object.keys(report.checkpoint).length, 3)
    }))

  it.effect("outlasts a warehouse that is away for a moment", () =>
    Effect.gen(function*() {
      const { log, registry, warehouse } = yield* drained(9, 300)
      let asked = 0
      const away = new WarehouseError({ message: "away", code: 0, retryable: true })
      const sometimesAway = {
        ...warehouse,
        query: (sql: string, params?: Readonly<Record<string, unknown>>) =>
          Effect.suspend(() => ++asked % 5 === 0 ? Effect.fail(away) : warehouse.query(sql, params)),
        insert: (block: TableBlock) =>
          // The answer is lost, the rows are not.
          Effect.suspend(() =>
            asked++ % 2 === 0 ? Effect.andThen(warehouse.insert(block), Effect.fail(away)) : warehouse.insert(block)
          )
      }
      const report = yield* auditOf({ log, registry, warehouse: sometimesAway })
      assert.deepStrictEqual(differencesOf(report), {})
      assert.isAbove(asked, 10)
      const stored = yield* warehouse.query("SELECT toUInt32(count()) AS rows FROM audits FINAL")
      assert.deepStrictEqual(stored, [{ rows: checksOfTheLog.length }])
      const wrong = new WarehouseError({ message: "wrong", code: 62, retryable: false })
      const refusing = { ...warehouse, query: () => Effect.fail(wrong) }
      assert.strictEqual(yield* Effect.flip(auditOf({ log, registry, warehouse: refusing })), wrong)
    }))

  it.effect("of a database into which nothing was processed examines nothing and finds nothing", () =>
    Effect.gen(function*() {
      const report = yield* auditOf(yield* place(6, 10))
      assert.deepStrictEqual(differencesOf(report), {})
      assert.isTrue(report.checks.every(({ examined }) => examined === 0))
    }))

  for (
    const table of ["session_aliases", "sessions_raw", "touched_days", "decision_hashes", "checkpoints"]
  ) {
    it.effect(`does not look at what a flush left that was killed before it wrote ${table}`, () =>
      Effect.gen(function*() {
        const made = yield* place(7, 2_000)
        let flushes = 0
        const killed = yield* Effect.flip(runPipeline(made, {
          batch: 100,
          around: (store) => ({
            ...store,
            write: (block) =>
              Effect.suspend(() => {
                if (block.table === "events_raw") flushes++
                return flushes > 4 && block.table === table ? Effect.fail(kill) : store.write(block)
              })
          })
        }))
        assert.strictEqual(killed, kill)
        const above = yield* made.warehouse.query(
          `SELECT count() AS rows FROM events_raw WHERE offset >= transform(
             partition, (SELECT groupArray(partition) FROM (${newest})), (SELECT groupArray(offset) FROM (${newest})), 0)`
        )
        assert.isAbove(Number(above[0]!["rows"]), 0)
        assert.deepStrictEqual(differencesOf(yield* auditOf(made)), {})
        // Merges swallow the rows below the checkpoint that the killed flush had newer versions of.
        for (const merged of ["events_raw", "sessions_raw", "session_aliases", "findings_raw"]) {
          yield* made.warehouse.command(`OPTIMIZE TABLE ${merged} FINAL`)
        }
        // Hundreds of rows lie above: more than are looked at again.
        const report = yield* auditOf(made, { recheckedMax: 2 })
        assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
        assert.isAbove(report.checks.find(({ name }) => name === "sessions")!.examined, 20)
      }))
  }

  it.effect("finds nothing after a pipeline that was killed again and again", () =>
    Effect.gen(function*() {
      const made = yield* place(10, 3_000)
      let kills = 0
      for (let done = false; !done;) {
        // Each run dies a little later in its writes, so all kinds of half-done flushes come about.
        let writes = 0
        const result = yield* Effect.result(runPipeline(made, {
          batch: 100,
          around: (store) => ({
            ...store,
            write: (block) => Effect.suspend(() => ++writes > 12 + kills ? Effect.fail(kill) : store.write(block))
          })
        }))
        done = result._tag === "Success"
        if (!done) kills++
      }
      assert.isAbove(kills, 2)
      const report = yield* auditOf(made)
      assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
    }))

  it.effect("is made at night, and leaves its result", () =>
    Effect.gen(function*() {
      const made = yield* drained(12, 300)
      const clock = yield* Layer.build(TestClock.layer())
      yield* Effect.forkScoped(Effect.provide(nightly(3, auditOf(made, { auditId: "by night" })), clock))
      // Not beyond: the clock is also that of the time that a query may take.
      yield* Effect.provide(TestClock.adjust("3 hours"), clock)
      const rows = made.warehouse.query(
        "SELECT toString(started_at) AS started, toUInt32(count()) AS checks FROM audits GROUP BY started_at"
      )
      yield* eventually("an audit is stored", Effect.map(rows, (found) => found.length > 0))
      assert.deepStrictEqual(yield* rows, [{ started: "1970-01-01 03:00:00.000", checks: checksOfTheLog.length }])
    }))

  it.effect("beside a running pipeline finds nothing", () =>
    Effect.gen(function*() {
      const made = yield* place(8, 4_000)
      const running = yield* Effect.forkScoped(runPipeline(made, { batch: 50 }))
      let audits = 0
      for (; running.pollUnsafe() === undefined; audits++) {
        const report = yield* auditOf(made)
        assert.deepStrictEqual(differencesOf(report), {}, JSON.stringify(report, null, 1))
      }
      yield* Fiber.join(running)
      assert.isAbove(audits, 2)
      assert.deepStrictEqual(differencesOf(yield* auditOf(made)), {})
    }))

  it.effect("cuts days into slices without a gap or an overlap", () =>
    Effect.sync(() => {
      const days = [[10, 4], [11, 5], [15, 25], [16, 1], [17, 1]].map(([day, events]) =>
        [day! * dayMs, events!] as const
      )
      const all = slicesOf("all", days, 10)
      assert.deepStrictEqual(
        all.map(({ bucket, buckets, from, to }) => [from / dayMs, Math.floor(to / dayMs), bucket, buckets]),
        [[0, 12, 0, 1], [12, 16, 0, 3], [12, 16, 1, 3], [12, 16, 2, 3], [16, 120529, 0, 1]]
      )
      assert.deepStrictEqual(slicesOf({ dayStart: 11 * dayMs }, days, 10), [
        { from: 11 * dayMs, to: 12 * dayMs, bucket: 0, buckets: 1 }
      ])
      assert.deepStrictEqual(slicesOf({ dayStart: 12 * dayMs }, days, 10), [
        { from: 12 * dayMs, to: 13 * dayMs, bucket: 0, buckets: 1 }
      ])
    }))
})

const counts = ({ differences, examined, name }: CheckedPromise) => ({ name, examined, differences })

const newest = "SELECT partition, max(offset) AS offset FROM checkpoints GROUP BY partition ORDER BY partition"

const kill = new WarehouseError({ message: "killed", code: 0, retryable: false })
