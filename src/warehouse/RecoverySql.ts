/** What the statements of recovery share. */
import type { Partition } from "../domain/Identifiers.ts"

/** The sessions that may still grow. */
export const reachable = (
  partitions: ReadonlyArray<{ readonly partition: Partition; readonly reachableFrom: number }>
): string =>
  partitions.map(({ partition, reachableFrom }) => `(partition = ${partition} AND ended_at >= ${time(reachableFrom)})`)
    .join(" OR ")

/** A time that ClickHouse can hold: lateness before 1970 would leave its range. */
export const time = (ms: number): string => `fromUnixTimestamp64Milli(toInt64(${Math.max(0, Math.floor(ms))}), 'UTC')`

export const literal = (text: string): string =>
  `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\0", "\\0")}'`
