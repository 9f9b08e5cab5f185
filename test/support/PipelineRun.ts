/** The pipeline inside the test's process, over a real log and a real database. */
import { Deferred, Effect, Layer, References } from "effect"
import { randomUUID } from "node:crypto"
import type { CoreSettings } from "../../src/domain/Settings.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import { SchemaRegistry } from "../../src/log/SchemaRegistry.ts"
import type { PipelineError, PipelineOptions } from "../../src/pipeline/Pipeline.ts"
import { run } from "../../src/pipeline/Pipeline.ts"
import { PipelineStatus } from "../../src/pipeline/PipelineStatus.ts"
import * as ClickHouseStateStore from "../../src/warehouse/ClickHouseStateStore.ts"
import { StateStore } from "../../src/warehouse/StateStore.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"

export interface Place {
  readonly log: EventLog["Service"]
  readonly registry: SchemaRegistry["Service"]
  readonly warehouse: Warehouse["Service"]
  readonly settings: CoreSettings
}

export interface RunOptions extends Partial<PipelineOptions> {
  /** Records of a batch and of a flush; nothing more is read while one is being written. */
  readonly batch?: number
  /** Stands between the pipeline and its state store. */
  readonly around?: (store: StateStore["Service"]) => StateStore["Service"]
}

/** Runs until the log is drained (or as the options say) and returns the status. */
export const runPipeline = (
  place: Place,
  { around = (store) => store, batch, ...options }: RunOptions = {}
): Effect.Effect<PipelineStatus, PipelineError> =>
  Effect.gen(function*() {
    const status = options.status ?? new PipelineStatus()
    const stop = options.stop ?? (yield* Deferred.make<void>())
    yield* run({
      settings: place.settings,
      runId: randomUUID(),
      until: "drained",
      readRecordsMax: batch,
      flushRecordsMax: batch,
      recordsInMemoryMax: batch,
      ...options,
      status,
      stop
    }).pipe(Effect.provide(Layer.effect(StateStore, Effect.map(StateStore, around))), Effect.provide(layerOf(place)))
    return status
    // Outages are told by the status; on the console of a test they are noise.
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "None"))

/** The place's services, for whatever asks for them. */
export const layerOf = ({ log, registry, settings, warehouse }: Place) =>
  ClickHouseStateStore.layer(settings).pipe(
    Layer.provideMerge(Layer.succeed(Warehouse, warehouse)),
    Layer.merge(Layer.succeed(EventLog, log)),
    Layer.merge(Layer.succeed(SchemaRegistry, registry))
  )
