/** Whether the KPIs say what events, sessions, verdicts and checkpoints say, and bringing them there. */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { WarehouseError } from "./Warehouse.ts"
import { Warehouse } from "./Warehouse.ts"

/** The refreshable views, in the order in which one takes in what the one before has written. */
export const kpiViews: ReadonlyArray<string> = [
  "refresh_frontier",
  "plan_session_quarters",
  "compute_session_quarters",
  "plan_event_quarters",
  "compute_event_quarters",
  "refresh_daily_metrics",
  "refresh_popular"
]

/** What waits to be taken in, by stage, where anything does. Empty: the KPIs are up to date. */
export const kpiBacklog: Effect.Effect<Readonly<Record<string, number>>, WarehouseError, Warehouse> = Effect.gen(
  function*() {
    const warehouse = yield* Warehouse
    const rows = yield* warehouse.query("SELECT stage, waiting FROM kpi_backlog WHERE waiting > 0")
    return Object.fromEntries(rows.map((row) => [String(row["stage"]), Number(row["waiting"])]))
  }
)

/**
 * Refreshes the KPIs until they are up to date, without waiting for their schedule. While the pipeline keeps adding that never
 * ends: set a limit with `Effect.timeout`. Fails when a refresh does.
 */
export const refreshKpis: Effect.Effect<void, WarehouseError, Warehouse> = Effect.gen(function*() {
  const warehouse = yield* Warehouse
  while (Object.keys(yield* kpiBacklog).length > 0) {
    for (const view of kpiViews) {
      yield* warehouse.command(`SYSTEM REFRESH VIEW ${warehouse.database}.${view}`)
      yield* warehouse.command(`SYSTEM WAIT VIEW ${warehouse.database}.${view}`)
    }
  }
})

/** Lets the views refresh by their schedule. They do unless somebody stopped them. */
export const startKpis: Effect.Effect<void, WarehouseError, Warehouse> = Effect.suspend(() => tellViews("START"))

/** Stops their schedule, until they are started or the server is. */
export const stopKpis: Effect.Effect<void, WarehouseError, Warehouse> = Effect.suspend(() => tellViews("STOP"))

/**
 * Stops the views until the scope ends: while a log is drained they would compute the same quarters again and again, with half of
 * the machine. What was touched stays touched. A server that is killed meanwhile starts with its views running.
 */
export const pausedKpis: Effect.Effect<void, WarehouseError, Warehouse | Scope.Scope> = Effect.acquireRelease(
  stopKpis,
  () => Effect.catch(startKpis, (error) => Effect.logWarning(`the KPI views were not started: ${error.message}`))
)

const tellViews = Effect.fnUntraced(function*(what: "START" | "STOP") {
  const warehouse = yield* Warehouse
  for (const view of kpiViews) yield* warehouse.command(`SYSTEM ${what} VIEW ${warehouse.database}.${view}`)
})
