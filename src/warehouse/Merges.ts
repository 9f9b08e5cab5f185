/** Background merges, which a recovering pipeline keeps off the machine for a moment. */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { WarehouseError } from "./Warehouse.ts"
import { Warehouse } from "./Warehouse.ts"

/** Those that recovery reads: merging their parts at a server's start would take most of the machine. */
const tables = ["events_raw", "sessions_raw"]

/** Stops merges, those under way too, until the scope ends, they are started, or the server is. Parts add up meanwhile. */
export const pausedMerges: Effect.Effect<void, WarehouseError, Warehouse | Scope.Scope> = Effect.acquireRelease(
  Effect.suspend(() => tellMerges("STOP")),
  () => Effect.catch(startMerges, (error) => Effect.logWarning(`merges were not started: ${error.message}`))
)

export const startMerges: Effect.Effect<void, WarehouseError, Warehouse> = Effect.suspend(() => tellMerges("START"))

const tellMerges = Effect.fnUntraced(function*(what: "START" | "STOP") {
  const warehouse = yield* Warehouse
  for (const table of tables) yield* warehouse.command(`SYSTEM ${what} MERGES ${warehouse.database}.${table}`)
})
