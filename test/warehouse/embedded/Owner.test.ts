import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Option, Result, Scope } from "effect"
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { EmbeddedWarehouse } from "../../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { eventually } from "./eventually.ts"
import { isAlive, ownerProcess } from "./ownerProcess.ts"
import { statement } from "./statement.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

const build = (directory: string, httpPort?: number) =>
  Effect.map(Layer.build(EmbeddedWarehouse.layer({ directory, httpPort })), Context.get(EmbeddedWarehouse))

describe("the owner of a warehouse's directory", () => {
  it.live("is one: a second process learns who it is and where, and can attach", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const first = yield* ownerProcess(directory)
      const url = (yield* first.said).url!

      const refused = yield* Effect.flip(build(directory))
      assert.strictEqual(refused._tag, "WarehouseOwned")
      assert.deepInclude(refused, { pid: first.pid, url, directory })

      const attached = Option.getOrThrow(yield* EmbeddedWarehouse.attach(directory))
      assert.deepInclude(attached, { url, ownerPid: first.pid, tcpPort: undefined })
      for (const role of ["writer", "reader", "analyst"] as const) {
        assert.strictEqual((yield* statement(attached.address(role), "SELECT currentDatabase()")).text, "guardian")
      }

      yield* first.stop
      assert.isFalse(existsSync(`${directory}/owner.json`))
      assert.isTrue(Option.isNone(yield* EmbeddedWarehouse.attach(directory)))
    }))

  it.live("is one, when two start at once", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const starters = [yield* ownerProcess(directory), yield* ownerProcess(directory)]
      const said = yield* Effect.all(starters.map((starter) => starter.said))
      const winner = said.findIndex((line) => line.enginePid !== undefined)
      assert.strictEqual(said.filter((line) => line.enginePid !== undefined).length, 1)
      const loser = said[1 - winner]!
      assert.strictEqual(loser.owned, starters[winner]!.pid)
      assert.strictEqual(loser.url, said[winner]!.url)
    }))

  it.live("takes its engine along when it is killed, and the next owner finds data, passwords and port as they were", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const killed = yield* ownerProcess(directory)
      const { enginePid, url } = yield* killed.said
      const attached = Option.getOrThrow(yield* EmbeddedWarehouse.attach(directory))
      yield* statement(attached.address("writer"), "CREATE TABLE kept (x UInt64) ENGINE = MergeTree ORDER BY x")
      yield* statement(attached.address("writer"), "INSERT INTO kept VALUES (1)")
      yield* killed.kill
      assert.isTrue(existsSync(`${directory}/owner.json`))
      assert.isTrue(Option.isNone(yield* EmbeddedWarehouse.attach(directory)))

      const next = yield* build(directory) // at once: the engine left behind may still live
      assert.strictEqual(next.url, url)
      yield* eventually("the engine left behind ended", Effect.sync(() => !isAlive(enginePid!)))
      const kept = yield* statement(attached.address("reader"), "SELECT x FROM kept")
      assert.strictEqual(kept.text, "1")
    }))

  it.live("takes its engine along when it is killed and nobody comes after it", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const killed = yield* ownerProcess(directory)
      const { enginePid } = yield* killed.said
      yield* killed.kill
      yield* eventually("the engine ended", Effect.sync(() => !isAlive(enginePid!)))
    }))

  it.live("stops its engine and gives up the directory when its scope closes", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const scope = yield* Scope.make()
      const warehouse = yield* build(directory).pipe(Scope.provide(scope))
      const pid = yield* warehouse.pid
      const credentials = yield* Effect.promise(() => readFile(`${directory}/credentials.json`, "utf8"))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(isAlive(pid))

      const again = yield* build(directory)
      assert.strictEqual(again.url, warehouse.url)
      assert.strictEqual(
        yield* Effect.promise(() => readFile(`${directory}/credentials.json`, "utf8")),
        credentials
      )
    }))

  it.live("listens on a port that browsers refuse, too", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      // Ports of IRC and the like; one of them is free.
      for (const port of [6_667, 6_666, 6_668, 6_669, 6_697, 10_080]) {
        const started = yield* Effect.result(build(directory, port))
        if (Result.isFailure(started)) {
          assert.deepInclude(started.failure, { reason: "port-taken", port })
          continue
        }
        return assert.strictEqual(started.success.url, `http://127.0.0.1:${port}`)
      }
      assert.fail("every one of these ports is taken")
    }))

  it.live("is told which port is taken, if it asked for that one; else takes another", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const foreign = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer()
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = foreign.address() as AddressInfo
      const refused = yield* Effect.flip(build(directory, port))
      assert.strictEqual(refused._tag, "WarehouseStartError")
      assert.deepInclude(refused, { reason: "port-taken", port })
      assert.include(refused.message, String(port))
      assert.isFalse(existsSync(`${directory}/owner.json`))

      const warehouse = yield* build(directory)
      assert.notStrictEqual(warehouse.url, `http://127.0.0.1:${port}`)
    }))
})
