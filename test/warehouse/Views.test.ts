import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import type { Column } from "../../src/warehouse/TableBlock.ts"
import type { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { sameSessions } from "../support/SessionViews.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"

const dayMs = 86_400_000
const firstDay = Date.UTC(2024, 0, 1)
const days = 60

layer(TemporaryWarehouse, { excludeTestServices: true })("views", (it) => {
  it.effect("read only the days and months that a filter on time names", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      yield* fill(warehouse)
      const from = "'2024-01-20 10:00:00'"
      const to = "'2024-01-20 11:00:00'"
      const prefix = Date.UTC(2024, 0, 20).toString(16).padStart(12, "0")
      const next = Date.UTC(2024, 0, 21).toString(16).padStart(12, "0")
      assert.deepStrictEqual(
        yield* partsRead(warehouse, {
          "events": "SELECT * FROM events",
          "events by instant": `SELECT * FROM events WHERE event_ts >= ${from} AND event_ts < ${to}`,
          "events by day": "SELECT count() FROM events WHERE toDate(event_ts) = '2024-01-20'",
          "events grouped":
            `SELECT session_id, count() FROM events WHERE event_ts >= ${from} AND event_ts < ${to} GROUP BY 1`,
          "sessions": "SELECT * FROM sessions",
          "sessions by start": `SELECT * FROM sessions WHERE started_at >= ${from} AND started_at < ${to}`,
          "sessions by end": `SELECT * FROM sessions WHERE ended_at >= ${from} AND ended_at < ${to}`,
          "sessions by id":
            `SELECT * FROM sessions WHERE session_id >= '${prefix}' AND session_id < '${next}' LIMIT 50`,
          "anomalies": "SELECT * FROM anomalies",
          "anomalies by window": `SELECT * FROM anomalies WHERE window_start >= ${from} AND window_start < ${to}`,
          "session_events": `SELECT * FROM session_events(session_id = '${sessionId(20)}')`
        }),
        {
          "events": [days, days, days],
          "events by instant": [1, 1, days],
          "events by day": [1, 1, days],
          "events grouped": [1, 1, days],
          "sessions": [days, days, days],
          "sessions by start": [days, 1, days],
          "sessions by end": [days, 1, days],
          "sessions by id": [1, 1, days],
          "anomalies": [2, 2, 2],
          "anomalies by window": [1, 1, 2],
          "session_events": [1, 1, days]
        }
      )
    }))

  it.effect("show an event once, in the session that holds it now", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const [a, b, c] = [sessionId(1), sessionId(2), sessionId(3)]
      const events = (ids: ReadonlyArray<string>) =>
        warehouse.insert({
          table: "events_raw",
          rows: ids.length,
          columns: [
            strings("event_id", ids.map((id) => `event-of-${id}`)),
            strings("visitor_id", ids.map(() => "ada")),
            times("event_ts", ids.map((_, index) => firstDay + index)),
            strings("session_id", ids)
          ]
        })
      yield* events([a, b, c])
      yield* events([a, b, c])
      // c went into b, then b into a: both point to a.
      yield* aliases(warehouse, [[c, b, 5], [b, a, 6], [c, a, 6]])
      yield* aliases(warehouse, [[c, b, 5]])
      yield* sessions(warehouse, [{ id: a, version: 6 }, { id: b, version: 6, mergedInto: a }, {
        id: c,
        version: 6,
        mergedInto: a
      }])
      assert.deepStrictEqual(
        yield* warehouse.query("SELECT event_id, session_id FROM events ORDER BY event_ts"),
        [a, b, c].map((id) => ({ event_id: `event-of-${id}`, session_id: a }))
      )
      assert.deepStrictEqual(
        yield* warehouse.query("SELECT event_id FROM session_events(session_id = {id:String})", { id: a }),
        [a, b, c].map((id) => ({ event_id: `event-of-${id}` }))
      )
    }))

  it.effect("show a session's newest version only, whatever arrives late, and no absorbed one", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const [living, absorbed] = [sessionId(1), sessionId(2)]
      const shown = (filter: string) =>
        warehouse.query(`SELECT session_id, version FROM sessions WHERE ${filter} ORDER BY session_id`)
      yield* sessions(warehouse, [
        { id: living, version: 9, startedAt: firstDay + 1_000 },
        { id: absorbed, version: 9, mergedInto: living }
      ])
      yield* sessions(warehouse, [{ id: living, version: 4, startedAt: firstDay + 600_000 }, {
        id: absorbed,
        version: 4
      }])
      assert.deepStrictEqual(yield* shown("true"), [{ session_id: living, version: "9" }])
      // The index on started_at finds the old version's row only; it must not come back from the dead.
      assert.deepStrictEqual(yield* shown("started_at >= '2024-01-01 00:05:00'"), [])
      assert.lengthOf(yield* sameSessions(warehouse), 1)
      yield* warehouse.command("OPTIMIZE TABLE sessions_raw FINAL")
      yield* sessions(warehouse, [{ id: absorbed, version: 4 }])
      assert.lengthOf(yield* sameSessions(warehouse), 1)
      assert.deepStrictEqual(yield* shown("true"), [{ session_id: living, version: "9" }])
    }))

  it.effect("call a session open until nothing acceptable can reach it", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const { gapMs, latenessMs } = defaultCoreSettings
      const watermark = firstDay + 10 * 3_600_000
      const edge = watermark - latenessMs - gapMs
      yield* sessions(warehouse, [
        { id: sessionId(1), version: 1, endedAt: edge - 1, partition: 0 },
        { id: sessionId(2), version: 1, endedAt: edge, partition: 0 },
        { id: sessionId(3), version: 1, endedAt: edge - 1, partition: 1 },
        { id: sessionId(4), version: 1, endedAt: edge - 1, partition: 2 }
      ])
      const open = Effect.map(
        warehouse.query("SELECT is_open FROM sessions ORDER BY session_id"),
        (rows) => rows.map((row) => row["is_open"])
      )
      assert.deepStrictEqual(yield* open, [true, true, true, true])
      yield* checkpoints(warehouse, [
        [0, 100, watermark - 1],
        [0, 300, watermark],
        [0, 200, watermark - 1],
        [1, 900, Number.MIN_SAFE_INTEGER]
      ])
      assert.deepStrictEqual(yield* open, [false, true, true, true])
      yield* sameSessions(warehouse)
    }))

  it.effect("know the newest checkpoint of each partition, read only those of the last hour, and never go back", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const { gapMs, latenessMs } = defaultCoreSettings
      const now = firstDay + 10 * 3_600_000
      const edge = (watermark: number) => watermark - latenessMs - gapMs
      const newest = Effect.map(
        warehouse.query("SELECT partition, offset, watermark_ms, counters['accepted'] AS n FROM newest_checkpoints"),
        (rows) => rows.map((row) => [row["partition"], Number(row["offset"]), Number(row["watermark_ms"]), row["n"]])
      )
      const open = Effect.map(
        warehouse.query("SELECT is_open FROM sessions ORDER BY session_id"),
        (rows) => rows.map((row) => row["is_open"])
      )
      assert.deepStrictEqual(yield* newest, [])
      // Partition 1 has been quiet for hours.
      yield* checkpoints(warehouse, [[0, 100, now - 5, now - 4 * 3_600_000], [1, 70, now - 9, now - 4 * 3_600_000]])
      yield* checkpoints(warehouse, [[0, 300, now, now], [0, 200, now - 1, now]])
      const without = [[0, 300, now, "300"], [1, 70, now - 9, "70"]]
      assert.deepStrictEqual(yield* newest, without)
      yield* sessions(warehouse, [
        { id: sessionId(1), version: 1, endedAt: edge(now) - 1, partition: 0 },
        { id: sessionId(2), version: 1, endedAt: edge(now - 9) - 1, partition: 1 },
        { id: sessionId(3), version: 1, endedAt: edge(now - 9), partition: 1 }
      ])
      assert.deepStrictEqual(yield* open, [false, false, true])
      yield* warehouse.command(
        `INSERT INTO kpi_frontier (pass, partitions, offsets, closed_ms, written_at)
         VALUES (1, [0, 1], [300, 70], [${edge(now)}, ${edge(now - 9)}], fromUnixTimestamp64Milli(${now}, 'UTC'))`
      )
      assert.deepStrictEqual(yield* newest, without)
      assert.deepStrictEqual(yield* open, [false, false, true])
      yield* checkpoints(warehouse, [[0, 400, now + 1, now + 1]])
      assert.deepStrictEqual(yield* newest, [[0, 400, now + 1, "400"], [1, 70, now - 9, "70"]])
      yield* sameSessions(warehouse)
      // What says that it was written hours before the newest ones is not looked for.
      yield* checkpoints(warehouse, [[1, 80, now - 8, now - 4 * 3_600_000]])
      assert.deepStrictEqual(yield* newest, [[0, 400, now + 1, "400"], [1, 70, now - 9, "70"]])
    }))

  it.effect("show the findings that stand", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const [absorbed, holder] = [sessionId(2), sessionId(1)]
      yield* aliases(warehouse, [[absorbed, holder, 5]])
      yield* findings(warehouse, [
        { id: "stands", day: 0, version: 7, session: absorbed },
        { id: "stands", day: 0, version: 3, withdrawn: 1 },
        { id: "withdrawn", day: 1, version: 3 },
        { id: "withdrawn", day: 1, version: 7, withdrawn: 1 }
      ])
      yield* findings(warehouse, [{ id: "withdrawn", day: 1, version: 3 }])
      assert.deepStrictEqual(
        yield* warehouse.query("SELECT finding_id, session_id, version FROM anomalies"),
        [{ finding_id: "stands", session_id: holder, version: "7" }]
      )
    }))
})

