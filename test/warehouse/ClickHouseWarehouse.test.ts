import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Schedule } from "effect"
import type { Scope } from "effect"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { insertTimeoutMs, make, queryTimeoutMs } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import type { TableBlock } from "../../src/warehouse/TableBlock.ts"
import type { Warehouse, WarehouseAddress, WarehouseError } from "../../src/warehouse/Warehouse.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"

const block: TableBlock = { table: "t", rows: 2, columns: [{ name: "n", type: "UInt8", values: [1, 2] }] }

describe("a warehouse that misbehaves", () => {
  it.effect.each<readonly [string, number, string, boolean]>([
    [
      "is overloaded",
      500,
      "Code: 202. DB::Exception: Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)",
      true
    ],
    ["is out of memory", 500, "Code: 241. DB::Exception: (total) memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)", true],
    ["is out of disk", 500, "Code: 243. DB::Exception: Cannot reserve 1.00 MiB. (NOT_ENOUGH_SPACE)", true],
    ["is out of disk below", 500, "Code: 75. DB::Exception: write: No space left on device (CANNOT_WRITE)", true],
    ["has too many parts", 500, "Code: 252. DB::Exception: Too many parts (3001). (TOO_MANY_PARTS)", true],
    ["has lost its keeper", 500, "Code: 999. DB::Exception: Session expired. (KEEPER_EXCEPTION)", true],
    ["is a read-only replica", 500, "Code: 242. DB::Exception: Table is in readonly mode. (TABLE_IS_READ_ONLY)", true],
    ["was cancelled", 500, "Code: 236. DB::Exception: Server shuts down. (ABORTED)", true],
    ["is behind a proxy that finds nobody", 503, "<html>Service Unavailable</html>", true],
    ["lacks the table", 404, "Code: 60. DB::Exception: Table d.t does not exist. (UNKNOWN_TABLE)", false],
    ["cannot parse the statement", 400, "Code: 62. DB::Exception: Syntax error. (SYNTAX_ERROR)", false],
    ["does not know us", 403, "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", false],
    ["does not let us", 403, "Code: 497. DB::Exception: Not enough privileges. (ACCESS_DENIED)", false],
    [
      "has trouble with its network",
      500,
      "Poco::Exception. Code: 1000, e.code() = 104, Net Exception: Connection reset",
      true
    ],
    [
      "does not like a parameter",
      500,
      "Poco::Exception. Code: 1000, e.code() = 0, HTML Form Exception: Field value too long",
      false
    ],
    ["is no ClickHouse", 404, "<html>Not Found</html>", false]
  ])("one that %s: retryable or not", ([, status, text, retryable]) =>
    Effect.gen(function*() {
      const warehouse = yield* fakeWarehouse((request, response) => {
        request.resume().on("end", () => response.writeHead(status).end(text))
      })
      const error = yield* Effect.flip(warehouse.insert(block))
      assert.strictEqual(error.retryable, retryable)
      assert.strictEqual(error.code, Number(/Code: (\d+)/.exec(text)?.[1] ?? 0))
      assert.include(error.message, text)
    }))

  it.effect("is waited for when nobody listens", () =>
    Effect.gen(function*() {
      const warehouse = yield* make(addressOf(1))
      const error = yield* Effect.flip(warehouse.query("SELECT 1"))
      assert.isTrue(error.retryable)
      assert.include(error.message, "ECONNREFUSED")
    }))

  it.effect.each<readonly [string, Handler]>([
    ["before an answer", (request) => request.socket.destroy()],
    ["in the midst of an insert", (request) => request.once("data", () => request.socket.destroy())],
    ["after the headers", (request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, { "transfer-encoding": "chunked" }).flushHeaders()
        setImmediate(() => request.socket.destroy())
      })
    }]
  ])("does not count as an acknowledgement when the connection breaks %s", ([, handler]) =>
    Effect.gen(function*() {
      const warehouse = yield* fakeWarehouse(handler)
      assert.isTrue((yield* Effect.flip(warehouse.insert(block))).retryable)
    }))

  it.effect("is no warehouse when it answers with something else", () =>
    Effect.gen(function*() {
      const warehouse = yield* fakeWarehouse((request, response) => {
        request.resume().on("end", () => response.end("<html>Welcome</html>"))
      })
      for (
        const error of [yield* Effect.flip(warehouse.query("SELECT 1")), yield* Effect.flip(warehouse.insert(block))]
      ) {
        assert.isFalse(error.retryable)
        assert.include(error.message, "Welcome")
      }
    }))

  it.effect("does not pass off half an answer as a whole one", () =>
    Effect.gen(function*() {
      const warehouse = yield* fakeWarehouse((request, response) => {
        request.resume().on("end", () => {
          response.writeHead(200).write("half")
          setImmediate(() => request.socket.destroy())
        })
      })
      assert.isTrue((yield* Effect.flip(warehouse.queryBytes("SELECT 1"))).retryable)
    }))

  it.effect("never has its password in a message, even if a proxy echoes it", () =>
    Effect.gen(function*() {
      const warehouse = yield* fakeWarehouse((request, response) => {
        request.resume().on("end", () => response.writeHead(500).end("refused writer:open-sesame"))
      })
      const error = yield* Effect.flip(warehouse.query("SELECT 1"))
      assert.notInclude(JSON.stringify(error) + String(error) + String(error.cause), "open-sesame")
    }))

  it.effect("fails after a named time when it does not answer", () =>
    Effect.gen(function*() {
      for (
        const [timeoutMs, send] of [
          [insertTimeoutMs, (warehouse: Warehouse["Service"]) => warehouse.insert(block)],
          [queryTimeoutMs, (warehouse: Warehouse["Service"]) => Effect.asVoid(warehouse.query("SELECT 1"))]
        ] as const
      ) {
        const asked = Promise.withResolvers<void>()
        const closed = Promise.withResolvers<void>()
        const warehouse = yield* fakeWarehouse((request) => {
          request.socket.on("close", () => closed.resolve())
          request.resume().on("end", () => asked.resolve())
        })
        const fiber = yield* Effect.forkChild(Effect.flip(send(warehouse)))
        yield* Effect.promise(() => asked.promise)
        yield* TestClock.adjust(timeoutMs)
        const error = yield* Fiber.join(fiber)
        assert.isTrue(error.retryable)
        assert.include(error.message, `no answer within ${timeoutMs / 1000} s`)
        yield* Effect.promise(() => closed.promise)
      }
    }))

  it.effect("is asked with what an insert depends on", () =>
    Effect.gen(function*() {
      const asked = Promise.withResolvers<URL>()
      const warehouse = yield* fakeWarehouse((request, response) => {
        request.resume().on("end", () => {
          asked.resolve(new URL(request.url ?? "", "http://fake"))
          response.end()
        })
      })
      yield* warehouse.insert(block)
      const { searchParams } = yield* Effect.promise(() => asked.promise)
      assert.deepStrictEqual(
        ["query", "async_insert", "insert_deduplicate", "max_insert_threads", "max_partitions_per_insert_block"].map((
          name
        ) => searchParams.get(name)),
        ["INSERT INTO `shop`.`t` (`n`) FORMAT Native", "0", "0", "1", "0"]
      )
    }))
})

