/**
 * Another process that owns the warehouse of a directory, for tests: it says so in one line of JSON, and ends with its stdin.
 */
import { Effect } from "effect"
import { EmbeddedWarehouse } from "../../../src/warehouse/embedded/EmbeddedWarehouse.ts"

const [directory] = process.argv.slice(2) as [string]

const inputEnds = Effect.callback<void>((resume) => {
  process.stdin.once("end", () => resume(Effect.void)).resume()
})

const say = (line: object) => Effect.sync(() => console.log(JSON.stringify(line)))

await Effect.gen(function*() {
  const warehouse = yield* EmbeddedWarehouse
  yield* say({ url: warehouse.url, enginePid: yield* warehouse.pid })
  yield* inputEnds
}).pipe(
  Effect.provide(EmbeddedWarehouse.layer({ directory })),
  Effect.catchTag("WarehouseOwned", (error) => say({ owned: error.pid, url: error.url, message: error.message })),
  Effect.runPromise
)
