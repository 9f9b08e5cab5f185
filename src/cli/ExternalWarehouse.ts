/** A ClickHouse server that somebody else runs: the environment says where it is and how our users log in there. */
import { Config, Effect, Redacted } from "effect"
import { addressOf } from "../warehouse/embedded/Credentials.ts"
import type { WarehouseRole } from "../warehouse/embedded/Credentials.ts"
import type { WarehouseAddress } from "../warehouse/Warehouse.ts"
import { serverVariables, SettingsError } from "./Environment.ts"
import type { Variable } from "./Environment.ts"

export interface ExternalWarehouse {
  readonly url: string
  address(role: WarehouseRole): WarehouseAddress
}

/** Whether the warehouse is not the data directory's own. */
export const isExternal = (): boolean => (process.env[serverVariables.url.name] ?? "") !== ""

/**
 * Undefined: the embedded one is meant. A password that is not given is empty: that of a role that this process does not take need not
 * be known to it, and the server refuses whoever lacks one.
 */
export const externalWarehouse: Effect.Effect<ExternalWarehouse | undefined, SettingsError> = Effect.gen(function*() {
  const url = yield* text(serverVariables.url)
  if (url === "") return undefined
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol) || new URL(url).username !== "") {
    return yield* new SettingsError({
      message: `${serverVariables.url.name} must be an HTTP address without a log-in, such as http://clickhouse:8123`
    })
  }
  const address = addressOf(url, {
    writer: Redacted.make(yield* text(serverVariables.writerPassword)),
    reader: Redacted.make(yield* text(serverVariables.readerPassword)),
    analyst: Redacted.make(yield* text(serverVariables.analystPassword))
  })
  return { url, address }
})

const text = (variable: Variable): Effect.Effect<string, SettingsError> =>
  Config.String(variable.name).pipe(
    Config.withDefault(""),
    Effect.mapError((error) => new SettingsError({ message: error.message }))
  )
