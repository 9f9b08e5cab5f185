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
  /** The run that wrote it. */
  readonly runId: string
}

/**
 * A visitor whose session may still grow.
 * @param hash `positiveMurmur2` of the visitor id
 * @param startedAt least start among the rows of its sessions, any version, tombstones too
 */
export type VisitOpenVisitor = (partition: Partition, hash: number, startedAt: number, endedAt: number) => void

/** What is read of a partition. */
export interface PartitionBounds {
  readonly partition: Partition
  /** Only events below it count: what lies at or above it is a half-done flush, ours or a zombie's. */
  readonly durable: Offset
}

/** Visitors to read back, with the bounds of their partitions. */
export interface HistoryRequest {
  readonly partitions: ReadonlyArray<
    PartitionBounds & {
      /** Sessions that ended before it are out of reach. */
      readonly reachableFrom: number
      /** Event time from which rule windows, and ids, need single events. */
      readonly recentFrom: number
      /** Whether the histories bring ids. */
      readonly withIds: boolean
      /** Visitor -> event time from which its sessions need events; undefined: the store finds it out. */
      readonly visitors: ReadonlyMap<VisitorId, number | undefined>
    }
  >
}

/** What is read of all visitors whose sessions may still grow. */
export interface OpenHistoriesRequest {
  readonly partitions: ReadonlyArray<PartitionBounds & { readonly reachableFrom: number; readonly recentFrom: number }>
  /** Events before it are left out: the histories of some visitors are not whole then. */
  readonly from: number
  /** About how many visitors there are. */
  readonly visitors: number
  /** Asked between one share of the visitors and the next. */
  readonly isEnough: () => boolean
}

/** Takes ids in. */
export interface SeenIdsTaker {
  /** About so many will come. */
  expect(partition: Partition, count: number): void
  /** Accepted ids of one partition: `fingerprintWords` words and the event_ts of each. Only good during the call. */
  take(partition: Partition, prints: Int32Array, times: Float64Array, count: number): void
}

/** What the warehouse knows of a visitor; asked for once, shown once. */
export type VisitHistory = (partition: Partition, history: VisitorHistory) => void

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
  /** Shows the ids accepted below `durable` whose event_ts is at or after `seenFrom`, some of them perhaps twice: millions. */
  seenIds(
    partitions: ReadonlyArray<PartitionBounds & { readonly seenFrom: number }>,
    taker: SeenIdsTaker
  ): Effect.Effect<void, WarehouseError>
  /** Shows the histories, without ids, of visitors whose sessions may still grow, whoever they are, as far as they are wanted. */
  openHistories(request: OpenHistoriesRequest, visit: VisitHistory): Effect.Effect<void, WarehouseError>
  /** Shows a history for every visitor asked for, empty ones included, as soon as it is there. After a failure some were shown. */
  histories(request: HistoryRequest, visit: VisitHistory): Effect.Effect<void, WarehouseError>
  /** Offsets below which runs of the same core version have decided differently; none is good. */
  readonly disagreements: Effect.Effect<
    ReadonlyArray<{ readonly partition: number; readonly offset: number; readonly runs: ReadonlyArray<string> }>,
    WarehouseError
  >
  write(block: TableBlock): Effect.Effect<void, WarehouseError>
}>()("guardian/warehouse/StateStore") {}
