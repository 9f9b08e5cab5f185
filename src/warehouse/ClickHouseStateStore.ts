/**
 * The state store in ClickHouse: recovery's questions as SQL. All partitions of a process share each query, and nothing but
 * events below the checkpoint is trusted: session rows only say whose events are worth reading, and from when.
 */
import { Effect, Layer } from "effect"
import type { Offset, Partition } from "../domain/Identifiers.ts"
import type { CoreSettings } from "../domain/Settings.ts"
import { fingerprintSql, fingerprintWords } from "../sessionizer/Fingerprint.ts"
import { noWatermark } from "./FlushBlocks.ts"
import { reachable, time } from "./RecoverySql.ts"
import { RowBinaryReader } from "./RowBinaryReader.ts"
import type { Checkpoint, PartitionBounds, SeenIdsTaker } from "./StateStore.ts"
import { StateStore } from "./StateStore.ts"
import { busyEvents, readHistories, readOpenHistories } from "./VisitorHistories.ts"
import { Warehouse } from "./Warehouse.ts"

/** @param busyEventsMin a visitor with so many events in a session is read apart */
export const layer = (
  settings: CoreSettings,
  busyEventsMin: number = busyEvents
): Layer.Layer<StateStore, never, Warehouse> => Layer.effect(StateStore, make(settings, busyEventsMin))

const make = Effect.fnUntraced(
  function*(settings: CoreSettings, busyEventsMin: number): Effect.fn.Return<StateStore["Service"], never, Warehouse> {
    const warehouse = yield* Warehouse
    return StateStore.of({
      checkpoints: Effect.map(warehouse.query(checkpointsSql), (rows) => rows.map(checkpointOf)),
      openVisitors: (partitions, visit) => {
        const known = partitions.filter(({ reachableFrom }) => reachableFrom > -Infinity)
        if (known.length === 0) return Effect.void
        return warehouse.queryRows(openVisitorsSql(reachable(known)), openVisitorBytes, (rows) => {
          const reader = new RowBinaryReader(rows)
          while (!reader.done) {
            visit(reader.uint16() as Partition, reader.uint32(), reader.integer(), reader.integer())
          }
        })
      },
      seenIds: Effect.fnUntraced(function*(partitions, taker) {
        const known = partitions.filter(({ seenFrom }) => seenFrom > -Infinity)
        if (known.length === 0) return
        const counts = new RowBinaryReader(yield* warehouse.queryBytes(seenCountsSql(known)))
        while (!counts.done) taker.expect(counts.uint16() as Partition, counts.integer())
        const ids = new IdsByPartition(taker)
        yield* warehouse.queryRows(seenIdsSql(known), seenIdBytes, (rows) => ids.take(rows))
        ids.end()
      }),
      openHistories: (request, visit) => readOpenHistories(warehouse, request, settings.reportingCurrency, visit),
      histories: (request, visit) =>
        readHistories(warehouse, request, settings.reportingCurrency, busyEventsMin, visit),
      disagreements: Effect.map(warehouse.query(disagreementsSql), (rows) =>
        rows.map((row) => ({
          partition: Number(row["partition"]),
          offset: Number(row["offset"]),
          runs: row["runs"] as ReadonlyArray<string>
        }))),
      write: (block) => warehouse.insert(block)
    })
  }
)

const checkpointsSql = `
SELECT partition, offset, watermark_ms, counters, decision_hash, record_hash, log_id, partitions, settings, core_version, run_id
FROM checkpoints FINAL
WHERE (partition, offset) IN (SELECT partition, max(offset) FROM checkpoints GROUP BY partition)
ORDER BY partition`

const disagreementsSql = `
SELECT partition, offset, groupUniqArray(concat('run ', run_id, ': ', toString(hash))) AS runs
FROM decision_hashes
GROUP BY partition, offset, core_version
HAVING uniqExact(hash) > 1
ORDER BY partition, offset
LIMIT 10`

