import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { EventLog } from "../../log/EventLog.ts"
import { dataDir, json, partitions, print, printJson } from "../Flags.ts"
import { deadLetterSink, eventSchemaId, logLayer, registryLayer, warehouseLayer } from "../Installation.ts"
import { migrated } from "./migrate.ts"

/** Makes what the roles need, once and before all of them, so that they need not race for it. Again: nothing to do. */
export const setup = Command.make(
  "setup",
  { dataDir, partitions, json },
  Effect.fn(function*({ dataDir, json, partitions }) {
    const made = yield* Effect.gen(function*() {
      const log = yield* EventLog
      yield* deadLetterSink
      const schemaId = yield* eventSchemaId
      const { applied, database, version } = yield* migrated
      return { partitions: log.partitions, schemaId, database, version, applied }
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(logLayer(dataDir, partitions), registryLayer(dataDir), warehouseLayer(dataDir))
      )
    )
    if (json) return yield* printJson(made)
    yield* print(`log: ${made.partitions} partitions`)
    yield* print(`schema: id ${made.schemaId} in the registry`)
    yield* print(
      `database ${made.database}: version ${made.version}, ` +
        (made.applied.length === 0 ? "nothing to do" : `applied ${made.applied.join(", ")}`)
    )
  })
).pipe(Command.withDescription("Make log, schema and database tables before any role starts; safe to repeat"))
