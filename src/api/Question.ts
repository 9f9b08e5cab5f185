/**
 * A question to the warehouse: a fixed statement with parameters, within limits, as rows that look like the contract's. When the
 * client goes away the fiber is interrupted, the connection closes, and ClickHouse ends the statement (the reader's profile says so).
 */
import { Effect } from "effect"
import type { WarehouseError } from "../warehouse/Warehouse.ts"
import { ApiSources } from "./ApiSources.ts"
import { TookTooLong, Unavailable } from "./contract/Problems.ts"

export type Parameters = Readonly<Record<string, unknown>>

/** Limits of one question. Rows are those of the answer; what is read is bounded by the time. */
export const questionSecondsMax = 10
export const questionRowsMax = 100_000
export const questionThreadsMax = 2
export const questionMemoryBytesMax = 500_000_000

/** Time as RFC 3339, 64-bit integers as numbers (all of ours are below 2^53), decimals as text. */
const settings = `
SETTINGS max_execution_time = ${questionSecondsMax}, timeout_overflow_mode = 'throw', max_result_rows = ${questionRowsMax},
  result_overflow_mode = 'throw', max_threads = ${questionThreadsMax}, max_memory_usage = ${questionMemoryBytesMax},
  date_time_output_format = 'iso', output_format_json_quote_64bit_integers = 0, output_format_json_quote_denormals = 0`

/** The rows of a statement; their shape is that of `Row` by the statement's text, which tests hold to the contract. */
export const ask = <Row>(sql: string, parameters: Parameters = {}): Effect.Effect<
  ReadonlyArray<Row>,
  Unavailable | TookTooLong,
  ApiSources
> =>
  ApiSources.use(({ reader }) => reader.query(`${sql}${settings}`, parameters)).pipe(
    Effect.retry(onceMore),
    Effect.map((rows) => rows as unknown as ReadonlyArray<Row>),
    Effect.catchTag("WarehouseError", asProblem)
  )

/** The same in a format of ClickHouse's. */
export const askBytes = (sql: string, format: "CSVWithNames" | "Parquet", parameters: Parameters) =>
  ApiSources.use(({ reader }) => reader.queryBytes(`${sql}${settings} FORMAT ${format}`, parameters)).pipe(
    Effect.retry(onceMore),
    Effect.catchTag("WarehouseError", asProblem)
  )

const timeoutExceeded = 159
/** The schema is not there yet, or older than this program. */
const noSchema: ReadonlySet<number> = new Set([60, 81])

/** ClickHouse closes idle connections; a question that was just sent on one is asked once more. */
const onceMore = { times: 1, while: ({ code, retryable }: WarehouseError) => retryable && code === 0 }

/** Neither passwords nor statements leave the house: the details go to the log. */
export const asProblem = (error: WarehouseError): Effect.Effect<never, Unavailable | TookTooLong> => {
  if (error.code === timeoutExceeded) {
    return Effect.fail(
      new TookTooLong({ detail: `It was ended after ${questionSecondsMax} s. Ask for fewer days or rows.` })
    )
  }
  if (noSchema.has(error.code)) {
    return Effect.fail(new Unavailable({ detail: "The database has no tables yet: guardian migrate makes them." }))
  }
  if (!error.retryable) return Effect.die(error)
  return Effect.andThen(
    Effect.logWarning(`a question to the warehouse failed: ${error.message}`),
    Effect.fail(
      new Unavailable({ detail: "The warehouse does not answer, or is overloaded. Try again in some seconds." })
    )
  )
}
