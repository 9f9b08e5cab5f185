import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import * as FileSchemaRegistry from "../../src/log/FileSchemaRegistry.ts"
import { SchemaRegistry } from "../../src/log/SchemaRegistry.ts"
import { registryConformance } from "./registryConformance.ts"
import { testFolder } from "./TestFolder.ts"

const subject = "clickstream-value"
const withField = (field: object) => ({ ...avroSchema, fields: [...avroSchema.fields, field] })

const withRegistry = <A, E>(directory: string, body: Effect.Effect<A, E, SchemaRegistry>) =>
  Effect.provide(body, FileSchemaRegistry.layer({ directory }))

registryConformance(
  "FileSchemaRegistry",
  Effect.map(testFolder, (directory) => ({ layer: FileSchemaRegistry.layer({ directory }), subject }))
)

describe("FileSchemaRegistry", () => {
  it.live("gives the same schema the same id, in every subject, and after it is opened again", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* withRegistry(
        directory,
        Effect.gen(function*() {
          const registry = yield* SchemaRegistry
          assert.strictEqual(yield* registry.register(subject, avroSchema), 1)
          assert.strictEqual(yield* registry.register(subject, avroSchema), 1)
          assert.strictEqual(yield* registry.register("other", "string"), 2)
          assert.strictEqual(yield* registry.register("third", avroSchema), 1)
        })
      )
      yield* withRegistry(
        directory,
        Effect.gen(function*() {
          const registry = yield* SchemaRegistry
          assert.deepStrictEqual(yield* registry.byId(1), avroSchema)
          assert.strictEqual(yield* registry.byId(2), "string")
          assert.isUndefined(yield* registry.byId(3))
          assert.isUndefined(yield* registry.byId(0))
          assert.strictEqual(yield* registry.register(subject, avroSchema), 1)
        })
      )
      assert.deepStrictEqual(readdirSync(directory).sort(), ["schemas.json", "schemas.lock"])
    }).pipe(Effect.scoped))

  it.live("takes a new version that reads the old one, refuses one that does not, and says why", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* withRegistry(
        directory,
        Effect.gen(function*() {
          const registry = yield* SchemaRegistry
          yield* registry.register(subject, avroSchema)
          const refused = yield* Effect.flip(
            registry.register(subject, withField({ name: "campaign", type: "string" }))
          )
          assert.strictEqual(refused._tag, "SchemaRefused")
          assert.match(refused.message, /cannot read what version 1 of clickstream-value \(id 1\) wrote: .*campaign/)
          const better = withField({ name: "campaign", type: "string", default: "" })
          assert.strictEqual(yield* registry.register(subject, better), 2)
          const none = yield* Effect.flip(registry.register(subject, { type: "recrod" }))
          assert.match(none.message, /no Avro schema/)
          assert.isUndefined(yield* registry.byId(3))
        })
      )
    }).pipe(Effect.scoped))

  it.live("sees what another one on the same directory registered", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      yield* withRegistry(
        directory,
        Effect.gen(function*() {
          const registry = yield* SchemaRegistry
          assert.isUndefined(yield* registry.byId(1))
          yield* withRegistry(directory, Effect.flatMap(SchemaRegistry, (other) => other.register(subject, avroSchema)))
          assert.deepStrictEqual(yield* registry.byId(1), avroSchema)
          assert.strictEqual(yield* registry.register("next", "long"), 2)
        })
      )
    }).pipe(Effect.scoped))

  it.live("gives several processes that register at once different ids, and loses none", () =>
    Effect.gen(function*() {
      const directory = yield* testFolder
      const file = new URL("./registrar.ts", import.meta.url).pathname
      const ids = yield* Effect.forEach(["a", "b", "c"], (name) =>
        Effect.promise(async () => {
          const child = spawn(process.execPath, [file, directory, name, "15"], { stdio: ["ignore", "pipe", "inherit"] })
          let text = ""
          child.stdout.on("data", (chunk: Buffer) => {
            text += chunk.toString()
          })
          await once(child, "close")
          return text.trim().split("\n").map((line) => JSON.parse(line) as { id: number; schema: object })
        }), { concurrency: 3 })
      const all = ids.flat()
      assert.strictEqual(all.length, 45)
      assert.deepStrictEqual(
        all.map((one) => one.id).sort((a, b) => a - b),
        Array.from({ length: 45 }, (_, i) => i + 1)
      )
      yield* withRegistry(
        directory,
        Effect.gen(function*() {
          const registry = yield* SchemaRegistry
          for (const { id, schema } of all) assert.deepStrictEqual(yield* registry.byId(id), schema)
        })
      )
    }).pipe(Effect.scoped))

  it.live("says that its file is broken", () =>
    Effect.gen(function*() {
      for (const text of ["", "{", "null", `{"format":2}`]) {
        const directory = yield* testFolder
        writeFileSync(join(directory, "schemas.json"), text)
        const error = yield* Effect.flip(withRegistry(directory, Effect.asVoid(SchemaRegistry)))
        assert.strictEqual(error._tag, "RegistryError")
        assert.match(error.message, /open the schema registry/)
        assert.isFalse(error.retryable)
      }
    }).pipe(Effect.scoped))
})