layer(TemporaryWarehouse, { excludeTestServices: true })("ClickHouse", (it) => {
  it.effect("answers with exact numbers, as text", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      assert.deepStrictEqual(
        yield* warehouse.query(
          "SELECT toUInt64({big:UInt64}) AS big, {text:String} AS text, toDecimal128('99999999999999999999.5', 4) AS amount, {list:Array(String)} AS list",
          { big: "18446744073709551615", text: "it's\t{a}\n\\", list: ["a'b", "c"] }
        ),
        [{ big: "18446744073709551615", text: "it's\t{a}\n\\", amount: "99999999999999999999.5", list: ["a'b", "c"] }]
      )
      assert.deepStrictEqual(yield* warehouse.query("SELECT 1 AS one WHERE 0"), [])
    }))

  it.effect("answers with RowBinary", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      assert.deepStrictEqual(
        yield* warehouse.queryBytes("SELECT toUInt16(number), 'ab' FROM numbers({count:UInt8})", { count: 2 }),
        Buffer.from([0, 0, 2, 0x61, 0x62, 1, 0, 2, 0x61, 0x62])
      )
      assert.strictEqual((yield* warehouse.queryBytes("SELECT number FROM numbers(3000000)")).length, 24_000_000)
    }))

  it.effect("takes statements of several megabytes", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const ids = Array.from({ length: 200_000 }, (_, id) => `'visitor-${id}'`)
      assert.deepStrictEqual(
        yield* warehouse.query(`SELECT 'visitor-199999' IN (${ids.join()}) AS found`),
        [{ found: 1 }]
      )
    }))

  it.effect("tells an error that comes in the midst of an answer, and does not retry what cannot heal", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const sql =
        "SELECT throwIf(number = 2000000, 'boom'), number FROM numbers(3000000) SETTINGS max_block_size = 10000"
      for (const error of [yield* Effect.flip(warehouse.queryBytes(sql)), yield* Effect.flip(warehouse.query(sql))]) {
        assert.strictEqual(error.code, 395)
        assert.isFalse(error.retryable)
        assert.match(error.message, /boom.*\(version [\d.]+\)$/)
      }
    }))

  it.effect("shows rows as they come: each whole, in order, and nothing of an error", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const rowBytes = 9
      /** How many rows came before anything was out of order; -1 when something was. */
      const shown = (sql: string) => {
        let next = 0
        let visits = 0
        const read = warehouse.queryRows(sql, rowBytes, (rows) => {
          visits++
          for (let at = 0; at < rows.length; at += rowBytes) {
            const isNext = rows[at] === 7 && Number(rows.readBigUInt64LE(at + 1)) === next
            next = isNext ? next + 1 : Number.NaN
          }
        })
        return Effect.map(Effect.exit(read), (exit) => ({ exit, next, visits }))
      }
      const whole = yield* shown("SELECT toUInt8(7), number FROM numbers(1000000) SETTINGS max_threads = 1")
      assert.isTrue(Exit.isSuccess(whole.exit))
      assert.strictEqual(whole.next, 1_000_000)
      assert.isAbove(whole.visits, 10)
      const none = yield* shown("SELECT toUInt8(7), number FROM numbers(0)")
      assert.deepStrictEqual([none.next, none.visits], [0, 0])
      const broken = yield* shown(
        "SELECT toUInt8(7 + throwIf(number = 900000, 'boom')), number FROM numbers(1000000) SETTINGS max_block_size = 10000, max_threads = 1"
      )
      assert.isTrue(Exit.isFailure(broken.exit))
      assert.isAtLeast(broken.next, 0)
      assert.isAtMost(broken.next, 900_000)
      const cut = yield* shown("SELECT toUInt16(7)")
      assert.isTrue(Exit.isFailure(cut.exit))
      assert.strictEqual(cut.next, 0)
    }))

  it.effect("takes blocks side by side without mixing their memory", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      yield* warehouse.command(`CREATE TABLE ${warehouse.database}.texts (writer UInt8, text String) ENGINE = Memory`)
      yield* Effect.forEach(Array.from({ length: 40 }, (_, index) => index), (writer) =>
        warehouse.insert({
          table: "texts",
          rows: 500,
          columns: [
            { name: "writer", type: "UInt8", values: Array.from({ length: 500 }, () => writer) },
            { name: "text", type: "String", values: Array.from({ length: 500 }, () => String(writer).repeat(900)) }
          ]
        }), { concurrency: 8 })
      assert.deepStrictEqual(
        yield* warehouse.query(
          `SELECT count() AS rows, countIf(text != repeat(toString(writer), 900)) AS wrong FROM ${warehouse.database}.texts`
        ),
        [{ rows: "20000", wrong: "0" }]
      )
    }))

  it.effect("tells a wrong table, column or password even when the block is large", () =>
    Effect.gen(function*() {
      const warehouse = yield* freshWarehouse
      const large: TableBlock = {
        table: "nowhere",
        rows: 100_000,
        columns: [{ name: "n", type: "String", values: Array.from({ length: 100_000 }, () => "x".repeat(200)) }]
      }
      const server = yield* EmbeddedWarehouse
      const stranger = yield* make({ ...server.address("writer"), password: Redacted.make("wrong") })
      const errors = yield* Effect.all([
        Effect.flip(warehouse.insert(large)),
        Effect.flip(warehouse.insert({ ...large, table: "events_raw" })),
        Effect.flip(stranger.insert({ ...large, table: "events_raw" }))
      ])
      assert.deepStrictEqual(errors.map(({ code, retryable }) => [code, retryable]), [[60, false], [16, false], [
        516,
        false
      ]])
    }))

  it.effect("is waited for while its process is killed and started again, and keeps what it acknowledged", () =>
    Effect.gen(function*() {
      const server = yield* EmbeddedWarehouse
      const warehouse = yield* freshWarehouse
      const write = (offset: number) =>
        warehouse.insert({
          table: "decision_hashes",
          rows: 1,
          columns: [{ name: "offset", type: "UInt64", values: [offset] }]
        })
      yield* write(1)
      yield* server.kill
      const attempts: Array<WarehouseError> = []
      yield* write(3).pipe(
        Effect.tapError((error) => Effect.sync(() => attempts.push(error))),
        Effect.retry({ while: (error) => error.retryable, schedule: Schedule.spaced("20 millis"), times: 1_000 })
      )
      assert.isAbove(attempts.length, 0)
      const rows = yield* warehouse.query(`SELECT offset FROM ${warehouse.database}.decision_hashes`)
      assert.includeMembers(rows.map((row) => row["offset"]), ["1", "3"])
    }))
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const addressOf = (port: number): WarehouseAddress => ({
  url: `http://127.0.0.1:${port}`,
  database: "shop",
  username: "writer",
  password: Redacted.make("open-sesame")
})

const fakeWarehouse = (handler: Handler): Effect.Effect<Warehouse["Service"], never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(handler)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(Effect.flatMap((server) => make(addressOf((server.address() as AddressInfo).port))))
