/** What a running pipeline says of itself: read by whoever shows it, written by the pipeline alone. */
import type { OutcomeCounts } from "../domain/Outcome.ts"
import { noOutcomes } from "../domain/Outcome.ts"

/** `idle`: other processes have all partitions. */
export type PipelineState = "starting" | "running" | "idle" | "waiting" | "stopping" | "stopped"

export class PipelineStatus {
  state: PipelineState = "starting"
  /** Why it waits: the last error of the warehouse, the log or the registry. */
  waitingFor = ""
  /** Since the partitions' beginnings, all partitions together, as stepped (the newest flush may still be on its way). */
  counts: OutcomeCounts = noOutcomes()
  /** Sum of the partitions' next offsets: how much of the log is stepped, control records included. */
  passed = 0
  /** The same, as far as the warehouse has acknowledged it. */
  stored = 0
  /** Records whose flush is acknowledged, since this run began. */
  flushedRecords = 0
  flushes = 0
  /** Longest time of a flush from cut to last acknowledgement, of the newest 100, ms. */
  readonly flushMs: Array<number> = []
  /** Of all of them together, ms. */
  flushMsTotal = 0
  visitorsInMemory = 0
  idsInMemory = 0
  /** Visitors read back from the warehouse since this run began. */
  visitorsLoaded = 0
  /** All that a restart needs of the past is in memory, or known to be cold. */
  isRecollected = false
  /** Greatest watermark of all partitions, epoch ms; -Infinity before the first event. */
  watermark = -Infinity
}
