/**
 * A warehouse in memory with the semantics that recovery leans on: tables replace by key, the greatest version wins, a block may
 * land in part when its writer dies, and nothing is ever taken back. It also checks on every write that a key and version have
 * one content.
 */
import { isClick } from "../../src/domain/ClickEvent.ts"
import type { EpochMillis, Offset, Partition, SessionId, VisitorId } from "../../src/domain/Identifiers.ts"
import { positiveMurmur2 } from "../../src/domain/Murmur2.ts"
import { ClickHistory } from "../../src/sessionizer/ClickHistory.ts"
import { FingerprintText, fingerprintWords } from "../../src/sessionizer/Fingerprint.ts"
import type { SessionParts } from "../../src/sessionizer/SessionParts.ts"
import type { SeenHistory, VisitorHistory } from "../../src/sessionizer/VisitorHistory.ts"
import { noWatermark } from "../../src/warehouse/FlushBlocks.ts"
import type {
  Checkpoint,
  HistoryRequest,
  OpenHistoriesRequest,
  PartitionBounds,
  SeenIdsTaker,
  VisitOpenVisitor
} from "../../src/warehouse/StateStore.ts"
import type { TableBlock } from "../../src/warehouse/TableBlock.ts"
import { valuesOf } from "../../src/warehouse/TableBlock.ts"

export type Row = Readonly<Record<string, any>>

/** Key columns, and the column that decides which row of a key stands. */
const tables: Readonly<Record<string, { readonly key: ReadonlyArray<string>; readonly version?: string }>> = {
  events_raw: { key: ["visitor_id", "event_ts", "event_id"] },
  late_events: { key: ["partition", "offset"] },
  rejected_records: { key: ["partition", "offset"] },
  dead_letters: { key: ["partition", "offset"] },
  control_records: { key: ["partition", "offset"] },
  sessions_raw: { key: ["session_id"], version: "version" },
  session_aliases: { key: ["absorbed_id"], version: "version" },
  findings_raw: { key: ["finding_id"], version: "version" },
  touched_days: { key: ["quarter", "partition", "cause", "kind"], version: "version" },
  decision_hashes: { key: ["partition", "offset", "run_id"] },
  checkpoints: { key: ["partition", "offset"] }
}

const fingerprintText = new FingerprintText()

/** Columns that name the run, not the result. */
const runColumns = new Set(["run_id"])

export class MemoryWarehouse {
  readonly #rows = new Map<string, Map<string, Row>>()
  readonly #contents = new Map<string, string>()
  /** Broken promises, in words. */
  readonly violations: Array<string> = []

  /** Writes a block, or only the rows that `lands` picks. */
  write(block: TableBlock, lands: (row: number) => boolean = () => true): void {
    const table = tables[block.table]
    if (table === undefined) throw new Error(`no table ${block.table}`)
    const stored = this.#table(block.table)
    const columns = block.columns.map((column) => ({ name: column.name, values: valuesOf(column) }))
    for (let i = 0; i < block.rows; i++) {
      const row: Row = Object.fromEntries(columns.map(({ name, values }) => [name, values[i]]))
      if (columns.some(({ values }) => values[i] === undefined)) {
        this.violations.push(`${block.table}: a column is shorter than the block`)
      }
      const key = table.key.map((name) => String(row[name])).join("|")
      this.#checkContent(block.table, key, table.version === undefined ? 0 : row[table.version], row)
      if (!lands(i)) continue
      const old = stored.get(key)
      if (old === undefined || table.version === undefined || row[table.version] >= old[table.version]) {
        stored.set(key, row)
      }
    }
  }

