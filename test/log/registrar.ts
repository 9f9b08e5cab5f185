/** A process that registers schemas of its own and prints each with its id. Arguments: directory, name, how many. */
import { Effect } from "effect"
import * as FileSchemaRegistry from "../../src/log/FileSchemaRegistry.ts"
import { SchemaRegistry } from "../../src/log/SchemaRegistry.ts"

const [directory, name, count] = process.argv.slice(2) as [string, string, string]

const run = Effect.gen(function*() {
  const registry = yield* SchemaRegistry
  for (let i = 0; i < Number(count); i++) {
    const schema = { type: "fixed", name: `${name}${i}`, size: i + 1 }
    const id = yield* registry.register(`${name}-${i}`, schema)
    console.log(JSON.stringify({ id, schema }))
  }
})

await Effect.runPromise(Effect.provide(run, FileSchemaRegistry.layer({ directory })))
