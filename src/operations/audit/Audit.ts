/**
 * An audit: is the stored result what the events make it, and do the counters account for every record? It recomputes, by SQL of
 * its own, compares, and leaves its result in the table `audits`. It changes nothing else, and it may run beside a pipeline.
 */
import { Clock, Effect, Schedule } from "effect"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import type { AuditScope, GoneDays } from "./AuditContext.ts"
import { auditContext } from "./AuditContext.ts"
import type { Check, CheckResult } from "./Check.ts"
import { uncheckedOf } from "./Check.ts"
import { checks as allChecks } from "./Checks.ts"

export interface AuditOptions {
  /** Random: it tells this audit from others in the table. */
  readonly auditId: string
  readonly scope: AuditScope
  /** Default: all there are. */
  readonly checks?: ReadonlyArray<Check> | undefined
  /** Events that one query takes; default `sliceEventsMax`. */
  readonly sliceEventsMax?: number | undefined
  /** Differences that a check looks at again; default `recheckedMax`. */
  readonly recheckedMax?: number | undefined
  /** Told after each check. */
  readonly onChecked?: ((checked: CheckedPromise) => Effect.Effect<void>) | undefined
}

export interface CheckedPromise extends CheckResult {
  readonly name: string
  readonly promise: string
}

export interface AuditReport {
  readonly auditId: string
  /** "all", or the day as "2026-01-31". */
  readonly scope: string
  /** Epoch ms. */
  readonly startedAt: number
  readonly finishedAt: number
  /** By partition, as text: the offset before which everything was audited. Empty: nothing was ever processed. */
  readonly checkpoint: Readonly<Record<string, number>>
  readonly checks: ReadonlyArray<CheckedPromise>
  /** How many checks found differences; 0 is the only good value. */
  readonly failed: number
}

/**
 * Runs the checks one after another and stores the report. Fails only when the database or the log does not answer: not even after
 * some seconds, in which a killed engine is there again.
 */
export const audit = (options: AuditOptions) =>
  Effect.flatMap(Warehouse, (warehouse) => Effect.provideService(checkAll(options), Warehouse, patient(warehouse)))

const checkAll = Effect.fnUntraced(function*(options: AuditOptions) {
  const startedAt = yield* Clock.currentTimeMillis
  const context = yield* auditContext(options.scope, options.sliceEventsMax, options.recheckedMax)
  const checked: Array<CheckedPromise> = []
  for (const check of options.checks ?? allChecks) {
    const result = context === undefined ? nothing : yield* check.run(context)
    const gone = check.needsEvents && context?.gone !== undefined ? goneText(context.gone) : undefined
    checked.push({ name: check.name, promise: check.promise, ...result, ...uncheckedOf([result.unchecked, gone]) })
    yield* options.onChecked?.(checked.at(-1)!) ?? Effect.void
  }
  const report: AuditReport = {
    auditId: options.auditId,
    scope: scopeText(options.scope),
    startedAt,
    finishedAt: yield* Clock.currentTimeMillis,
    checkpoint: Object.fromEntries((context?.partitions ?? []).map(({ offset, partition }) => [partition, offset])),
    checks: checked,
    failed: checked.filter(({ differences }) => differences > 0).length
  }
  yield* store(report)
  return report
})

/** Every question may be asked again, and so may the report be written: its rows replace each other. */
const patient = (warehouse: Warehouse["Service"]): Warehouse["Service"] => {
  const policy = {
    schedule: Schedule.jittered(Schedule.exponential("250 millis")),
    times: attemptsMax - 1,
    while: (error: WarehouseError) => error.retryable
  }
  return {
    ...warehouse,
    query: (sql, params) => Effect.retry(warehouse.query(sql, params), policy),
    // What was shown before it broke off is shown again.
    queryRows: (sql, rowBytes, visit) => Effect.retry(warehouse.queryRows(sql, rowBytes, visit), policy),
    insert: (block) => Effect.retry(warehouse.insert(block), policy)
  }
}

/** The last one some 15 s after the first. */
const attemptsMax = 7

const goneText = ({ days, first, last }: GoneDays): string =>
  `${days === 1 ? `the day ${first}` : `${days} days from ${first} to ${last}`}: ` +
  `${days === 1 ? "its" : "their"} events are no longer kept`

/** Before the first checkpoint there is nothing that could be wrong. */
const nothing: CheckResult = { examined: 0, differences: 0, sample: [] }

export const scopeText = (scope: AuditScope): string =>
  scope === "all" ? "all" : new Date(scope.dayStart).toISOString().slice(0, 10)

const store = Effect.fnUntraced(function*(report: AuditReport) {
  const { checks } = report
  const checkpoint = new Map(Object.entries(report.checkpoint).map(([name, offset]) => [name, BigInt(offset)]))
  yield* (yield* Warehouse).insert({
    table: "audits",
    rows: checks.length,
    columns: [
      { name: "audit_id", type: "String", values: checks.map(() => report.auditId) },
      { name: "started_at", type: "DateTime64(3, 'UTC')", values: checks.map(() => report.startedAt) },
      { name: "finished_at", type: "DateTime64(3, 'UTC')", values: checks.map(() => report.finishedAt) },
      { name: "scope", type: "LowCardinality(String)", values: checks.map(() => report.scope) },
      { name: "check_name", type: "LowCardinality(String)", values: checks.map(({ name }) => name) },
      { name: "promise", type: "String", values: checks.map(({ promise }) => promise) },
      { name: "examined", type: "UInt64", values: checks.map(({ examined }) => examined) },
      { name: "differences", type: "UInt64", values: checks.map(({ differences }) => differences) },
      { name: "sample", type: "String", values: checks.map(({ sample }) => JSON.stringify(sample)) },
      { name: "unchecked", type: "String", values: checks.map(({ unchecked }) => unchecked ?? "") },
      { name: "checkpoint", type: "Map(String, UInt64)", values: checks.map(() => checkpoint) }
    ]
  })
})
