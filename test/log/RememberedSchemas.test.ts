import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import * as FileSchemaRegistry from "../../src/log/FileSchemaRegistry.ts"
import { folderOf, layer, remembering } from "../../src/log/registry/RememberedSchemas.ts"
import { RegistryError, SchemaRegistry } from "../../src/log/SchemaRegistry.ts"
import { registryConformance } from "./registryConformance.ts"
import { testFolder } from "./TestFolder.ts"

const subject = "clickstream-value"

/** Away: it refuses at once, or it never answers, as one that is frozen. */
type State = "there" | "away" | "frozen" | "forbidden"

/** A registry as of a process that was just started, before the same folder. */
const started = (directory: string, registry: SchemaRegistry["Service"]) => {
  const place = { state: "there" as State, told: 0, asked: 0 }
  const during = <A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E | RegistryError> =>
    Effect.suspend((): Effect.Effect<A, E | RegistryError> => {
      place.asked++
      switch (place.state) {
        case "there":
          return answer
        case "frozen":
          return Effect.never
        default:
          return Effect.fail(new RegistryError({ message: place.state, retryable: place.state === "away" }))
      }
    })
  const made = remembering({
    register: (subject, schema) => during(registry.register(subject, schema)),
    byId: (id) => during(registry.byId(id))
  }, {
    directory,
    tell: () =>
      Effect.sync(() => {
        place.told++
      })
  })
  return { place, made }
}

const fileRegistry = Effect.gen(function*() {
  const directory = yield* testFolder
  return yield* Effect.provide(SchemaRegistry, FileSchemaRegistry.layer({ directory }))
})

describe("a registry that is remembered", () => {
  it.live("need not answer a process that is started while it is away or frozen", () =>
    Effect.gen(function*() {
      const registry = yield* fileRegistry
      const directory = join(yield* testFolder, "made")
      const first = started(directory, registry)
      const id = yield* first.made.register(subject, avroSchema)
      assert.deepStrictEqual(yield* first.made.byId(id), avroSchema)
      assert.strictEqual(first.place.told, 0)
      for (const state of ["away", "frozen"] as const) {
        const { made, place } = started(directory, registry)
        place.state = state
        assert.deepStrictEqual(yield* made.byId(id), avroSchema)
        assert.strictEqual(yield* made.register(subject, avroSchema), id)
        assert.deepStrictEqual([place.told, place.asked], [2, 2])
      }
      assert.isTrue(readdirSync(directory).every((name) => /^(registered|schema)-[0-9a-f]+\.json$/.test(name)))
    }).pipe(Effect.scoped))

  it.live("is waited for where it never said anything, and believed where it says no", () =>
    Effect.gen(function*() {
      const registry = yield* fileRegistry
      const directory = yield* testFolder
      const { made, place } = started(directory, registry)
      assert.isUndefined(yield* made.byId(7))
      place.state = "away"
      assert.strictEqual((yield* Effect.flip(made.byId(7))).message, "away")
      assert.strictEqual((yield* Effect.flip(made.register(subject, avroSchema))).message, "away")
      place.state = "there"
      const id = yield* made.register(subject, avroSchema)
      yield* made.byId(id)
      place.state = "forbidden"
      assert.strictEqual((yield* Effect.flip(made.byId(id))).message, "forbidden")
      assert.strictEqual(place.told, 0)
    }).pipe(Effect.scoped))

  it.live("has its own word count before what is remembered, and replaces it", () =>
    Effect.gen(function*() {
      const registry = yield* fileRegistry
      const directory = yield* testFolder
      const first = started(directory, registry)
      const id = yield* first.made.register(subject, avroSchema)
      writeFileSync(join(directory, `schema-${id}.json`), JSON.stringify("string"))
      assert.deepStrictEqual(yield* first.made.byId(id), avroSchema)
      first.place.state = "away"
      assert.deepStrictEqual(yield* first.made.byId(id), avroSchema)
    }).pipe(Effect.scoped))

  it.live("remembers nothing from a file that is damaged or in a folder that cannot be made", () =>
    Effect.gen(function*() {
      const registry = yield* fileRegistry
      const directory = yield* testFolder
      const { made, place } = started(directory, registry)
      const id = yield* made.register(subject, avroSchema)
      yield* made.byId(id)
      for (const damage of ["", '{"type":', "7", "null"]) {
        writeFileSync(join(directory, `schema-${id}.json`), damage)
        place.state = "away"
        assert.strictEqual((yield* Effect.flip(made.byId(id))).message, "away")
        place.state = "there"
        assert.deepStrictEqual(yield* made.byId(id), avroSchema)
      }
      mkdirSync(join(directory, "folder"))
      writeFileSync(join(directory, "file"), "")
      const hindered = started(join(directory, "file", "below"), registry)
      assert.deepStrictEqual(yield* hindered.made.byId(id), avroSchema)
    }).pipe(Effect.scoped))

  it("has a folder for each registry", () => {
    assert.notStrictEqual(folderOf("x", "http://one:8081"), folderOf("x", "http://two:8081"))
    assert.match(folderOf("x", "http://name:secret@one:8081"), /remembered-[0-9a-f]{16}$/)
  })
})

registryConformance(
  "a remembered FileSchemaRegistry",
  Effect.map(testFolder, (directory) => ({
    layer: layer({ directory: join(directory, "remembered"), tell: Effect.logWarning }).pipe(
      Layer.provide(FileSchemaRegistry.layer({ directory }))
    ),
    subject
  }))
)
