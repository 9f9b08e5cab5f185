/**
 * The warehouse port over @clickhouse/client: any ClickHouse that listens on HTTP, embedded or a cluster.
 *
 * Every request goes through the client's `exec` with error answers left alone: only so do we see the HTTP status, the exact
 * code and whether the answer is whole. An answer that ends early is never taken for an acknowledgement or for data.
 */
import { ClickHouseLogLevel, createClient } from "@clickhouse/client"
import type { ClickHouseClient, ClickHouseSettings } from "@clickhouse/client"
import { Effect, Layer, Redacted } from "effect"
import type { Scope } from "effect"
import { Readable } from "node:stream"
import { encodeNative, Scratch } from "./NativeBlock.ts"
import type { TableBlock } from "./TableBlock.ts"
import { Warehouse, WarehouseError } from "./Warehouse.ts"
import type { VisitRows, WarehouseAddress } from "./Warehouse.ts"

/** How long one attempt may take, ms. */
export const insertTimeoutMs = 60_000
export const queryTimeoutMs = 120_000
export const commandTimeoutMs = 600_000
/** Requests at a time; more wait for a socket. */
export const connectionsMax = 16
/** Idle sockets are closed before the server does it (its default is 10 s, older ones 3 s), ms. */
export const idleSocketMs = 2_500
/** Encoding memory that is kept between inserts; one is in use per insert in flight. */
export const scratchesKeptMax = 4
/** Memory of an exceptionally large block is given back, bytes. */
export const scratchBytesKeptMax = 64 << 20

export const layer = (address: WarehouseAddress): Layer.Layer<Warehouse> => Layer.effect(Warehouse, make(address))

/** The adapter itself; its sockets close with the scope. */
export const make = (address: WarehouseAddress): Effect.Effect<Warehouse["Service"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => open(address)),
      (client) => Effect.promise(() => client.close())
    )
    const scratches: Array<Scratch> = []

    const send = (request: Request, take?: RowFeed): Effect.Effect<Buffer, WarehouseError> =>
      Effect.tryPromise({
        try: (signal) => answerAgain(client, request, signal, take),
        catch: (cause) => classify(cause, address)
      }).pipe(
        Effect.timeoutOrElse({
          duration: request.timeoutMs,
          orElse: () => Effect.fail(timedOut(request, address))
        })
      )

    const insert = Effect.fn("Warehouse.insert")(function*(block: TableBlock) {
      if (block.rows === 0) return
      yield* Effect.annotateCurrentSpan({ table: block.table, rows: block.rows })
      const scratch = scratches.pop() ?? new Scratch()
      const body = encodeNative(block, scratch)
      const columns = block.columns.map((column) => quoted(column.name)).join(", ")
      const answered = yield* send({
        sql: `INSERT INTO ${quoted(address.database)}.${quoted(block.table)} (${columns}) FORMAT Native`,
        body,
        settings: insertSettings,
        timeoutMs: insertTimeoutMs
      })
      if (answered.length > 0) {
        return yield* failure(address, `an insert was answered with: ${answered.toString("utf8", 0, 500)}`, 0, false)
      }
      // Only now does nobody read the memory any more: after a failure a socket may still hold it, so it is left to the collector.
      if (
        scratches.length < scratchesKeptMax && scratch.bytes.length <= scratchBytesKeptMax && scratch.isWorthKeeping()
      ) scratches.push(scratch)
    })

    return Warehouse.of({
      database: address.database,
      insert,
      query: (sql, params) =>
        send({ sql, params, settings: jsonSettings, timeoutMs: queryTimeoutMs }).pipe(
          Effect.flatMap((bytes) =>
            Effect.try({
              try: () => JSON.parse(bytes.toString("utf8")) as ReadonlyArray<Readonly<Record<string, unknown>>>,
              catch: () => failure(address, `no JSON but: ${bytes.toString("utf8", 0, 200)}`, 0, false)
            })
          )
        ),
      queryBytes: (sql, params) => send({ sql, params, settings: bytesSettings, timeoutMs: queryTimeoutMs }),
      queryRows: (sql, rowBytes, visit) =>
        Effect.suspend(() =>
          send({ sql, settings: bytesSettings, timeoutMs: queryTimeoutMs }, new RowFeed(rowBytes, visit))
        ).pipe(Effect.asVoid),
      command: (sql, params) => send({ sql, params, settings: {}, timeoutMs: commandTimeoutMs }).pipe(Effect.asVoid)
    })
  })

interface Request {
  readonly sql: string
  readonly params?: Readonly<Record<string, unknown>> | undefined
  readonly body?: Buffer
  readonly settings: ClickHouseSettings
  readonly timeoutMs: number
}

/**
 * What an insert depends on, said with every insert: defaults differ between versions (async_insert is on since 26.x) and between
 * users. Deduplication off: a redone flush must reach dependent views again. One thread: one part, fewer fsyncs. Priority 1: KPI views wait.
 */
const insertSettings: ClickHouseSettings = {
  async_insert: 0,
  insert_deduplicate: 0,
  max_insert_threads: "1",
  priority: "1",
  os_thread_priority: "0",
  // Rows of one block with one key are left to FINAL and merges: looking for them here doubles the cost of an insert.
  optimize_on_insert: 0,
  max_partitions_per_insert_block: "0",
  wait_end_of_query: 1
}

