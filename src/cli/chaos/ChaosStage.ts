/**
 * Where `guardian chaos` makes its faults: the port. Adapters: `PrivateStage.ts` (a cluster of its own, thrown away afterwards) and
 * `ComposeStage.ts` (an installation that runs under docker compose).
 */
import type { Effect, Layer, Scope } from "effect"
import type { EventLog, LogError } from "../../log/EventLog.ts"
import type { SchemaRegistry } from "../../log/SchemaRegistry.ts"
import type { Fault } from "../../operations/chaos/Faults.ts"
import type { WarehouseOwned, WarehouseStartError } from "../../warehouse/embedded/EmbeddedWarehouseErrors.ts"
import type { MigrationError } from "../../warehouse/Migrations.ts"
import type { Warehouse, WarehouseAddress, WarehouseError } from "../../warehouse/Warehouse.ts"
import type { InstallationError } from "../Installation.ts"

/** A part of an installation and how it can be broken. */
export type Part<How extends "kill" | "pause"> = {
  readonly [
    /**
     * `kill`: SIGKILL, done when it is dead. `pause`: frozen, its sockets stay open. `mend`: it runs again, whatever was done to it;
     * nothing happens when it runs.
     */
    Name in How | "mend"
  ]: Effect.Effect<void, InstallationError>
}

/** An installation under a fault, until the scope ends. */
export interface ChaosPlace {
  /**
   * Whether log and database were made for this fault and go with it. If not they hold other data, which others may add to
   * meanwhile, and what was broken must be mended however the run ends.
   */
  readonly isOurs: boolean
  /** As whoever sends and looks has them. */
  readonly services: Layer.Layer<EventLog | SchemaRegistry | Warehouse, LogError>
  /** Of the events' schema in the registry. */
  readonly subject: string
  /** Done when all parts run. */
  readonly ready: Effect.Effect<void, InstallationError>
  /** The broker that leads partition 0 now. */
  readonly leader: Effect.Effect<Part<"kill" | "pause">, InstallationError>
  /** All pipelines. */
  readonly pipelines: Part<"kill" | "pause">
  /** One of several pipelines. */
  readonly zombie: Part<"pause">
  readonly warehouse: Part<"kill">
  readonly registry: Part<"pause">
  /** Does something while nothing is processed: what was read before is in the database. */
  readonly whileStill: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | InstallationError, R>
  /** Of another database on the same server, for whoever may make one. */
  readonly addressOf: (database: string) => WarehouseAddress
  /** What the pipelines said, or where they say it: for people, when nothing goes on. */
  readonly said: () => string
}

export interface ChaosStage {
  /** For the report: what stands here. */
  readonly description: string
  /** Why a fault cannot be made here, with the remedy; undefined: it can. */
  readonly refusal: (fault: Fault) => string | undefined
  /** What the fault is here, in words. */
  readonly what: (fault: Fault) => string
  readonly place: (
    fault: Fault
  ) => Effect.Effect<
    ChaosPlace,
    InstallationError | MigrationError | WarehouseError | WarehouseOwned | WarehouseStartError | LogError,
    Scope.Scope
  >
}
