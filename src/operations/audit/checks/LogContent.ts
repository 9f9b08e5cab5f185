/**
 * What is stored of each record against the record itself, as the log holds it. Both sides are summed up over runs of 64 offsets (the
 * stored one by SQL); only runs that differ are looked at row by row. Of the log that is a pass over all records, once.
 */
import { Effect, Stream } from "effect"
import type { EventBatch } from "../../../domain/EventBatch.ts"
import type { Offset, Partition } from "../../../domain/Identifiers.ts"
import type { LogError, OffsetOutOfRange } from "../../../log/EventLog.ts"
import { EventLog } from "../../../log/EventLog.ts"
import type { RegistryError } from "../../../log/SchemaRegistry.ts"
import { SchemaRegistry } from "../../../log/SchemaRegistry.ts"
import { EventDecoder } from "../../../log/WireFormat.ts"
import { decodeBatch } from "../../../pipeline/Decoding.ts"
import type { WarehouseError } from "../../../warehouse/Warehouse.ts"
import { Warehouse } from "../../../warehouse/Warehouse.ts"
import type { AuditContext, Offsets } from "../AuditContext.ts"
import { below, chunksOf, dayMs, modestly, time } from "../AuditContext.ts"
import type { Check, CheckResult, Difference } from "../Check.ts"
import { differencesShownMax } from "../Check.ts"
import { ContentDigest, contentSql, halfSql, recordTables } from "../ContentDigest.ts"
import type { RecordTable } from "../ContentDigest.ts"

export const logContent: Check = {
  name: "log content",
  promise: "What is stored of each record, in every column, is what the log holds at its offset",
  needsEvents: false,
  run: Effect.fnUntraced(
    function*(
      context
    ): Effect.fn.Return<
      CheckResult,
      WarehouseError | LogError | OffsetOutOfRange | RegistryError,
      Warehouse | EventLog | SchemaRegistry
    > {
      const log = yield* EventLog
      const first = context.partitions[0]!
      if (first.logId !== log.logId || first.partitions !== log.partitions) {
        return { ...nothing, unchecked: "all: this is another log" }
      }
      const decoder = new EventDecoder((yield* SchemaRegistry).byId)
      const look = new Look(context, decoder)
      for (const chunk of wholeRuns(yield* offsetsOfScope(context), log.partitions, context.sliceEventsMax * 10)) {
        yield* look.at(chunk)
      }
      return look.result
    }
  )
}

const nothing: CheckResult = { examined: 0, differences: 0, sample: [] }

/** Offsets that one sum stands for: as many as a UInt64 has bits. */
const runLength = 64

/** Runs that are looked at row by row; there are more only when very much is wrong. */
const suspectsMax = 500

/** Records that are decoded at a time: some milliseconds. */
const readRecordsMax = 2_000

/** partition UInt16, run UInt64, bits of the offsets that have a row UInt64, sums of both halves of their digests UInt64. */
const rowBytes = 2 + 4 * 8

const inScope = ({ scope }: AuditContext, { time: column }: RecordTable): string =>
  scope === "all" ? "1" : `${column} >= ${time(scope.dayStart)} AND ${column} < ${time(scope.dayStart + dayMs)}`

const offsetsOfScope = Effect.fnUntraced(function*(
  context: AuditContext
): Effect.fn.Return<Offsets, WarehouseError, Warehouse> {
  const each = recordTables.map((table) =>
    `SELECT min(offset) AS least, max(offset) + 1 AS beyond, count() AS records FROM ${table.table}
     WHERE offset < ${below(context)} AND ${inScope(context, table)}`
  )
  const [row] = yield* (yield* Warehouse).query(
    `SELECT minIf(least, records > 0) AS begin, maxIf(beyond, records > 0) AS end FROM (${
      each.join(" UNION ALL ")
    }) ${modestly}`
  )
  return { from: Math.floor(Number(row!["begin"]) / runLength) * runLength, to: Number(row!["end"]) }
})

/** Chunks of whole runs that read some `recordsMax` records of all partitions together. */
const wholeRuns = ({ from, to }: Offsets, partitions: number, recordsMax: number): ReadonlyArray<Offsets> => {
  const step = Math.max(1, Math.floor(recordsMax / partitions / runLength)) * runLength
  return chunksOf({ from, to }, 1, step)
}

