import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import { externalWarehouse } from "../../src/cli/ExternalWarehouse.ts"

const of = (environment: Readonly<Record<string, string>>) =>
  Effect.provideService(externalWarehouse, ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(environment))

describe("the ClickHouse server of the environment", () => {
  it.effect("is none unless its address is set", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* of({}))
      assert.isUndefined(yield* of({ GUARDIAN_CLICKHOUSE_URL: "", GUARDIAN_CLICKHOUSE_WRITER_PASSWORD: "w" }))
    }))

  it.effect("is asked by each user with its own password", () =>
    Effect.gen(function*() {
      const server = yield* of({
        GUARDIAN_CLICKHOUSE_URL: "https://clickhouse:8443",
        GUARDIAN_CLICKHOUSE_WRITER_PASSWORD: "w",
        GUARDIAN_CLICKHOUSE_READER_PASSWORD: "r"
      })
      const found = (["writer", "reader", "analyst"] as const).map((role) => {
        const { database, password, url, username } = server!.address(role)
        return [url, database, username, Redacted.value(password)]
      })
      assert.deepStrictEqual(found, [
        ["https://clickhouse:8443", "guardian", "guardian_writer", "w"],
        ["https://clickhouse:8443", "guardian", "guardian_reader", "r"],
        ["https://clickhouse:8443", "guardian", "analyst", ""]
      ])
    }))

  it.effect("is refused where it is no HTTP address, or has a log-in in it, which is not repeated", () =>
    Effect.gen(function*() {
      for (
        const url of ["clickhouse:8123", "tcp://clickhouse:9000", "clickhouse", "http://me:secret@clickhouse:8123"]
      ) {
        const { message } = yield* Effect.flip(of({ GUARDIAN_CLICKHOUSE_URL: url }))
        assert.include(message, "GUARDIAN_CLICKHOUSE_URL", url)
        assert.notInclude(message, "secret")
      }
    }))
})
