import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { dataDictionary } from "../../warehouse/DataDictionary.ts"
import { hasWarehouse } from "../ExistingWarehouse.ts"
import { dataDir, print } from "../Flags.ts"
import { clientLayer, warehouseLayer } from "../Installation.ts"
import { migrated } from "./migrate.ts"

/** What the views, tables and columns of the database mean. */
export const dictionary = Command.make(
  "dictionary",
  { dataDir },
  Effect.fn(function*({ dataDir }) {
    const text = yield* hasWarehouse(dataDir) ? dictionaryOf(dataDir) : dictionaryOfMigrations
    yield* print(text.trimEnd())
  }, Effect.scoped)
).pipe(Command.withDescription("Print the data dictionary as Markdown: every view, table and column"))

const dictionaryOf = (dataDirectory: string) =>
  dataDictionary.pipe(Effect.provide(clientLayer("reader").pipe(Layer.provide(warehouseLayer(dataDirectory)))))

/** Without a database: of an empty one that this version makes for the purpose. */
const dictionaryOfMigrations = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "guardian-dictionary-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  )
  return yield* Effect.andThen(migrated, dataDictionary).pipe(
    Effect.provide(clientLayer("reader").pipe(Layer.provideMerge(warehouseLayer(folder))))
  )
})
