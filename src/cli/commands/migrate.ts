import { Effect } from "effect"
import { Command } from "effect/cli"
import { migrate as applyMigrations } from "../../warehouse/Migrations.ts"
import { dataDir, json, print, printJson } from "../Flags.ts"
import { RunningWarehouse, warehouseLayer } from "../Installation.ts"

/** Brings the database up to the schema of this version. Every command that writes does so by itself. */
export const migrate = Command.make(
  "migrate",
  { dataDir, json },
  Effect.fn(function*({ dataDir, json }) {
    const report = yield* Effect.provide(migrated, warehouseLayer(dataDir))
    if (json) return yield* printJson(report)
    const applied = report.applied.length === 0 ? "nothing to do" : `applied ${report.applied.join(", ")}`
    yield* print(`database ${report.database} is at version ${report.version}: ${applied}`)
  })
).pipe(Command.withDescription("Create or update the database schema"))

/** Applies what is missing, as the writer. */
export const migrated = Effect.flatMap(RunningWarehouse, (running) => applyMigrations(running.address("writer")))
