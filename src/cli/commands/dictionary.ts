import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { dataDictionary } from "../../warehouse/DataDictionary.ts"
import { existingWarehouseLayer } from "../ExistingWarehouse.ts"
import { dataDir, print } from "../Flags.ts"
import { clientLayer } from "../Installation.ts"

/** What the views, tables and columns of the database mean. */
export const dictionary = Command.make(
  "dictionary",
  { dataDir },
  Effect.fn(function*({ dataDir }) {
    const text = yield* dataDictionary.pipe(
      Effect.provide(clientLayer("reader").pipe(Layer.provide(existingWarehouseLayer(dataDir))))
    )
    yield* print(text.trimEnd())
  })
).pipe(Command.withDescription("Print the data dictionary as Markdown: every view, table and column"))
