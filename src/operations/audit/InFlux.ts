/**
 * What looked different may only have been changed meanwhile, by records above the checkpoint that the audit speaks of: the
 * pipeline goes on. A row's newest version then lies above that checkpoint, and merges may have swallowed the older one.
 */
import { Effect } from "effect"
import { longestWindowMs } from "../../domain/Settings.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import type { AuditContext } from "./AuditContext.ts"
import { below, time } from "./AuditContext.ts"

/** A condition that leaves out what was in flux when the query began. What has changed since then: `withoutInFlux`. */
export const settled = (context: AuditContext, table: FluxTable, ...columns: ReadonlyArray<string>): string =>
  columns.map((column) =>
    `${column} NOT IN (SELECT ${keys[table]} FROM ${table} WHERE version > ${below(context)} AND ${
      reachable(context, table)
    })`
  ).join(" AND ")

type FluxTable = "sessions_raw" | "session_aliases" | "findings_raw"

const keys: Readonly<Record<FluxTable, string>> = {
  sessions_raw: "session_id",
  session_aliases: "absorbed_id",
  findings_raw: "finding_id"
}

/** Records above the checkpoint change nothing that ended before `watermark - lateness`: the reading stays short. */
const reachable = ({ partitions, settings }: AuditContext, table: FluxTable): string => {
  const from = Math.min(...partitions.map(({ watermark }) => watermark)) - settings.latenessMs
  if (table === "session_aliases") return "1"
  return table === "sessions_raw" ?
    `ended_at >= ${time(from)}` :
    `window_start >= ${time(from - longestWindowMs(settings))}`
}

/** Asked after the look that found the differences: what that look could see is then visible for certain. */
export const withoutInFlux = Effect.fnUntraced(function*(
  context: AuditContext,
  table: FluxTable,
  ids: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<string>, WarehouseError, Warehouse> {
  if (ids.length === 0) return []
  const key = keys[table]
  const list = ids.map((id) => `'${id.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`).join(", ")
  const warehouse = yield* Warehouse
  const rows = yield* warehouse.query(
    `SELECT DISTINCT ${key} AS id FROM ${table} WHERE ${key} IN (${list}) AND version > ${below(context)}`
  )
  const inFlux = new Set(rows.map((row) => String(row["id"])))
  return ids.filter((id) => !inFlux.has(id))
})

/**
 * Rows about sessions of which none is in flux. A merge that is on its way changes the absorbed session, the surviving one and
 * the alias, in any order.
 */
export const settledOf = Effect.fnUntraced(function*<Row extends Readonly<Record<string, unknown>>>(
  context: AuditContext,
  rows: ReadonlyArray<Row>,
  idColumns: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<Row>, WarehouseError, Warehouse> {
  const ids = [...new Set(rows.flatMap((row) => idColumns.map((column) => String(row[column]))))]
  const sessions = yield* withoutInFlux(context, "sessions_raw", ids)
  const kept = new Set(yield* withoutInFlux(context, "session_aliases", sessions))
  return rows.filter((row) => idColumns.every((column) => kept.has(String(row[column]))))
})
