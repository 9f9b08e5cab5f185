/**
 * The port by which processes share a log's partitions. It only spreads them: where to begin in a partition says the warehouse's
 * checkpoint, and two owners of one partition at once do no harm. Adapter: `kafka/` (a consumer group).
 */
import type { Effect } from "effect"
import type { Offset, Partition } from "../domain/Identifiers.ts"

/** What a process owns for now. */
export interface Assignment {
  /** Greater than that of every assignment before. */
  readonly term: number
  readonly partitions: ReadonlyArray<Partition>
}

export interface PartitionGroup {
  /** The newest assignment after a term; waits for it. Terms in which nothing changed hands are no new ones. */
  after(term: number): Effect.Effect<Assignment>
  /** Says how far partitions are processed. Only advice, for tools that show lag: it may be lost. */
  advise(offsets: ReadonlyMap<Partition, Offset>): void
}
