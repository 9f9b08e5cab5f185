import { Clock, Effect } from "effect"
import { Command } from "effect/cli"
import type { PartitionRange } from "../../log/EventLog.ts"
import { EventLog } from "../../log/EventLog.ts"
import type { Checkpoint } from "../../warehouse/StateStore.ts"
import { checkpointsOf } from "../Checkpoints.ts"
import { dataDir, json, print, printJson, table } from "../Flags.ts"
import { existingLogLayer } from "../Installation.ts"
import { pipelinesRunning } from "../PipelineOwner.ts"
import { spokenDuration, spokenTime } from "../Spoken.ts"

/** How far the pipeline is behind the log. */
export const lag = Command.make(
  "lag",
  { dataDir, json },
  Effect.fn(function*({ dataDir, json }) {
    const { logId, ranges } = yield* EventLog.use((log) =>
      Effect.map(log.ranges, (ranges) => ({ logId: log.logId, ranges }))
    ).pipe(Effect.provide(existingLogLayer(dataDir)))
    const checkpoints = yield* checkpointsOf(dataDir)
    const now = yield* Clock.currentTimeMillis
    const partitions = ranges.map((range, partition) => progressOf(partition, range, checkpoints, now))
    const total = totalOf(partitions, now)
    const { count, pid } = yield* pipelinesRunning(dataDir)
    const foreign = checkpoints.some((checkpoint) => checkpoint.logId !== logId)
    if (json) {
      return yield* printJson({ logId, partitions, total, pipeline: { running: count > 0, pid }, foreign })
    }
    yield* print(table([...partitions.map((each) => row(each.partition, each)), row("total", total)]))
    yield* print(
      count === 0 ?
        "no pipeline is running" :
        pid === undefined ?
        `pipelines running: ${count}` :
        `pipeline running: pid ${pid}`
    )
    if (foreign) yield* print("the database was made from another log than this one: see guardian doctor")
  })
).pipe(Command.withDescription("Show how far processing is behind the log, by partition"))

interface Progress {
  readonly logStart: number
  readonly logEnd: number
  /** Records before it are in the database. */
  readonly nextOffset: number
  readonly lag: number
  /** Greatest event time accepted, ISO 8601; null before the first event. */
  readonly watermark: string | null
  /** How long ago the watermark is. */
  readonly eventTimeAgeMs: number | null
}

const progressOf = (
  partition: number,
  { end, start }: PartitionRange,
  checkpoints: ReadonlyArray<Checkpoint>,
  now: number
): Progress & { readonly partition: number } => {
  const position = checkpoints.find((checkpoint) => checkpoint.partition === partition)?.position
  const nextOffset = position?.offset ?? start
  return {
    partition,
    logStart: start,
    logEnd: end,
    nextOffset,
    lag: Math.max(0, end - nextOffset),
    ...timeOf(position?.watermark ?? -Infinity, now)
  }
}

/** Sums, and the watermark that is furthest behind. */
const totalOf = (partitions: ReadonlyArray<Progress>, now: number): Progress => {
  const sum = (of: (progress: Progress) => number): number => partitions.reduce((total, each) => total + of(each), 0)
  const ages = partitions.flatMap(({ eventTimeAgeMs }) => eventTimeAgeMs === null ? [] : [eventTimeAgeMs])
  return {
    logStart: sum(({ logStart }) => logStart),
    logEnd: sum(({ logEnd }) => logEnd),
    nextOffset: sum(({ nextOffset }) => nextOffset),
    lag: sum(({ lag }) => lag),
    ...timeOf(now - Math.max(...ages, -Infinity), now)
  }
}

const timeOf = (watermark: number, now: number): Pick<Progress, "watermark" | "eventTimeAgeMs"> =>
  Number.isFinite(watermark) ?
    { watermark: spokenTime(watermark), eventTimeAgeMs: now - watermark } :
    { watermark: null, eventTimeAgeMs: null }

const row = (partition: number | "total", progress: Progress) => ({
  partition: String(partition),
  "log start": progress.logStart,
  "log end": progress.logEnd,
  next: progress.nextOffset,
  lag: progress.lag,
  watermark: progress.watermark ?? "-",
  age: progress.eventTimeAgeMs === null ? "-" : spokenDuration(progress.eventTimeAgeMs)
})