/** Rows of one table and one partition within a chunk of offsets, by run. */
class Runs {
  /** Bits of the offsets that have a row, two numbers a run. */
  readonly present: Uint32Array
  /** What remains of the sums of both halves of the digests, two numbers a run: zero when all is well. */
  readonly sums: Float64Array
  constructor(count: number) {
    this.present = new Uint32Array(count * 2)
    this.sums = new Float64Array(count * 2)
  }
}

/** A run of one table that does not add up. */
interface Suspect {
  readonly table: RecordTable
  readonly partition: Partition
  readonly from: Offset
}

class Look {
  readonly #context: AuditContext
  readonly #decoder: EventDecoder
  readonly #digest = new ContentDigest()
  readonly #sample: Array<Difference> = []
  readonly #unchecked = new Map<number, Offset>()
  #examined = 0
  #differences = 0
  #suspects = 0

  constructor(context: AuditContext, decoder: EventDecoder) {
    this.#context = context
    this.#decoder = decoder
  }

  get result(): CheckResult {
    const texts = [...this.#unchecked].map(([partition, start]) =>
      `partition ${partition} before offset ${start}: the log no longer holds it`
    )
    if (this.#suspects > suspectsMax) {
      texts.push(`${this.#suspects - suspectsMax} more runs of ${runLength} offsets that do not add up, row by row`)
    }
    return {
      examined: this.#examined,
      differences: this.#differences,
      sample: this.#sample,
      ...(texts.length === 0 ? {} : { unchecked: texts.join("; ") })
    }
  }

