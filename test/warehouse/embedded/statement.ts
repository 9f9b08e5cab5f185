import { Effect, Redacted } from "effect"
import type { WarehouseAddress } from "../../../src/warehouse/Warehouse.ts"

export interface Answer {
  readonly ok: boolean
  /** ClickHouse's error code; undefined when the statement succeeded. */
  readonly code: number | undefined
  readonly text: string
}

/** Sends one statement as a plain HTTP client would; fails when nobody answers. */
export const statement = (address: WarehouseAddress, sql: string): Effect.Effect<Answer, Error> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(`${address.url}/?database=${address.database}&wait_end_of_query=1`, {
        method: "POST",
        body: sql,
        headers: { "X-ClickHouse-User": address.username, "X-ClickHouse-Key": Redacted.value(address.password) },
        signal
      })
      const code = response.headers.get("x-clickhouse-exception-code")
      return {
        ok: response.ok,
        code: code === null ? undefined : Number(code),
        text: (await response.text()).trim()
      }
    },
    catch: (cause) => new Error("no answer", { cause })
  })
