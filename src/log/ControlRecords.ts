/**
 * Records that are no events: they carry time through partitions that nobody sends to, so that lateness and the status of days stay
 * functions of the log. They count neither as received nor as anything else.
 *
 * - a heartbeat, in logs of live traffic: the watermark is at least its append time - 1 h
 * - an end marker, after an import: the watermark is at least the time that it names
 */
import type { EpochMillis, Partition } from "../domain/Identifiers.ts"
import type { NewRecord } from "./EventLog.ts"
import { partitionOf } from "./Partitioner.ts"

/** Says what the record is: "heartbeat" or "end". */
export const controlHeader = "guardian-control"
/** Of an end marker: epoch ms. */
const timeHeader = "guardian-watermark"

/** How far a heartbeat stays behind the log's clock: the longest that live senders may be delayed together, ms. */
export const heartbeatBehindMs = 3_600_000

/** One heartbeat for each partition. */
export const heartbeats = (partitions: number): ReadonlyArray<NewRecord> =>
  keysOf(partitions).map((key) => ({ key, value: Buffer.from("heartbeat"), headers: { [controlHeader]: "heartbeat" } }))

/** One end marker for each partition. */
export const endMarkers = (partitions: number, at: EpochMillis): ReadonlyArray<NewRecord> =>
  keysOf(partitions).map((key) => ({
    key,
    value: Buffer.from("end"),
    headers: { [controlHeader]: "end", [timeHeader]: String(at) }
  }))

export interface Control {
  readonly kind: "heartbeat" | "end"
  /** What the watermark is at least, epoch ms. */
  readonly watermark: number
}

/** What a record with these headers is; undefined when it is no control record, or none that we know. */
export const controlOf = (
  headers: Readonly<Record<string, string>> | undefined,
  appendedAt: EpochMillis
): Control | undefined => {
  switch (headers?.[controlHeader]) {
    case "heartbeat":
      return { kind: "heartbeat", watermark: appendedAt - heartbeatBehindMs }
    case "end": {
      const watermark = Number(headers[timeHeader])
      return Number.isSafeInteger(watermark) ? { kind: "end", watermark } : undefined
    }
    default:
      return undefined
  }
}

/** A key for each partition, since keys decide where records go. No visitor has one: ids do not begin with U+0000 by chance. */
const keysOf = (partitions: number): ReadonlyArray<string> => {
  const keys = new Map<Partition, string>()
  for (let number = 0; keys.size < partitions; number++) {
    const key = `\u0000guardian-control-${number}`
    const partition = partitionOf(key, partitions)
    if (!keys.has(partition)) keys.set(partition, key)
  }
  return [...keys].sort(([a], [b]) => a - b).map(([, key]) => key)
}