const sessionId = (day: number): string =>
  (firstDay + (day - 1) * dayMs).toString(16).padStart(12, "0") + String(day).padStart(20, "0")

const strings = (name: string, values: ReadonlyArray<string>): Column => ({ name, type: "String", values })
const times = (name: string, values: ReadonlyArray<number>): Column => ({ name, type: "DateTime64(3, 'UTC')", values })
const counts = (name: string, values: ReadonlyArray<number>): Column => ({ name, type: "UInt64", values })

interface SessionRow {
  readonly id: string
  readonly version: number
  readonly startedAt?: number
  readonly endedAt?: number
  readonly mergedInto?: string
  readonly partition?: number
}

const sessions = (warehouse: Warehouse["Service"], rows: ReadonlyArray<SessionRow>) =>
  warehouse.insert({
    table: "sessions_raw",
    rows: rows.length,
    columns: [
      strings("session_id", rows.map((row) => row.id)),
      strings("visitor_id", rows.map(() => "ada")),
      times("started_at", rows.map((row) => row.startedAt ?? firstDay)),
      times("ended_at", rows.map((row) => row.endedAt ?? firstDay + 3_600_000)),
      strings("merged_into", rows.map((row) => row.mergedInto ?? "")),
      { name: "partition", type: "UInt16", values: rows.map((row) => row.partition ?? 0) },
      counts("version", rows.map((row) => row.version))
    ]
  })