  /** Compares a chunk of offsets of every partition. */
  at(chunk: Offsets) {
    return Effect.gen({ self: this }, function*() {
      const stored = yield* this.#stored(chunk)
      const suspects: Array<Suspect> = []
      for (const { offset, partition } of this.#context.partitions) {
        const tables = recordTables.flatMap((table) => {
          const runs = stored.get(keyOf(table, partition))
          return runs === undefined ? [] : [{ table, runs }]
        })
        if (tables.length === 0) continue
        const to = Math.min(chunk.to, offset)
        const start = yield* this.#read(partition, { from: chunk.from, to }, (events) => {
          for (let i = 0; i < events.count; i++) this.#take(tables, events, i, chunk.from)
        })
        for (const { runs, table } of tables) {
          for (let run = 0; run < runs.sums.length / 2; run++) {
            const from = chunk.from + run * runLength
            const isWhole = runs.sums[run * 2] === 0 && runs.sums[run * 2 + 1] === 0
            if (isWhole || from + runLength <= start) continue
            suspects.push({ table, partition: partition as Partition, from: from as Offset })
          }
        }
      }
      for (const suspect of suspects) if (++this.#suspects <= suspectsMax) yield* this.#closely(suspect)
    })
  }

  /** What the tables have, by table and partition. */
  #stored(chunk: Offsets) {
    return Effect.gen({ self: this }, function*() {
      const warehouse = yield* Warehouse
      const found = new Map<string, Runs>()
      for (const table of recordTables) {
        const rows = `
          SELECT partition, intDiv(offset, ${runLength}) AS run, groupBitOr(bitShiftLeft(toUInt64(1), offset % ${runLength})) AS present,
            sum(toUInt64(${halfSql("content", 0)})) AS low, sum(toUInt64(${halfSql("content", 1)})) AS high
          FROM (
            SELECT partition, offset, ${contentSql(table)} AS content FROM ${table.table} FINAL
            WHERE offset >= ${chunk.from} AND offset < ${chunk.to} AND offset < ${below(this.#context)} AND ${
          inScope(this.#context, table)
        }
          ) GROUP BY partition, run ${modestly}`
        yield* warehouse.queryRows(rows, rowBytes, (bytes) => {
          for (let at = 0; at < bytes.length; at += rowBytes) {
            const key = keyOf(table, bytes.readUInt16LE(at))
            let runs = found.get(key)
            if (runs === undefined) found.set(key, runs = new Runs(Math.ceil((chunk.to - chunk.from) / runLength)))
            const run = Number(bytes.readBigUInt64LE(at + 2)) - chunk.from / runLength
            runs.present[run * 2] = bytes.readUInt32LE(at + 10)
            runs.present[run * 2 + 1] = bytes.readUInt32LE(at + 14)
            runs.sums[run * 2] = Number(bytes.readBigUInt64LE(at + 18))
            runs.sums[run * 2 + 1] = Number(bytes.readBigUInt64LE(at + 26))
          }
        })
      }
      return found
    })
  }

  /** Takes a record off the sums of the table that has a row of it. */
  #take(
    tables: ReadonlyArray<{ readonly table: RecordTable; readonly runs: Runs }>,
    events: EventBatch,
    index: number,
    from: number
  ): void {
    const at = events.offsets[index]! - from
    const run = Math.floor(at / runLength)
    const bit = at % runLength
    for (const { runs: { present, sums }, table } of tables) {
      if ((present[run * 2 + (bit >>> 5)]! >>> (bit & 31) & 1) === 0) continue
      this.#examined++
      this.#digest.begin()
      if (!table.write(this.#digest, events, index)) continue
      this.#digest.end()
      sums[run * 2]! -= this.#digest.halves[0]!
      sums[run * 2 + 1]! -= this.#digest.halves[1]!
    }
  }

  /** Shows the records of a partition, decoded, and returns the first offset that the log holds. */
  #read(partition: number, { from, to }: Offsets, show: (events: EventBatch) => void) {
    return Effect.gen({ self: this }, function*() {
      const log = yield* EventLog
      const range = (yield* log.ranges)[partition]!
      const begin = Math.max(from, range.start) as Offset
      if (range.start > from) this.#unchecked.set(partition, range.start)
      const end = Math.min(to, range.end)
      if (begin >= end) return range.start
      yield* log.read(partition as Partition, begin, { recordsMax: readRecordsMax }).pipe(
        Stream.mapEffect((batch) => decodeBatch(this.#decoder, batch)),
        Stream.takeUntil((events) => events.offsets[events.count - 1]! >= end - 1),
        Stream.runForEach((events) =>
          Effect.sync(() => {
            show(events)
            events.release()
          })
        )
      )
      return range.start
    })
  }

  /** Compares the rows of a run with their records, field by field. */
  #closely({ from, partition, table }: Suspect) {
    return Effect.gen({ self: this }, function*() {
      const fields = Object.entries(table.fields)
      const rows = yield* (yield* Warehouse).query(
        `SELECT toString(offset) AS at, [${
          fields.map(([, sql]) => `hex(${sql})`).join(", ")
        }] AS texts FROM ${table.table} FINAL
         WHERE partition = ${partition} AND offset >= ${from} AND offset < ${from + runLength}
           AND offset < ${below(this.#context)} AND ${inScope(this.#context, table)} ORDER BY offset ${modestly}`
      )
      const records = new Map<number, ReadonlyArray<string> | undefined>()
      // Up to the checkpoint: before it there is a record for certain, and behind it one may never come.
      const checkpoint = this.#context.partitions.find((each) => each.partition === partition)!.offset
      const to = Math.min(from + runLength, checkpoint)
      const start = yield* this.#read(partition, { from, to }, (events) => {
        for (let i = 0; i < events.count; i++) {
          const offset = events.offsets[i]!
          if (offset >= to) break
          this.#digest.begin()
          records.set(offset, table.write(this.#digest, events, i) ? this.#digest.fields() : undefined)
        }
      })
      for (const row of rows) {
        const offset = Number(row["at"])
        // Trimmed meanwhile.
        if (offset < start) continue
        const place = { table: table.table, partition, offset: String(offset) }
        const record = records.get(offset)
        if (record === undefined) {
          const why = records.has(offset) ? "no event" : "no record"
          this.#differ({ ...place, why: `the log holds ${why} there` })
          continue
        }
        const texts = row["texts"] as ReadonlyArray<string>
        const differing = fields.flatMap(([field], i) => {
          const [stored, held] = [texts[i]!, record[i]!].map(spoken(field))
          return stored === held ? [] : [{ field, stored, log: held }]
        })
        if (differing.length > 0) {
          this.#differ({
            ...place,
            ...differing[0],
            fields: differing.map(({ field }) => field)
          })
        }
      }
    })
  }

  #differ(difference: Difference): void {
    this.#differences++
    if (this.#sample.length < differencesShownMax) this.#sample.push(difference)
  }
}

const keyOf = ({ table }: RecordTable, partition: number): string => `${table} ${partition}`

/** Bytes stay hex; texts that are no UTF-8 are compared as they are read. */
const spoken = (field: string) => (hex: string): string =>
  isBytes.has(field) ? hex.toLowerCase() : Buffer.from(hex, "hex").toString()

const isBytes: ReadonlySet<string> = new Set(["key", "value", "headers", "original"])