  rows(table: string): ReadonlyArray<Row> {
    return [...this.#table(table).values()]
  }

  checkpoints(): ReadonlyArray<Checkpoint> {
    const newest = new Map<number, Row>()
    for (const row of this.rows("checkpoints")) {
      if (row["offset"] >= (newest.get(row["partition"])?.["offset"] ?? 0)) newest.set(row["partition"], row)
    }
    return [...newest.values()].map((row) => ({
      partition: row["partition"],
      position: {
        offset: row["offset"],
        watermark: row["watermark_ms"] === noWatermark ? -Infinity : row["watermark_ms"],
        counts: {
          received: Number(row["counters"].get("received")),
          accepted: Number(row["counters"].get("accepted")),
          duplicate: Number(row["counters"].get("duplicate")),
          late: Number(row["counters"].get("late")),
          rejected: Number(row["counters"].get("rejected")),
          deadLettered: Number(row["counters"].get("dead_lettered"))
        },
        decisionHash: row["decision_hash"]
      },
      recordHash: row["record_hash"],
      logId: row["log_id"],
      partitions: row["partitions"],
      settings: row["settings"],
      coreVersion: row["core_version"],
      runId: row["run_id"]
    }))
  }

  openVisitors(
    bounds: ReadonlyArray<{ readonly partition: Partition; readonly reachableFrom: number }>,
    visit: VisitOpenVisitor
  ): void {
    for (const { partition, reachableFrom } of bounds) {
      for (const row of this.#open(partition, reachableFrom)) {
        visit(partition, positiveMurmur2(row["visitor_id"]), row["started_at"], row["ended_at"])
      }
    }
  }

  histories(
    request: HistoryRequest
  ): ReadonlyArray<{ readonly partition: Partition; readonly history: VisitorHistory }> {
    return request.partitions.flatMap(({ durable, partition, reachableFrom, recentFrom, visitors, withIds }) => {
      const bounds = new Map(
        [...visitors].map(([visitorId, from]) => [visitorId, from ?? this.#bound(partition, visitorId, reachableFrom)])
      )
      // As in SQL, one bound for all visitors of the request: the least.
      const from = Math.min(...bounds.values())
      return [...visitors.keys()].map((visitorId) => {
        if (bounds.get(visitorId) === Infinity) {
          return { partition, history: { visitorId, sessions: [], seen: [], clicks: new ClickHistory() } }
        }
        const events = this.#events(partition, durable).filter((row) => row["visitor_id"] === visitorId)
        return { partition, history: historyOf(visitorId, events, { from, recentFrom, withIds }) }
      })
    })
  }

  openHistories(
    { from, partitions }: OpenHistoriesRequest
  ): ReadonlyArray<{ readonly partition: Partition; readonly history: VisitorHistory }> {
    return partitions.flatMap(({ durable, partition, recentFrom }) =>
      [...Map.groupBy(this.#events(partition, durable), (row) => row["visitor_id"])].map(([visitorId, events]) => ({
        partition,
        history: historyOf(visitorId, events, { from, recentFrom, withIds: false })
      }))
    )
  }

  /** Events below an offset, in log order. */
  #events(partition: Partition, durable: Offset): ReadonlyArray<Row> {
    return this.rows("events_raw").filter((row) => row["partition"] === partition && row["offset"] < durable)
      .toSorted((a, b) => a["offset"] - b["offset"])
  }

  seenIds(
    bounds: ReadonlyArray<PartitionBounds & { readonly seenFrom: number }>,
    taker: SeenIdsTaker
  ): void {
    for (const { durable, partition, seenFrom } of bounds) {
      for (const row of this.rows("events_raw")) {
        if (row["partition"] !== partition || row["offset"] >= durable || row["event_ts"] < seenFrom) continue
        const { prints, times } = seenOf(row)
        taker.take(partition, prints, times, 1)
      }
    }
  }

  /** From when the events of a visitor matter; Infinity: they do not. */
  #bound(partition: Partition, visitorId: string, reachableFrom: number): number {
    return this.#open(partition, reachableFrom)
      .filter((row) => row["visitor_id"] === visitorId)
      .reduce((least, row) => Math.min(least, row["started_at"]), Infinity)
  }

