/** What is traced. */
import type { Checkpoint } from "../../warehouse/StateStore.ts"

export interface TraceRequest {
  readonly eventId: string
  /** Only records of this visitor, and only its partition. */
  readonly visitorId?: string | undefined
  /** Of the database; empty when nothing was processed yet. */
  readonly checkpoints: ReadonlyArray<Checkpoint>
  readonly onProgress?: (scanned: number, total: number) => void
}

/** Records that one trace lists. */
export const tracedRecordsMax = 1_000
