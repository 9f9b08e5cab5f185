/**
 * A statement's answer, passed on byte for byte as it comes. Whatever its size, only a few chunks of it are in memory; an error
 * in its midst is told from data.
 */
import { ClickHouseLogLevel, createClient } from "@clickhouse/client"
import type { ClickHouseSettings } from "@clickhouse/client"
import { Effect, Redacted, Schema } from "effect"
import type { WarehouseAddress } from "../warehouse/Warehouse.ts"

/** ClickHouse refused the statement, or broke it off; the message is its own. */
export class StatementRefused extends Schema.TaggedError<StatementRefused>()("StatementRefused", {
  message: Schema.String,
  /** ClickHouse's code; 0 when it sent none. */
  code: Schema.Number
}) {}

/** A statement of an analyst may take long: only the connection's end or Ctrl-C ends it. The longest time a timer takes, ms. */
const answerMsMax = 2_147_483_647
/** The longest error text that is shown, bytes. */
const refusalBytesMax = 16_384

/**
 * Runs a statement and hands its answer to `write`, chunk by chunk, each when the one before is taken. `format` holds unless the
 * statement names its own. An interruption closes the connection, with which the server stops the statement.
 */
export const streamAnswer = (
  address: WarehouseAddress,
  sql: string,
  options: {
    readonly format: string
    /** Values of the statement's `{name:Type}`, as text. */
    readonly parameters?: Readonly<Record<string, string>> | undefined
    readonly write: (chunk: Uint8Array) => Promise<void>
  }
): Effect.Effect<void, StatementRefused> =>
  Effect.acquireUseRelease(
    Effect.sync(() =>
      createClient({
        url: address.url,
        database: address.database,
        username: address.username,
        password: Redacted.value(address.password),
        application: "clickstream-guardian",
        request_timeout: answerMsMax,
        log: { level: ClickHouseLogLevel.OFF }
      })
    ),
    (client) =>
      Effect.tryPromise({
        try: async (signal) => {
          const { http_status_code: status, response_headers: headers, stream } = await client.exec({
            query: sql,
            query_params: { ...options.parameters },
            // The client's type of this setting knows only the formats that it can decode.
            clickhouse_settings: { default_format: options.format } as unknown as ClickHouseSettings,
            abort_signal: signal,
            ignore_error_response: true
          })
          const stop = () => stream.destroy(new Error("interrupted"))
          signal.addEventListener("abort", stop, { once: true })
          if (status !== 200) throw await refusal(stream)
          const tag = headers["x-clickhouse-exception-tag"]
          const filter = new LateErrorFilter(typeof tag === "string" ? tag : "")
          try {
            for await (const chunk of stream) {
              const passed = filter.push(chunk as Buffer)
              if (passed.length > 0) await options.write(passed)
            }
          } catch (cause) {
            // After an error in its midst the server breaks the connection off: the error is what matters.
            if (filter.error() === undefined) throw cause
          }
          const error = filter.error()
          if (error !== undefined) throw refused(error)
          const rest = filter.rest()
          if (rest.length > 0) await options.write(rest)
        },
        catch: (cause) => cause instanceof StatementRefused ? cause : refused(`the answer broke off: ${String(cause)}`)
      }),
    (client) => Effect.promise(() => client.close())
  )

const refused = (text: string): StatementRefused =>
  new StatementRefused({ message: text.trim(), code: Number(/Code: (\d+)/.exec(text)?.[1] ?? 0) })

const refusal = async (stream: AsyncIterable<unknown>): Promise<StatementRefused> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return refused(Buffer.concat(chunks).toString("utf8", 0, refusalBytesMax) || "the warehouse refused without a word")
}

/**
 * An error in the midst of an answer comes after status 200: a line `__exception__`, the tag from the header, the message, its length and
 * the tag, `__exception__`. So as much is held back as could be the beginning of that.
 */
class LateErrorFilter {
  readonly #marker: Buffer
  readonly #tag: string
  #held: Buffer = Buffer.alloc(0)
  #found = false

  constructor(tag: string) {
    this.#tag = tag
    this.#marker = tag === "" ? Buffer.alloc(0) : Buffer.from(`\r\n__exception__\r\n${tag}\r\n`)
  }

  /** What is certainly data. */
  push(chunk: Buffer): Buffer {
    if (this.#marker.length === 0) return chunk
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    if (this.#found) {
      this.#held = bytes.subarray(0, refusalBytesMax)
      return nothing
    }
    const at = bytes.indexOf(this.#marker)
    this.#found = at !== -1
    const end = this.#found ? at : Math.max(0, bytes.length - this.#marker.length + 1)
    this.#held = bytes.subarray(end)
    return bytes.subarray(0, end)
  }

  error(): string | undefined {
    if (!this.#found) return undefined
    return this.#held.toString("utf8").replaceAll("__exception__", "").replaceAll(this.#tag, "").trim().replace(
      /\s+\d+$/,
      ""
    )
  }

  rest(): Buffer {
    return this.#found ? nothing : this.#held
  }
}

const nothing = Buffer.alloc(0)