  /** Rows of sessions that may still grow: of any version, tombstones too. */
  #open(partition: Partition, reachableFrom: number): ReadonlyArray<Row> {
    return this.rows("sessions_raw").filter((row) => row["partition"] === partition && row["ended_at"] >= reachableFrom)
  }

  #table(name: string): Map<string, Row> {
    let table = this.#rows.get(name)
    if (table === undefined) this.#rows.set(name, table = new Map())
    return table
  }

  #checkContent(table: string, key: string, version: number, row: Row): void {
    const name = `${table}|${key}|${version}`
    const content = stringify(row)
    const before = this.#contents.get(name)
    if (before === undefined) this.#contents.set(name, content)
    else if (before !== content) {
      this.violations.push(`${table} ${key} version ${version} has two contents:\n  ${before}\n  ${content}`)
    }
  }
}

/** A row as text, so that two can be compared. */
export const stringify = (row: Row): string =>
  JSON.stringify(row, (name, value) => {
    if (runColumns.has(name)) return undefined
    if (typeof value === "bigint") return `${value}n`
    if (value instanceof Map) return [...value]
    if (value instanceof Uint8Array) return Buffer.from(value).toString("latin1")
    return value
  })

const seenOf = (row: Row): SeenHistory => {
  const prints = new Int32Array(fingerprintWords)
  fingerprintText.ofStrings(row["visitor_id"], row["event_id"], prints, 0)
  return { prints, times: Float64Array.of(row["event_ts"]) }
}

const historyOf = (
  visitorId: VisitorId,
  events: ReadonlyArray<Row>,
  { from, recentFrom, withIds }: { readonly from: number; readonly recentFrom: number; readonly withIds: boolean }
): VisitorHistory => ({
  visitorId,
  sessions: groupParts(events.filter((row) => row["event_ts"] >= from)),
  seen: events.filter((row) => withIds && row["event_ts"] >= recentFrom).map(seenOf),
  clicks: clicksOf(
    events.filter((row) => row["event_ts"] >= Math.max(from, recentFrom) && isClick(row["event_type"]))
  )
})

const clicksOf = (rows: ReadonlyArray<Row>): ClickHistory => {
  const clicks = new ClickHistory()
  for (const row of rows) {
    clicks.add(row["event_ts"], row["item_id"], row["offset"], row["appended_at"], row["session_id"])
  }
  return clicks
}

const groupParts = (events: ReadonlyArray<Row>): ReadonlyArray<SessionParts> => {
  const groups = Map.groupBy(events, (row) => row["session_id"] as SessionId)
  return [...groups].map(([sessionId, rows]) => {
    const byTime = rows.toSorted((a, b) => a["event_ts"] - b["event_ts"] || a["offset"] - b["offset"])
    const first = byTime[0]!
    const last = byTime.at(-1)!
    const purchases = rows.filter((row) => row["event_type"] === "purchase")
    const isReporting = (row: Row) => row["currency"] === "" || row["currency"] === "USD"
    const revenueByCurrency = new Map<string, bigint>()
    for (const row of purchases) {
      if (isReporting(row)) continue
      const amount = BigInt(row["price"]) * BigInt(row["quantity"])
      revenueByCurrency.set(row["currency"], (revenueByCurrency.get(row["currency"]) ?? 0n) + amount)
    }
    return {
      sessionId,
      openedOffset: Math.min(...rows.map((row) => row["offset"])) as Offset,
      lastChangedOffset: Math.max(...rows.map((row) => row["offset"])) as Offset,
      startedAt: first["event_ts"] as EpochMillis,
      firstOffset: first["offset"] as Offset,
      endedAt: last["event_ts"] as EpochMillis,
      lastOffset: last["offset"] as Offset,
      events: rows.length,
      clicks: rows.filter((row) => isClick(row["event_type"])).length,
      carts: rows.filter((row) => row["event_type"] === "add_to_cart").length,
      purchases: purchases.length,
      items: [...new Set(rows.map((row) => row["item_id"] as string).filter((item) => item !== ""))],
      revenue: purchases.filter(isReporting).reduce(
        (sum, row) => sum + BigInt(row["price"]) * BigInt(row["quantity"]),
        0n
      ),
      revenueByCurrency,
      entryUrl: first["url"],
      firstReferrer: first["referrer"],
      userAgent: first["user_agent"],
      exitUrl: last["url"]
    }
  })
}
