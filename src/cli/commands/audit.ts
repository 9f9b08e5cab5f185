import { Effect, Layer, Option, Schema } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import { randomUUID } from "node:crypto"
import { audit as runAudit } from "../../operations/audit/Audit.ts"
import type { AuditReport, CheckedPromise } from "../../operations/audit/Audit.ts"
import type { AuditScope } from "../../operations/audit/AuditContext.ts"
import { existingWarehouseLayer } from "../ExistingWarehouse.ts"
import { dataDir, json, print, printJson } from "../Flags.ts"
import { clientLayer } from "../Installation.ts"
import { logReadingLayer } from "../LogReading.ts"
import { spokenDuration } from "../Spoken.ts"
import { migrated } from "./migrate.ts"

/** Midnight of a day that the calendar has, epoch ms. */
function dayStartOf(day: string): Option.Option<number> {
  const dayStart = Date.parse(`${day}T00:00:00Z`)
  return Number.isFinite(dayStart) && new Date(dayStart).toISOString().startsWith(`${day}T`) ?
    Option.some(dayStart) :
    Option.none()
}

const day = Flag.String("day").pipe(
  Flag.withDescription("Only what began on this UTC day, as 2026-01-31"),
  Flag.filterMap(dayStartOf, () => "a UTC day, as 2026-01-31"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const all = Flag.Boolean("all").pipe(Flag.withDescription("Everything (the default)"), Flag.withDefault(false))

/** Not everything is as it must be; what differs has been printed. */
export class AuditFailed extends Schema.TaggedError<AuditFailed>()("AuditFailed", { message: Schema.String }) {}

/** Proves the stored result: recomputes it from the events and compares. */
export const audit = Command.make(
  "audit",
  { day, all, dataDir, json },
  Effect.fn(function*({ all, dataDir, day, json }) {
    const scope = yield* scopeOf(day, all)
    const report = yield* Effect.gen(function*() {
      yield* migrated
      return yield* runAudit({
        auditId: randomUUID(),
        scope,
        onChecked: (checked) => json ? Effect.void : print(lineOf(checked))
      }).pipe(Effect.provide(clientLayer("writer")))
    }).pipe(Effect.provide(Layer.merge(logReadingLayer(dataDir), existingWarehouseLayer(dataDir))))
    yield* json ? printJson(report) : print(lastWords(report))
    if (report.failed > 0) {
      const differences = report.checks.reduce((sum, check) => sum + check.differences, 0)
      return yield* new AuditFailed({
        message: `${report.failed} of ${report.checks.length} checks found ${
          differences.toLocaleString("en")
        } differences`
      })
    }
  })
).pipe(Command.withDescription("Recompute the result from the events and compare; exit code 1 when anything differs"))

const scopeOf = (dayStart: number | undefined, all: boolean): Effect.Effect<AuditScope, CliError.InvalidValue> => {
  if (dayStart === undefined) return Effect.succeed("all")
  return all ?
    Effect.fail(
      new CliError.InvalidValue({ option: "all", value: "true", expected: "no --day beside it", kind: "flag" })
    ) :
    Effect.succeed({ dayStart })
}

const lineOf = ({ differences, examined, name, promise, sample, unchecked }: CheckedPromise): string => {
  const verdict = differences === 0 ? "ok  " : "FAIL"
  const count = differences === 0 ? "" : `${differences.toLocaleString("en")} differ of `
  const rows = sample.map((row) => `        ${JSON.stringify(row)}`)
  const left = unchecked === undefined ? [] : [`      not checked: ${unchecked}`]
  return [`${verdict}  ${name}: ${count}${examined.toLocaleString("en")} examined. ${promise}`, ...left, ...rows].join(
    "\n"
  )
}

const lastWords = (report: AuditReport): string => {
  const took = spokenDuration(report.finishedAt - report.startedAt)
  return `audit ${report.auditId} of ${report.scope === "all" ? "everything" : report.scope}, ` +
    `${Object.keys(report.checkpoint).length} partitions, in ${took}; stored in the table audits`
}