/** Statements may be long: lists of ids stand in them, because parameters travel in the URL (128 KiB each, 1 MiB together). */
const statementBytesMax = 64 << 20
const querySettings: ClickHouseSettings = {
  max_query_size: String(statementBytesMax),
  max_ast_elements: "10000000",
  // Not that of the views, which have the writer's.
  os_thread_priority: "0"
}

const jsonSettings: ClickHouseSettings = {
  ...querySettings,
  default_format: "JSONEachRow",
  output_format_json_array_of_rows: 1,
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_decimals: 1,
  output_format_json_quote_denormals: 1
}

/** The client's type of this setting knows only the formats that it can decode. */
const bytesSettings = { ...querySettings, default_format: "RowBinary" } as unknown as ClickHouseSettings

const open = (address: WarehouseAddress): ClickHouseClient =>
  createClient({
    url: address.url,
    database: address.database,
    username: address.username,
    password: Redacted.value(address.password),
    application: "clickstream-guardian",
    max_open_connections: connectionsMax,
    // Our own timeouts are shorter and say what they waited for.
    request_timeout: commandTimeoutMs + 60_000,
    keep_alive: { enabled: true, idle_socket_ttl: idleSocketMs, eagerly_destroy_stale_sockets: true },
    log: { level: ClickHouseLogLevel.OFF }
  })

/**
 * A kept socket may have been closed just when a request went out on it, above all after another request was broken off: such a
 * request is sent once more, on a new one. Whatever is sent twice changes nothing. Not where rows have been shown already.
 */
const answerAgain = async (
  client: ClickHouseClient,
  request: Request,
  signal: AbortSignal,
  feed: RowFeed | undefined
): Promise<Buffer> => {
  try {
    return await answer(client, request, signal, feed)
  } catch (cause) {
    const isReset = cause instanceof Error && "code" in cause && cause.code === "ECONNRESET"
    if (!isReset || feed !== undefined || signal.aborted) throw cause
    return answer(client, request, signal)
  }
}

/** Sends one request and reads the whole answer, which also returns the socket to the pool. */
const answer = async (
  client: ClickHouseClient,
  request: Request,
  signal: AbortSignal,
  feed?: RowFeed
): Promise<Buffer> => {
  const common = {
    query: request.sql,
    clickhouse_settings: request.settings,
    abort_signal: signal,
    ignore_error_response: true,
    ...(request.params !== undefined && { query_params: { ...request.params } })
  }
  const result = request.body === undefined ?
    await client.exec(common) :
    await client.exec({ ...common, values: Readable.from([request.body], { objectMode: false }) })
  const code = Number(result.response_headers["x-clickhouse-exception-code"] ?? 0)
  const status = result.http_status_code ?? 0
  const { bytes, ended } = await read(result.stream, signal, status === 200 && code === 0 ? feed : undefined)
  if (status !== 200 || code !== 0) throw new Refused(status, code, bytes.toString("utf8", 0, refusalBytesMax))
  const late = lateError(bytes, result.response_headers["x-clickhouse-exception-tag"])
  if (late !== undefined) throw new Refused(status, 0, late)
  if (ended !== undefined) throw ended
  feed?.end(bytes)
  return bytes
}

/** All there is, or what a feed has not taken, and the error when the connection closed before the end of the answer. */
const read = async (
  stream: Readable,
  signal: AbortSignal,
  feed: RowFeed | undefined
): Promise<{ bytes: Buffer; ended: Error | undefined }> => {
  const abort = () => stream.destroy(new Error("aborted"))
  signal.addEventListener("abort", abort, { once: true })
  const chunks: Array<Buffer> = []
  let ended: Error | undefined
  try {
    for await (const chunk of stream) {
      if (feed === undefined) chunks.push(chunk as Buffer)
      else chunks.splice(0, 1, feed.take(chunks[0], chunk as Buffer))
    }
  } catch (cause) {
    ended = cause instanceof Error ? cause : new Error(String(cause))
  } finally {
    signal.removeEventListener("abort", abort)
  }
  return { bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks), ended }
}

/** Cuts an answer into whole rows while it comes. What may yet turn out to be an error is held back until the end. */
class RowFeed {
  readonly #rowBytes: number
  readonly #visit: VisitRows

  constructor(rowBytes: number, visit: VisitRows) {
    this.#rowBytes = rowBytes
    this.#visit = visit
  }

  /** Shows what is sure of these; gives back the rest. */
  take(held: Buffer | undefined, chunk: Buffer): Buffer {
    const bytes = held === undefined ? chunk : Buffer.concat([held, chunk])
    return this.#show(bytes, bytes.length - lateErrorBytesMax)
  }

