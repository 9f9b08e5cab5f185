/** An audit every night, beside the pipeline. What it finds stands in `audits` and in the process's log; it stops nothing. */
import { Cron, DateTime, Effect, Schedule } from "effect"
import type { AuditReport } from "./Audit.ts"

/**
 * Runs `audit` at a full hour (0 to 23, UTC) of every day, for ever. An audit that could not be made is told and tried again the
 * next night; one that takes longer than until its next turn skips that turn.
 * @param isOurs asked each night: of several processes on one warehouse, one audits
 */
export const nightly = <E, R>(
  hourUtc: number,
  audit: Effect.Effect<AuditReport, E, R>,
  isOurs: Effect.Effect<boolean> = Effect.succeed(true)
): Effect.Effect<never, never, R> =>
  isOurs.pipe(
    Effect.flatMap((ours) => ours ? Effect.flatMap(audit, tell) : Effect.void),
    Effect.catchCause((cause) => Effect.logWarning("the nightly audit could not be made", cause)),
    Effect.schedule(Schedule.cron(at(hourUtc))),
    Effect.orDie,
    Effect.andThen(Effect.never)
  )

const at = (hourUtc: number): Cron.Cron =>
  Cron.make({
    minutes: [0],
    hours: [hourUtc],
    days: [],
    months: [],
    weekdays: [],
    tz: DateTime.zoneMakeNamedUnsafe("UTC")
  })

const tell = (report: AuditReport) => {
  const failed = report.checks.filter(({ differences }) => differences > 0)
  return failed.length === 0 ?
    Effect.logInfo(`nightly audit ${report.auditId}: ${report.checks.length} checks, no difference`) :
    Effect.logError(
      `nightly audit ${report.auditId}: ` +
        failed.map(({ differences, name }) => `${name}: ${differences} differences`).join("; ") +
        " (table audits; guardian audit shows the rows)"
    )
}
