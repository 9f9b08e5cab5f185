/** How far the pipeline is, for commands that only look. */
import { Effect, Layer } from "effect"
import { defaultCoreSettings } from "../domain/Settings.ts"
import * as ClickHouseStateStore from "../warehouse/ClickHouseStateStore.ts"
import type { Checkpoint } from "../warehouse/StateStore.ts"
import { StateStore } from "../warehouse/StateStore.ts"
import type { Warehouse, WarehouseError } from "../warehouse/Warehouse.ts"
import { existingWarehouseLayer, hasWarehouse } from "./ExistingWarehouse.ts"
import { clientLayer } from "./Installation.ts"

/** The newest checkpoint of each partition that has one; none when the database has no tables yet. */
export const checkpoints: Effect.Effect<ReadonlyArray<Checkpoint>, WarehouseError, Warehouse> = StateStore.use((
  store
) => store.checkpoints).pipe(
  // What the settings decide is not asked here.
  Effect.provide(ClickHouseStateStore.layer(defaultCoreSettings)),
  Effect.catchIf(({ code }) => code === unknownTable, () => Effect.succeed([]))
)

/** The same of a data directory, which need not have a database. */
export const checkpointsOf = (dataDirectory: string) =>
  hasWarehouse(dataDirectory) ?
    checkpoints.pipe(
      Effect.provide(clientLayer("reader").pipe(Layer.provide(existingWarehouseLayer(dataDirectory))))
    ) :
    Effect.succeed([])

const unknownTable = 60
