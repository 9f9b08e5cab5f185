import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import { httpRegistry, kafkaGroup, kafkaLog, kafkaNames, logKind } from "../../src/cli/LogChoice.ts"
import { clientConfig } from "../../src/log/kafka/KafkaSettings.ts"

const under = (environment: Readonly<Record<string, string>>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(environment))

describe("the choice of a log", () => {
  it.effect("is SQLite and schemas in the data directory unless the environment says otherwise", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* logKind, "sqlite")
      assert.isUndefined(yield* httpRegistry)
      assert.deepInclude(yield* kafkaLog(undefined), { brokers: ["localhost:9092"], topic: "clickstream" })
      assert.strictEqual((yield* kafkaGroup).groupId, "guardian")
    }).pipe(under({})))

  it.effect("takes brokers, log-in and registry from the environment, and shows no secret", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* logKind, "kafka")
      const options = yield* kafkaLog(12)
      assert.deepStrictEqual(options.brokers, ["a:1", "b:2"])
      assert.deepInclude(options.create, { partitions: 12, replicationFactor: 5 })
      assert.notInclude(JSON.stringify(options), "hidden")
      assert.deepInclude(clientConfig(options).sasl, { mechanism: "scram-sha-512", username: "me", password: "hidden" })
      assert.isDefined(clientConfig(options).ssl)
      const registry = yield* httpRegistry
      assert.strictEqual(registry?.url, "https://registry")
      assert.strictEqual(Redacted.value(registry!.password!), "hidden too")
    }).pipe(under({
      GUARDIAN_LOG: "kafka",
      GUARDIAN_KAFKA_BROKERS: "a:1, b:2",
      GUARDIAN_KAFKA_REPLICATION: "5",
      GUARDIAN_KAFKA_TLS: "on",
      GUARDIAN_KAFKA_SASL: "scram-sha-512",
      GUARDIAN_KAFKA_USERNAME: "me",
      GUARDIAN_KAFKA_PASSWORD: "hidden",
      GUARDIAN_REGISTRY_URL: "https://registry",
      GUARDIAN_REGISTRY_USERNAME: "me",
      GUARDIAN_REGISTRY_PASSWORD: "hidden too"
    })))

  it.effect("takes brokers by name and by address of both kinds", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* kafkaLog(undefined)).brokers, [
        "red-panda.example:9092",
        "10.0.0.1:1",
        "[::1]:9093"
      ])
      assert.deepStrictEqual(yield* kafkaNames, { topic: "clicks", group: "mine" })
    }).pipe(under({
      GUARDIAN_KAFKA_BROKERS: "red-panda.example:9092,10.0.0.1:1, [::1]:9093",
      GUARDIAN_KAFKA_TOPIC: "clicks",
      GUARDIAN_KAFKA_GROUP: "mine"
    })))

  for (
    const [name, value] of [
      ["GUARDIAN_KAFKA_BROKERS", "foo"],
      ["GUARDIAN_KAFKA_BROKERS", "a:1,b:99999"],
      ["GUARDIAN_KAFKA_BROKERS", ","],
      ["GUARDIAN_KAFKA_BROKERS", "http://a:1"],
      ["GUARDIAN_KAFKA_SASL", "plain"],
      ["GUARDIAN_KAFKA_SASL", "kerberos"],
      ["GUARDIAN_KAFKA_TLS", "yes"],
      ["GUARDIAN_KAFKA_TLS_CA", "/nowhere/ca.pem"],
      ["GUARDIAN_KAFKA_REPLICATION", "0"],
      ["GUARDIAN_KAFKA_COMPRESSION", "lz4"]
    ] as const
  ) {
    it.effect(`names ${name} when it is ${value}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(kafkaLog(undefined))
        assert.include(error.message, name)
      }).pipe(under({ ...(name === "GUARDIAN_KAFKA_TLS_CA" ? { GUARDIAN_KAFKA_TLS: "on" } : {}), [name]: value })))
  }
})
