import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { mkdir, writeFile } from "node:fs/promises"
import { analystLimits } from "../../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { freePort } from "../../../src/warehouse/embedded/Ports.ts"
import { serverConfig } from "../../../src/warehouse/embedded/ServerConfig.ts"
import { supervise } from "../../../src/warehouse/embedded/Supervisor.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

describe("the supervisor", () => {
  it.live("gives up an engine that cannot start, and says what the engine said", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const options = {
        directory: `${directory}/engine`,
        configPath: `${directory}/engine.xml`,
        httpPort: yield* freePort(undefined),
        tcpPort: undefined,
        identity: "supervised",
        readyTimeoutMs: 30_000
      }
      const config = serverConfig({
        path: options.configPath,
        identity: options.identity,
        memoryBytesMax: 1_000_000_000,
        analyst: analystLimits(1_000_000_000),
        credentials: { writer: Redacted.make("w"), reader: Redacted.make("r"), analyst: Redacted.make("a") }
      })
      yield* Effect.promise(async () => {
        await mkdir(options.directory)
        await writeFile(options.configPath, config)
      })
      const supervisor = yield* supervise(options, 3)
      assert.strictEqual(yield* supervisor.state, "ready")

      yield* Effect.promise(() => writeFile(options.configPath, config.replace("GRANT SELECT", "GRANT NONSENSE")))
      yield* Effect.flatMap(supervisor.engine, (engine) => engine.kill)
      const error = yield* Effect.flip(supervisor.failed)
      assert.strictEqual(error._tag, "WarehouseStartError")
      assert.strictEqual(error.reason, "engine")
      assert.include(error.message, "after 3 attempts")
      assert.include(error.stderr, "Failed to parse grant query")
      assert.strictEqual(yield* supervisor.state, "failed")
    }))
})
