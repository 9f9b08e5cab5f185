/**
 * A check: one promise, asked of the database by SQL that shares no text with the views, the flush or the recovery. The audit
 * is a list of checks (`Checks.ts`); another one is another file in `checks/` and a line there.
 */
import type { Effect } from "effect"
import type { EventLog, LogError, OffsetOutOfRange } from "../../log/EventLog.ts"
import type { RegistryError, SchemaRegistry } from "../../log/SchemaRegistry.ts"
import type { Warehouse, WarehouseError } from "../../warehouse/Warehouse.ts"
import type { AuditContext } from "./AuditContext.ts"

/** A row that differs, as JSON shows it. */
export type Difference = Readonly<Record<string, unknown>>

export interface CheckResult {
  /** How many things were looked at. */
  readonly examined: number
  /** How many of them are not as they must be. */
  readonly differences: number
  /** At most `differencesShownMax` of them. */
  readonly sample: ReadonlyArray<Difference>
  /** What it could not look at, and why, in words. */
  readonly unchecked?: string
}

export interface Check {
  /** A word or two, for tables and filters: "sessions". */
  readonly name: string
  /** What holds when nothing differs, as a sentence. */
  readonly promise: string
  /** It works out from events what it compares: it has nothing to say about days whose events are no longer kept. */
  readonly needsEvents: boolean
  run(context: AuditContext): Effect.Effect<CheckResult, AuditError, Warehouse | EventLog | SchemaRegistry>
}

/** The database, the log or the registry did not answer: nothing was found out. */
export type AuditError = WarehouseError | LogError | OffsetOutOfRange | RegistryError

/** Rows that a check shows; the count goes on. */
export const differencesShownMax = 20

/** Several looks at parts of one thing, as one result. */
export const together = (results: ReadonlyArray<CheckResult>): CheckResult => ({
  examined: results.reduce((sum, { examined }) => sum + examined, 0),
  differences: results.reduce((sum, { differences }) => sum + differences, 0),
  sample: results.flatMap(({ sample }) => sample).slice(0, differencesShownMax),
  ...uncheckedOf(results.map(({ unchecked }) => unchecked))
})

/** What several looks could not look at, as one text. */
export const uncheckedOf = (texts: ReadonlyArray<string | undefined>): Pick<CheckResult, "unchecked"> => {
  const told = [...new Set(texts.filter((text) => text !== undefined))]
  return told.length === 0 ? {} : { unchecked: told.join("; ") }
}
