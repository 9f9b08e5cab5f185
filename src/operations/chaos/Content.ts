/**
 * What a database says, as hashes to compare: everything in it that is a function of the log. A hash is over all rows in any
 * order (sum and XOR of a hash per row), each with all its columns, and their number, so one row too many or in another state
 * shows.
 */
import { Effect } from "effect"
import type { Warehouse, WarehouseError } from "../../warehouse/Warehouse.ts"

/** What the pipelines write, with what views hide: tombstones, withdrawn findings, ids at acceptance. */
export const written: Readonly<Record<string, string>> = {
  session_aliases: "SELECT * FROM session_aliases FINAL",
  late_events: "SELECT * FROM late_events FINAL",
  rejected_records: "SELECT * FROM rejected_records FINAL",
  control_records: "SELECT * FROM control_records FINAL",
  dead_letters: "SELECT * FROM dead_letters FINAL",
  touched_days: "SELECT * FROM touched_days FINAL WHERE cause = 'pipeline'",
  events_raw: "SELECT * FROM events_raw FINAL",
  sessions_raw: "SELECT * FROM sessions_raw FINAL",
  findings_raw: "SELECT * FROM findings_raw FINAL",
  checkpoints: "SELECT partition, offset, watermark_ms, counters, decision_hash, record_hash, partitions, settings, " +
    "core_version FROM checkpoints FINAL WHERE (partition, offset) IN " +
    "(SELECT partition, max(offset) FROM checkpoints GROUP BY partition)"
}

/** That, and the views as analysts see them. */
export const contents: Readonly<Record<string, string>> = {
  events: "SELECT * FROM events",
  sessions: "SELECT * FROM sessions",
  anomalies: "SELECT * FROM anomalies",
  ...written
}

/** The KPIs, without the label of when they were computed; they say what the log says when the backlog is empty. */
export const kpiContents: Readonly<Record<string, string>> = Object.fromEntries(
  ["daily_metrics", "session_funnel", "popular_items", "popular_categories", "hourly_traffic"].map((view) => [
    view,
    `SELECT * EXCEPT (refreshed_at) FROM ${view}`
  ])
)

export interface Content {
  /** By name of `contents`: number of rows and hash. */
  readonly tables: Readonly<Record<string, { readonly rows: number; readonly hash: string }>>
  /** By "partition/offset". Two hashes at one place are in here as "a, b", and so differ from any other. */
  readonly decisions: Readonly<Record<string, string>>
}

export const readContent = Effect.fnUntraced(
  function*(
    warehouse: Warehouse["Service"],
    selects: Readonly<Record<string, string>> = contents
  ): Effect.fn.Return<Content, WarehouseError> {
    const tables: Record<string, { rows: number; hash: string }> = {}
    for (const [name, select] of Object.entries(selects)) {
      const [row] = yield* warehouse.query(
        `SELECT count() AS rows, concat(hex(sum(h)), '-', hex(groupBitXor(h))) AS hash
         FROM (SELECT sipHash64(toString(tuple(*))) AS h FROM (${select}))`
      )
      tables[name] = { rows: Number(row!["rows"]), hash: String(row!["hash"]) }
    }
    const rows = yield* warehouse.query(
      `SELECT concat(toString(partition), '/', toString(offset)) AS place,
         arrayStringConcat(arraySort(groupUniqArray(toString(hash))), ', ') AS hash
       FROM decision_hashes GROUP BY partition, offset`
    )
    return { tables, decisions: Object.fromEntries(rows.map((row) => [String(row["place"]), String(row["hash"])])) }
  }
)

/** In words, what differs; empty when both are the same. Decision hashes are compared where both have one. */
export const differences = (a: Content, b: Content): ReadonlyArray<string> => [
  ...Object.keys(a.tables).flatMap((name) => {
    const [left, right] = [a.tables[name]!, b.tables[name]!]
    return left.rows === right.rows && left.hash === right.hash ?
      [] :
      [`${name}: ${left.rows} rows, hash ${left.hash}, against ${right.rows} rows, hash ${right.hash}`]
  }),
  ...disagreements(a, b)
]

const disagreements = (a: Content, b: Content): ReadonlyArray<string> => {
  const places = commonPlaces(a, b)
  const different = places.filter((place) => a.decisions[place] !== b.decisions[place])
  return different.length === 0 ? [] : [
    `decision hashes differ at ${different.length} of ${places.length} offsets, e.g. at ${different[0]}: ` +
    `${a.decisions[different[0]!]} against ${b.decisions[different[0]!]}`
  ]
}

/** Offsets at which both have a decision hash. */
export const commonPlaces = (a: Content, b: Content): ReadonlyArray<string> =>
  Object.keys(a.decisions).filter((place) => b.decisions[place] !== undefined)

/** Rows that one of two databases has and the other has not, as text: at most `rowsMax` of each. */
export const differingRows = Effect.fnUntraced(function*(
  name: string,
  [a, b]: readonly [Warehouse["Service"], Warehouse["Service"]],
  rowsMax: number
): Effect.fn.Return<ReadonlyArray<string>, WarehouseError> {
  const select = `SELECT toString(tuple(*)) AS row FROM (${contents[name]!}) ORDER BY row`
  const [left, right] = yield* Effect.all([a.query(select), b.query(select)])
  const lines = (rows: typeof left) => rows.map((row) => String(row["row"]))
  return [...without(lines(left), lines(right), "-", rowsMax), ...without(lines(right), lines(left), "+", rowsMax)]
})

const without = (these: ReadonlyArray<string>, those: ReadonlyArray<string>, sign: string, rowsMax: number) => {
  const known = new Set(those)
  return these.filter((row) => !known.has(row)).slice(0, rowsMax).map((row) => `${sign} ${row}`)
}