const checkpointOf = (row: Readonly<Record<string, unknown>>): Checkpoint => {
  const counters = row["counters"] as Readonly<Record<string, string>>
  const watermark = Number(row["watermark_ms"])
  return {
    partition: Number(row["partition"]) as Partition,
    position: {
      offset: Number(row["offset"]) as Offset,
      watermark: watermark === noWatermark ? -Infinity : watermark,
      counts: {
        received: Number(counters["received"]),
        accepted: Number(counters["accepted"]),
        duplicate: Number(counters["duplicate"]),
        late: Number(counters["late"]),
        rejected: Number(counters["rejected"]),
        deadLettered: Number(counters["dead_lettered"])
      },
      decisionHash: BigInt(String(row["decision_hash"]))
    },
    recordHash: String(row["record_hash"]),
    logId: String(row["log_id"]),
    partitions: Number(row["partitions"]),
    settings: String(row["settings"]),
    coreVersion: Number(row["core_version"]),
    runId: String(row["run_id"])
  }
}

/** A partition, a hash and two times. */
const openVisitorBytes = 2 + 4 + 8 + 8

/** Without FINAL: any version may carry the bound, tombstones too. */
const openVisitorsSql = (condition: string): string => `
SELECT partition, kafkaMurmurHash(visitor_id) AS hash, toUnixTimestamp64Milli(min(started_at)), toUnixTimestamp64Milli(max(ended_at))
FROM sessions_raw
WHERE ${condition}
GROUP BY partition, hash`

/** A partition, a fingerprint and a time. */
const seenIdBytes = 2 + fingerprintWords * 4 + 8

type SeenBounds = ReadonlyArray<PartitionBounds & { readonly seenFrom: number }>

const seenCountsSql = (partitions: SeenBounds): string => `
SELECT partition, count()
${fromSeen(partitions)}
GROUP BY partition`

const seenIdsSql = (partitions: SeenBounds): string => `
SELECT partition, ${fingerprintSql}, toUnixTimestamp64Milli(event_ts)
${fromSeen(partitions)}`

const fromSeen = (partitions: SeenBounds): string => {
  const from = Math.min(...partitions.map(({ seenFrom }) => seenFrom))
  const conditions = partitions.map(({ durable, partition, seenFrom }) =>
    `(partition = ${partition} AND offset < ${durable} AND event_ts >= ${time(seenFrom)})`
  )
  return `FROM events_raw
WHERE toStartOfHour(event_ts) >= toStartOfHour(${time(from)}) AND event_ts >= ${time(from)} AND (${
    conditions.join(" OR ")
  })`
}

/** Sorts ids by partition, so that they are shown many at a time. */
class IdsByPartition {
  readonly #taker: SeenIdsTaker
  readonly #waiting = new Map<Partition, { prints: Int32Array; times: Float64Array; count: number }>()

  constructor(taker: SeenIdsTaker) {
    this.#taker = taker
  }

  take(rows: Buffer): void {
    for (let at = 0; at < rows.length; at += seenIdBytes) {
      const partition = rows.readUInt16LE(at) as Partition
      let ids = this.#waiting.get(partition)
      if (ids === undefined) {
        ids = { prints: new Int32Array(idsAtOnce * fingerprintWords), times: new Float64Array(idsAtOnce), count: 0 }
        this.#waiting.set(partition, ids)
      }
      for (let word = 0; word < fingerprintWords; word++) {
        ids.prints[ids.count * fingerprintWords + word] = rows.readInt32LE(at + 2 + word * 4)
      }
      const time = at + 2 + fingerprintWords * 4
      ids.times[ids.count++] = rows.readUInt32LE(time) + rows.readInt32LE(time + 4) * 4_294_967_296
      if (ids.count < idsAtOnce) continue
      this.#taker.take(partition, ids.prints, ids.times, ids.count)
      ids.count = 0
    }
  }

  end(): void {
    for (const [partition, { count, prints, times }] of this.#waiting) this.#taker.take(partition, prints, times, count)
  }
}

/** Ids of one partition that are shown together. */
const idsAtOnce = 1_024
