/** The warehouse for commands that only look: what was never made is not made by looking. */
import { Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { isExternal } from "./ExternalWarehouse.ts"
import { InstallationError, paths, warehouseLayer } from "./Installation.ts"

/** Whether this data directory ever had a warehouse, or the environment names a server. */
export const hasWarehouse = (dataDirectory: string): boolean =>
  isExternal() || existsSync(paths(dataDirectory).warehouse)

/** What to do when there are no tables to read. */
export const noTablesYet = "Fill the database with guardian import, or guardian drain or guardian serve when the log " +
  "has records already (guardian demo shows it all at work); guardian migrate makes empty tables."

/** Attaches to the running warehouse, or starts it; refused when the data directory has none. */
export const existingWarehouseLayer = (dataDirectory: string) =>
  Layer.unwrap(
    Effect.suspend(() =>
      hasWarehouse(dataDirectory) ? Effect.succeed(warehouseLayer(dataDirectory)) : Effect.fail(
        new InstallationError({
          message: `There is no database in ${
            paths(dataDirectory).root
          } yet. ${noTablesYet} Or name another --data-dir.`
        })
      )
    )
  )
