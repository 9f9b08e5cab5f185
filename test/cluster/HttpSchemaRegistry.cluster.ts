import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { RegistryServer } from "../../src/cli/cluster/RegistryServer.ts"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import * as HttpSchemaRegistry from "../../src/log/registry/HttpSchemaRegistry.ts"
import { avroType, SchemaRegistry } from "../../src/log/SchemaRegistry.ts"
import { encodeEvent, EventDecoder, headBytes } from "../../src/log/WireFormat.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"
import { registryConformance, withField } from "../log/registryConformance.ts"
import { storedBatch } from "../support/EventBatches.ts"

let server: RegistryServer

beforeAll(async () => {
  server = await RegistryServer.start()
})

afterAll(() => server?.stop())

const open = () => HttpSchemaRegistry.layer({ url: server.url })

registryConformance(
  "HttpSchemaRegistry",
  Effect.sync(() => ({ layer: open(), subject: `clickstream-${randomUUID()}-value` }))
)

/** Our schema as it was before it had `truncated`. */
const older = { ...avroSchema, fields: avroSchema.fields.filter(({ name }) => name !== "truncated") }
const newer = withField({ name: "campaign", type: "string", default: "" })

const framed = (id: number, body: Buffer): Buffer => {
  const head = Buffer.alloc(headBytes)
  head.writeUInt32BE(id, 1)
  return Buffer.concat([head, body])
}

const encodedBatch = (values: ReadonlyArray<Buffer>) =>
  storedBatch(0, values.map((value, offset) => ({ offset, appendedAt: 0, value })))

/** The fields of an event under the names of the schema. */
const raw = (event: ClickEvent) => ({
  event_id: event.eventId,
  visitor_id: event.visitorId,
  event_ts: event.eventTs,
  event_type: event.eventType,
  item_id: event.itemId,
  category: event.category,
  price: event.price,
  currency: event.currency,
  quantity: event.quantity,
  url: event.url,
  referrer: event.referrer,
  user_agent: event.userAgent,
  properties: event.properties,
  truncated: event.truncated
})

describe("HttpSchemaRegistry", () => {
  it.live("sets BACKWARD for the subject, whatever the registry's default is", () =>
    Effect.gen(function*() {
      const subject = `level-${randomUUID()}`
      const registry = yield* SchemaRegistry
      yield* registry.register(subject, avroSchema)
      const answer = yield* Effect.promise(() => fetch(`${server.url}/config/${subject}`).then((found) => found.json()))
      assert.strictEqual((answer as { compatibilityLevel: string }).compatibilityLevel, "BACKWARD")
    }).pipe(Effect.provide(open())))

  it.live("reads an older and a newer writer's events, and goes on without the registry for schemas it knows", () =>
    Effect.gen(function*() {
      const subject = `writers-${randomUUID()}`
      const registry = yield* SchemaRegistry
      const events = new ShopTraffic({ seed: 7, startMs: 1_760_000_000_000, eventsPerSecond: 50 }).next(30)
      const ids = [
        yield* registry.register(subject, older),
        yield* registry.register(subject, avroSchema),
        yield* registry.register(subject, newer)
      ] as const
      const types = [avroType(older), undefined, avroType(newer)]
      const values = events.map((event, i) => {
        const type = types[i % 3]
        return type === undefined ?
          encodeEvent(ids[1], event) :
          framed(ids[i % 3]!, type.toBuffer({ ...raw(event), campaign: "spring" }))
      })
      // Another one, that has registered nothing: it learns by id.
      const decoder = yield* Effect.map(
        Effect.provide(SchemaRegistry, open()),
        (other) => new EventDecoder((id) => other.byId(id))
      )
      const read = () =>
        Effect.map(
          decoder.decodeBatch(encodedBatch(values)),
          (batch) => Array.from({ length: batch.count }, (_, i) => batch.event(i))
        )
      const expected = events.map((event, i) => i % 3 === 0 ? { ...event, truncated: false } : event)
      assert.deepStrictEqual(yield* read(), expected)
      server.pause()
      yield* Effect.ensuring(
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* read(), expected)
          const error = yield* Effect.flip(decoder.decodeBatch(encodedBatch([framed(987_654, Buffer.from([1]))])))
          assert.strictEqual(error._tag, "RegistryError")
          assert.isTrue(error.retryable)
        }),
        Effect.sync(() => server.resume())
      )
      const unknown = yield* decoder.decodeBatch(encodedBatch([framed(987_654, Buffer.from([1]))]))
      assert.strictEqual(unknown.failures.get(0)?.reason, "unknown_schema")
    }).pipe(Effect.provide(open())))

  it.live("takes a wrong address for an outage, not for a registry that knows no schema", () =>
    Effect.gen(function*() {
      for (const url of [`${server.url}/nowhere`, "http://127.0.0.1:1"]) {
        const layer = HttpSchemaRegistry.layer({ url, username: "someone", password: Redacted.make("secret") })
        const error = yield* Effect.flip(
          Effect.provide(Effect.flatMap(SchemaRegistry, (registry) => registry.byId(1)), layer)
        )
        assert.isTrue(error.retryable)
        assert.notInclude(JSON.stringify(error), "secret")
      }
    }))
})
