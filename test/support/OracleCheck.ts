/** Holds a real database to the naive oracle of the simulation: its tables as the rows that the simulation's checks read. */
import { Effect, Stream } from "effect"
import { EventKind, isEvent } from "../../src/domain/EventBatch.ts"
import type { Offset, Partition } from "../../src/domain/Identifiers.ts"
import { EventDecoder } from "../../src/log/WireFormat.ts"
import { decodeBatch } from "../../src/pipeline/Decoding.ts"
import { StateStore } from "../../src/warehouse/StateStore.ts"
import { check } from "../simulation/Checks.ts"
import type { MemoryWarehouse, Row } from "../simulation/MemoryWarehouse.ts"
import type { LogRecord } from "../simulation/Scenario.ts"
import type { Place } from "./PipelineRun.ts"
import { layerOf } from "./PipelineRun.ts"

/** What the database says otherwise than the oracle; the log must be drained. Slow: for logs of some thousand records. */
export const oracleViolations = Effect.fnUntraced(function*(place: Place) {
  const rows: Record<string, ReadonlyArray<Row>> = {}
  for (const [table, select] of Object.entries(selects)) {
    rows[table] = (yield* place.warehouse.query(select)).map(typed)
  }
  const checkpoints = yield* Effect.provide(StateStore.use((store) => store.checkpoints), layerOf(place))
  const warehouse: Pick<MemoryWarehouse, "rows" | "checkpoints"> = {
    rows: (table) => rows[table]!,
    checkpoints: () => checkpoints
  }
  const scenario = { settings: place.settings, log: yield* logRecords(place) }
  return check(scenario, warehouse as MemoryWarehouse)
})

const time = (name: string): string => `toUnixTimestamp64Milli(${name}) AS ${name}_ms`
const place = "partition, offset"

/** Times as epoch ms in a column `.._ms`, 128-bit amounts as `.._units`: `typed` gives them the names and types of the simulation. */
const selects: Readonly<Record<string, string>> = {
  events_raw: `SELECT ${place}, session_id FROM events_raw FINAL`,
  late_events: `SELECT ${place} FROM late_events FINAL`,
  rejected_records: `SELECT ${place} FROM rejected_records FINAL`,
  dead_letters: `SELECT ${place} FROM dead_letters FINAL`,
  control_records: `SELECT ${place} FROM control_records FINAL`,
  sessions_raw: `SELECT session_id, visitor_id, ${time("started_at")}, ${
    time("ended_at")
  }, events, clicks, carts, purchases,
    unique_items, toString(toInt128(revenue * 10000)) AS revenue_units,
    mapApply((k, v) -> (toString(k), toString(toInt128(v * 10000))), revenue_by_currency) AS revenue_by_currency_units,
    entry_url, exit_url, first_referrer, user_agent, merged_into, version FROM sessions_raw FINAL`,
  session_aliases: "SELECT absorbed_id, session_id, version FROM session_aliases FINAL",
  findings_raw: `SELECT finding_id, clicks, unique_items, score, found_at_offset, ${time("appended_at")}, version,
    session_id, withdrawn FROM findings_raw FINAL`,
  touched_days: "SELECT kind, toUInt32(quarter) AS quarter, partition, version FROM touched_days FINAL",
  decision_hashes: "SELECT partition, offset, toString(hash) AS hash FROM decision_hashes"
}

const wide = new Set(["offset", "version", "found_at_offset"])

const typed = (row: Readonly<Record<string, unknown>>): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      if (name.endsWith("_ms")) return [name.slice(0, -"_ms".length), Number(value)]
      if (name.endsWith("_units")) return [name.slice(0, -"_units".length), units(value)]
      return [name, wide.has(name) ? Number(value) : value]
    })
  )

const units = (value: unknown): bigint | ReadonlyMap<string, bigint> =>
  typeof value === "string" ?
    BigInt(value) :
    new Map(Object.entries(value as Record<string, string>).map(([currency, amount]) => [currency, BigInt(amount)]))

/** All records of the log, by partition. */
export const logRecords = Effect.fnUntraced(function*({ log, registry }: Place) {
  const decoder = new EventDecoder((id) => registry.byId(id))
  const found: Array<ReadonlyArray<LogRecord>> = []
  for (const [partition, { end, start }] of (yield* log.ranges).entries()) {
    const records: Array<LogRecord> = []
    if (end > start) {
      yield* log.read(partition as Partition, start, { recordsMax: 1_000 }).pipe(
        Stream.mapEffect((batch) => decodeBatch(decoder, batch)),
        Stream.tap((events) =>
          Effect.sync(() => {
            for (const { appendedAt, content, index, offset } of events.records()) {
              const control = events.kinds[index] === EventKind.control ? events.eventTs[index] : undefined
              records.push({ offset, appendedAt, event: isEvent(content) ? content : undefined, control })
            }
          })
        ),
        Stream.takeUntil(({ offsets }) => (offsets.at(-1)! + 1) as Offset >= end),
        Stream.runDrain
      )
    }
    found.push(records)
  }
  return found
})
