/** What the API reads from, and the one thing it writes with. */
import { Context } from "effect"
import type { Effect } from "effect"
import type { EventLog, LogError, PartitionRange } from "../log/EventLog.ts"
import type { SchemaRegistry } from "../log/SchemaRegistry.ts"
import type { Warehouse } from "../warehouse/Warehouse.ts"

/** What a pipeline in the same process says of itself, for `/metrics`. */
export interface PipelineFigures {
  readonly state: string
  readonly waitingFor: string
  readonly flushes: number
  /** Times of the newest flushes, ms. */
  readonly flushMs: ReadonlyArray<number>
  /** Of all flushes together, ms. */
  readonly flushMsTotal: number
  readonly visitorsInMemory: number
  readonly idsInMemory: number
}

/** What a collector in the same process has counted, for `/metrics`. */
export interface CollectorFigures {
  readonly formats: ReadonlyMap<
    string,
    { readonly requests: number; readonly accepted: number; readonly invalid: number; readonly tooLarge: number }
  >
  readonly statuses: ReadonlyMap<number, number>
  /** Of bodies, inflated. */
  readonly bytes: number
  readonly bytesInFlight: () => number
  readonly recordsInFlight: () => number
}

export class ApiSources extends Context.Service<ApiSources, {
  /** The read-only user: every question goes through it. */
  readonly reader: Warehouse["Service"]
  /** Records verdicts, nothing else. */
  readonly writer: Warehouse["Service"]
  /** By partition; undefined where the log is not at hand. */
  readonly logRanges: Effect.Effect<ReadonlyArray<PartitionRange> | undefined, LogError>
  /** What it is called there; undefined: it has no name. */
  readonly logNames: { readonly topic: string; readonly group: string } | undefined
  /** To read records of the log; undefined where it is not at hand. */
  readonly reading: Context.Context<EventLog | SchemaRegistry> | undefined
  /** Undefined where the pipeline runs in another process. */
  readonly pipeline: (() => PipelineFigures) | undefined
  /** Undefined, or nothing yet, where no collector runs in this process. */
  readonly collector: (() => CollectorFigures | undefined) | undefined
}>()("guardian/api/ApiSources") {}