const aliases = (warehouse: Warehouse["Service"], rows: ReadonlyArray<readonly [string, string, number]>) =>
  warehouse.insert({
    table: "session_aliases",
    rows: rows.length,
    columns: [
      strings("absorbed_id", rows.map(([absorbed]) => absorbed)),
      strings("session_id", rows.map(([, session]) => session)),
      counts("version", rows.map(([, , version]) => version))
    ]
  })

type CheckpointRow = readonly [partition: number, offset: number, watermark: number, writtenAt?: number]

const checkpoints = (warehouse: Warehouse["Service"], rows: ReadonlyArray<CheckpointRow>) =>
  warehouse.insert({
    table: "checkpoints",
    rows: rows.length,
    columns: [
      { name: "partition", type: "UInt16", values: rows.map(([partition]) => partition) },
      counts("offset", rows.map(([, offset]) => offset)),
      { name: "watermark_ms", type: "Int64", values: rows.map(([, , watermark]) => watermark) },
      times("written_at", rows.map(([, , , writtenAt]) => writtenAt ?? firstDay)),
      {
        name: "counters",
        type: "Map(String, UInt64)",
        values: rows.map(([, offset]) => new Map([["accepted", BigInt(offset)]]))
      },
      strings("settings", rows.map(() => JSON.stringify(defaultCoreSettings)))
    ]
  })

interface FindingRow {
  readonly id: string
  readonly day: number
  readonly version: number
  readonly withdrawn?: number
  readonly session?: string
}

const findings = (warehouse: Warehouse["Service"], rows: ReadonlyArray<FindingRow>) =>
  warehouse.insert({
    table: "findings_raw",
    rows: rows.length,
    columns: [
      strings("finding_id", rows.map((row) => row.id)),
      strings("rule", rows.map(() => "BOT_LIKE")),
      strings("visitor_id", rows.map(() => "ada")),
      strings("session_id", rows.map((row) => row.session ?? "")),
      times("window_start", rows.map((row) => firstDay + row.day * dayMs)),
      { name: "withdrawn", type: "UInt8", values: rows.map((row) => row.withdrawn ?? 0) },
      counts("version", rows.map((row) => row.version))
    ]
  })

/** 100 events, a session and a finding on each of 60 days. */
const fill = Effect.fnUntraced(function*(warehouse: Warehouse["Service"]) {
  const rows = Array.from({ length: days * 100 }, (_, index) => index)
  yield* warehouse.insert({
    table: "events_raw",
    rows: rows.length,
    columns: [
      strings("event_id", rows.map((row) => `e${row}`)),
      strings("visitor_id", rows.map(() => "ada")),
      times("event_ts", rows.map((row) => firstDay + Math.floor(row * dayMs / 100))),
      strings("session_id", rows.map((row) => sessionId(1 + Math.floor(row / 100))))
    ]
  })
  const allDays = Array.from({ length: days }, (_, day) => day)
  yield* sessions(
    warehouse,
    allDays.map((day) => ({
      id: sessionId(day + 1),
      version: 1,
      startedAt: firstDay + day * dayMs + 10.5 * 3_600_000,
      endedAt: firstDay + day * dayMs + 10.9 * 3_600_000
    }))
  )
  yield* findings(warehouse, allDays.map((day) => ({ id: `f${day}`, day, version: 1 })))
})

/** By EXPLAIN: parts left after partition pruning, parts read in the end, and parts that there are. */
const partsRead = Effect.fnUntraced(function*(
  warehouse: Warehouse["Service"],
  queries: Readonly<Record<string, string>>
) {
  const read: Record<string, readonly [number, number, number]> = {}
  for (const [name, sql] of Object.entries(queries)) {
    const lines = yield* warehouse.query(`EXPLAIN indexes = 1 ${sql}`)
    const steps = lines.flatMap((line) => [...String(line["explain"]).matchAll(/Parts: (\d+)\/(\d+)/g)])
    assert.isAbove(steps.length, 1, `no index is used: ${name}\n${lines.map((line) => line["explain"]).join("\n")}`)
    read[name] = [Number(steps[1]![1]), Number(steps.at(-1)![1]), Number(steps[0]![2])]
  }
  return read
})
