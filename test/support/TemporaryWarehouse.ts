/**
 * One embedded ClickHouse in a temporary directory, gone with the layer's scope; and databases in it, one per test.
 */
import { Effect, Layer } from "effect"
import type { Scope } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { make } from "../../src/warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { stopKpis } from "../../src/warehouse/KpiBacklog.ts"
import { migrate } from "../../src/warehouse/Migrations.ts"
import type { MigrationError } from "../../src/warehouse/Migrations.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import type { WarehouseAddress, WarehouseError } from "../../src/warehouse/Warehouse.ts"

/** Use it with `excludeTestServices: true`: the start waits for a real process. */
export const TemporaryWarehouse = Layer.unwrap(
  Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "guardian-warehouse-"))),
    (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
  ).pipe(Effect.map((directory) => EmbeddedWarehouse.layer({ directory, memoryBytesMax: 1_500_000_000 })))
)

let databases = 0

/** The address of a database that does not exist yet. */
export const freshAddress: Effect.Effect<WarehouseAddress, never, EmbeddedWarehouse> = Effect.map(
  EmbeddedWarehouse,
  (server) => ({ ...server.address("writer"), database: `guardian_test_${++databases}` })
)

/** A new, migrated database whose KPIs refresh themselves, for as long as it is there: it is dropped with the scope. */
export const freshWarehouseWithKpis: Effect.Effect<
  Warehouse["Service"],
  MigrationError | WarehouseError,
  EmbeddedWarehouse | Scope.Scope
> = Effect.gen(function*() {
  const address = yield* freshAddress
  const warehouse = yield* make(address)
  yield* Effect.addFinalizer(() => Effect.ignore(warehouse.command(`DROP DATABASE IF EXISTS ${address.database} SYNC`)))
  yield* migrate(address)
  return warehouse
})

/** The same, with views that stand still until `startKpis`: where nobody looks at KPIs they would only take the machine. */
export const freshWarehouse: typeof freshWarehouseWithKpis = Effect.tap(
  freshWarehouseWithKpis,
  (warehouse) => Effect.provideService(stopKpis, Warehouse, warehouse)
)