  /** The answer is whole. */
  end(bytes: Buffer): void {
    if (this.#show(bytes, bytes.length).length > 0) throw new Error("the answer ends within a row")
  }

  #show(bytes: Buffer, length: number): Buffer {
    if (length < this.#rowBytes) return bytes
    const shown = length - length % this.#rowBytes
    this.#visit(bytes.subarray(0, shown))
    return bytes.subarray(shown)
  }
}

/** The longest error text that is kept, bytes. */
const refusalBytesMax = 4_000

/**
 * An error in the midst of an answer comes after status 200, at the end of the body and before the connection is broken off:
 * `__exception__`, the tag from the header, the message, its length, the tag, `__exception__` (ClickHouse 25.11 and later; of
 * older ones only the broken connection is seen).
 */
const lateError = (bytes: Buffer, tag: unknown): string | undefined => {
  if (typeof tag !== "string" || tag === "") return undefined
  const tail = bytes.toString("latin1", Math.max(0, bytes.length - lateErrorBytesMax))
  if (!tail.endsWith(`${tag}\r\n__exception__\r\n`)) return undefined
  const start = tail.lastIndexOf(`__exception__\r\n${tag}\r\n`)
  const text = Buffer.from(start < 0 ? tail : tail.slice(start), "latin1").toString("utf8")
  return text.replaceAll("__exception__", "").replaceAll(tag, "").trim().replace(/\s+\d+$/, "")
}

/** How far before the end such an error may begin, bytes: the server cuts messages at 16 KiB. */
const lateErrorBytesMax = 20_000

/** An answer that is an error: thrown inside this file only. */
class Refused extends Error {
  readonly status: number
  readonly code: number

  constructor(status: number, code: number, text: string) {
    super(text.trim() || `HTTP status ${status}`)
    this.status = status
    this.code = code || Number(/Code: (\d+)/.exec(text)?.[1] ?? 0)
  }
}

const classify = (cause: unknown, address: WarehouseAddress): WarehouseError => {
  if (cause instanceof Refused) {
    const retryable = retryableCodes.has(cause.code) || retryableText.test(cause.message) ||
      (cause.code === 0 && retryableStatuses.has(cause.status))
    return failure(address, cause.message, cause.code, retryable)
  }
  // Everything that is no answer is the network's: refused, reset, hung up, ended early, name not found yet.
  const text = cause instanceof Error ? describe(cause) : String(cause)
  return failure(address, text, 0, !(cause instanceof TypeError), cause)
}

/** Errors that pass: the server is overloaded, full, starting, stopping, or has lost its keeper or its peers. */
const retryableCodes = new Set([
  3, // UNEXPECTED_END_OF_FILE: our own connection broke in the midst of an insert
  32, // ATTEMPT_TO_READ_AFTER_EOF: the same
  159, // TIMEOUT_EXCEEDED
  202, // TOO_MANY_SIMULTANEOUS_QUERIES
  209, // SOCKET_TIMEOUT
  210, // NETWORK_ERROR
  225, // NO_ZOOKEEPER
  236, // ABORTED
  241, // MEMORY_LIMIT_EXCEEDED
  242, // TABLE_IS_READ_ONLY: a replica that has lost its keeper
  243, // NOT_ENOUGH_SPACE
  252, // TOO_MANY_PARTS
  279, // ALL_CONNECTION_TRIES_FAILED
  285, // TOO_FEW_LIVE_REPLICAS
  286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
  289, // REPLICA_IS_NOT_IN_QUORUM
  319, // UNKNOWN_STATUS_OF_INSERT: writing again changes nothing
  394, // QUERY_WAS_CANCELLED
  439, // CANNOT_SCHEDULE_TASK
  734, // QUERY_WAS_CANCELLED_BY_CLIENT
  745, // SERVER_OVERLOADED
  999 // KEEPER_EXCEPTION
])
const retryableText =
  /no space left on device|not_enough_space|memory_limit_exceeded|cannot allocate memory|too many open files|Poco::Exception.*(timeout|net exception|i\/o error)/i
const retryableStatuses = new Set([429, 500, 502, 503, 504])

const timedOut = (request: Request, address: WarehouseAddress): WarehouseError =>
  failure(address, `no answer within ${request.timeoutMs / 1000} s to: ${request.sql.slice(0, 200)}`, 0, true)

const failure = (address: WarehouseAddress, text: string, code: number, retryable: boolean, cause?: unknown) =>
  new WarehouseError({
    message: withoutPassword(`the warehouse at ${host(address.url)}: ${text}`, address),
    code,
    retryable,
    ...(cause !== undefined && { cause })
  })

/** Node puts several attempts (IPv4, IPv6) into one AggregateError with an empty message. */
const describe = (error: Error): string => {
  const code = "code" in error ? String(error.code) : ""
  const inner = error instanceof AggregateError ? error.errors.map(String).join("; ") : error.message
  return [code, inner].filter((part) => part !== "").join(": ") || error.name
}

/** Servers do not echo passwords; a proxy between may. */
const withoutPassword = (text: string, address: WarehouseAddress): string => {
  const password = Redacted.value(address.password)
  return password === "" ? text : text.replaceAll(password, "<redacted>")
}

const host = (url: string): string => URL.canParse(url) ? new URL(url).host : "an invalid address"

const quoted = (identifier: string): string => `\`${identifier.replaceAll("\\", "\\\\").replaceAll("`", "\\`")}\``
