/** What every adapter of the schema registry promises. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Layer, Scope } from "effect"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { RegistryError } from "../../src/log/SchemaRegistry.ts"
import { SchemaRegistry } from "../../src/log/SchemaRegistry.ts"

/** A registry in which the given subject is new. The layer opens it; provided again, it opens the same one again. */
export type NewRegistry = Effect.Effect<
  { readonly layer: Layer.Layer<SchemaRegistry, RegistryError>; readonly subject: string },
  never,
  Scope.Scope
>

/** Our schema with one field more. */
export const withField = (field: object) => ({ ...avroSchema, fields: [...avroSchema.fields, field] })

export const registryConformance = (name: string, newRegistry: NewRegistry) =>
  describe(`${name} keeps the promises of the schema registry`, () => {
    it.live("gives the same schema the same id, in every subject and whoever asks, and gives it back", () =>
      Effect.gen(function*() {
        const { layer, subject } = yield* newRegistry
        const first = yield* Effect.gen(function*() {
          const registry = yield* SchemaRegistry
          const id = yield* registry.register(subject, avroSchema)
          assert.strictEqual(yield* registry.register(subject, avroSchema), id)
          assert.strictEqual(yield* registry.register(`${subject}-other`, avroSchema), id)
          assert.notStrictEqual(yield* registry.register(`${subject}-third`, "string"), id)
          return id
        }).pipe(Effect.provide(layer))
        yield* Effect.gen(function*() {
          const registry = yield* SchemaRegistry
          assert.deepStrictEqual(yield* registry.byId(first), avroSchema)
          assert.strictEqual(yield* registry.register(subject, avroSchema), first)
          assert.isUndefined(yield* registry.byId(1_999_999_999))
        }).pipe(Effect.provide(layer))
      }).pipe(Effect.scoped))

    it.live("takes a new version that reads the old one, refuses one that does not, and says why", () =>
      Effect.gen(function*() {
        const { layer, subject } = yield* newRegistry
        yield* Effect.gen(function*() {
          const registry = yield* SchemaRegistry
          const first = yield* registry.register(subject, avroSchema)
          const refused = yield* Effect.flip(
            registry.register(subject, withField({ name: "campaign", type: "string" }))
          )
          assert.strictEqual(refused._tag, "SchemaRefused")
          assert.match(refused.message, /cannot read what version 1 of .* wrote: .*campaign/)
          const better = withField({ name: "campaign", type: "string", default: "" })
          const second = yield* registry.register(subject, better)
          assert.notStrictEqual(second, first)
          assert.deepStrictEqual(yield* registry.byId(second), better)
          const none = yield* Effect.flip(registry.register(subject, { type: "recrod" }))
          assert.match(none.message, /no Avro schema/)
        }).pipe(Effect.provide(layer))
      }).pipe(Effect.scoped))
  })
