/**
 * What the pipeline asks of the warehouse as its state store: checkpoints, who may still matter, what is known of them, and
 * writing. `ClickHouseStateStore` answers by SQL; the simulator has its own in memory.
 */
import { Context } from "effect"
import type { Effect } from "effect"
import type { Offset, Partition, VisitorId } from "../domain/Identifiers.ts"
import type { CorePosition } from "../sessionizer/PartitionCore.ts"
import type { VisitorHistory } from "../sessionizer/VisitorHistory.ts"
import type { TableBlock } from "./TableBlock.ts"
import type { WarehouseError } from "./Warehouse.ts"

/** A row of `checkpoints`: everything before `position.offset` is in the warehouse. */
export interface Checkpoint {
  readonly partition: Partition
  readonly position: CorePosition
  /** Hex SHA-256 of the value of the record at `position.offset - 1`. */
  readonly recordHash: string
  readonly logId: string
  readonly partitions: number
  /** JSON of CoreSettings. */
  readonly settings: string
  readonly coreVersion: number
}

/**
 * A visitor whose session may still grow.
 * @param hash `positiveMurmur2` of the visitor id
 * @param startedAt least start among the rows of its sessions, any version, tombstones too
 */
export type VisitOpenVisitor = (partition: Partition, hash: number, startedAt: number, endedAt: number) => void

/** Visitors to read back, with the bounds of their partitions. */
export interface HistoryRequest {
  readonly partitions: ReadonlyArray<{
    readonly partition: Partition
    /** Only events below it count: what lies at or above it is a half-done flush, ours or a zombie's. */
    readonly durable: Offset
    /** Event time from which ids and rule windows need single events. */
    readonly recentFrom: number
    /** Visitor -> event time from which its sessions need events. */
    readonly visitors: ReadonlyMap<VisitorId, number>
  }>
}

export class StateStore extends Context.Service<StateStore, {
  /** The newest checkpoint of each partition that has one. */
  readonly checkpoints: Effect.Effect<ReadonlyArray<Checkpoint>, WarehouseError>
  /**
   * Shows, for each partition, the visitors with a session row, of any version, that ended at or after `reachableFrom`: millions,
   * so there is no object of each.
   */
  openVisitors(
    partitions: ReadonlyArray<{ readonly partition: Partition; readonly reachableFrom: number }>,
    visit: VisitOpenVisitor
  ): Effect.Effect<void, WarehouseError>
  /** A history for every visitor asked for, empty ones included. */
  histories(request: HistoryRequest): Effect.Effect<
    ReadonlyArray<{ readonly partition: Partition; readonly history: VisitorHistory }>,
    WarehouseError
  >
  /** Offsets below which runs of the same core version have decided differently; none is good. */
  readonly disagreements: Effect.Effect<
    ReadonlyArray<{ readonly partition: number; readonly offset: number; readonly runs: ReadonlyArray<string> }>,
    WarehouseError
  >
  write(block: TableBlock): Effect.Effect<void, WarehouseError>
}>()("guardian/warehouse/StateStore") {}
