/** What `guardian chaos` breaks. */

export interface Fault {
  readonly name: FaultName
  readonly what: string
  /** How long it lasts before it is mended, ms. 0: it is over at once, and what was killed is started again by its supervisor. */
  readonly lastsMs: number
  /** Pipelines that share the partitions when it happens. */
  readonly pipelines: number
  /** Recovery is counted from here: who is frozen alone cannot recover before it wakes. */
  readonly countedFrom: "fault" | "end"
}

const names = [
  "kill-broker",
  "pause-broker",
  "kill-pipeline",
  "pause-pipeline",
  "kill-warehouse",
  "registry-down",
  "zombie"
] as const
export type FaultName = typeof names[number]
export const faultNames: readonly [FaultName, ...Array<FaultName>] = [...names]

/** Long enough for the group and the cluster to move on. */
const frozenMs = 20_000

export const faults: Readonly<Record<FaultName, Fault>> = {
  "kill-broker": {
    name: "kill-broker",
    what: "SIGKILL of the leader of partition 0; started again after 10 s",
    lastsMs: 10_000,
    pipelines: 1,
    countedFrom: "fault"
  },
  "pause-broker": {
    name: "pause-broker",
    what: "SIGSTOP of the leader of partition 0 for 20 s",
    lastsMs: frozenMs,
    pipelines: 1,
    countedFrom: "fault"
  },
  "kill-pipeline": {
    name: "kill-pipeline",
    what: "SIGKILL of the only pipeline; started again at once",
    lastsMs: 0,
    pipelines: 1,
    countedFrom: "fault"
  },
  "pause-pipeline": {
    name: "pause-pipeline",
    what: "SIGSTOP of the only pipeline for 20 s; recovery counted from its waking",
    lastsMs: frozenMs,
    pipelines: 1,
    countedFrom: "end"
  },
  "kill-warehouse": {
    name: "kill-warehouse",
    what: "SIGKILL of ClickHouse; its supervisor starts it again",
    lastsMs: 0,
    pipelines: 1,
    countedFrom: "fault"
  },
  "registry-down": {
    name: "registry-down",
    what: "registry frozen for 20 s, the only pipeline killed meanwhile; recovery counted from the registry's return",
    lastsMs: frozenMs,
    pipelines: 1,
    countedFrom: "end"
  },
  "zombie": {
    name: "zombie",
    what: "SIGSTOP of one of two pipelines for 20 s: the other takes over, then the first wakes",
    lastsMs: frozenMs,
    pipelines: 2,
    countedFrom: "fault"
  }
}
