/** The pipeline: whether one runs, and whether the next one may go on where the last one stopped. */
import type { CoreSettings } from "../../domain/Settings.ts"
import { coreVersion } from "../../domain/Settings.ts"
import type { Checkpoint } from "../../warehouse/StateStore.ts"
import type { Check } from "./Check.ts"
import { checksOf } from "./Check.ts"
import type { LogFound } from "./LogHealth.ts"

const { fail, ok, warn } = checksOf("pipeline")

export const pipelineHealth = (
  running: { readonly count: number; readonly pid: number | undefined },
  log: LogFound | undefined,
  checkpoints: ReadonlyArray<Checkpoint> | undefined,
  core: CoreSettings | undefined
): ReadonlyArray<Check> => {
  const checks = [ok("process", runningText(running))]
  if (checkpoints === undefined) return checks
  if (log !== undefined) checks.push(lagCheck(log, checkpoints, running.count > 0))
  return checkpoints.length === 0 ? checks : [...checks, belongs(log, checkpoints, core)]
}

const runningText = ({ count, pid }: { readonly count: number; readonly pid: number | undefined }): string =>
  count === 0 ? "none is running" : pid !== undefined ? `pid ${pid}` : `${count} in the group`

const lagCheck = (log: LogFound, checkpoints: ReadonlyArray<Checkpoint>, running: boolean): Check => {
  const lag = log.ranges.reduce((sum, { end, start }, partition) => {
    const next = checkpoints.find((checkpoint) => checkpoint.partition === partition)?.position.offset ?? start
    return sum + Math.max(0, end - next)
  }, 0)
  const detail = `${lag.toLocaleString("en")} records wait`
  return lag === 0 || running ?
    ok("lag", detail) :
    warn("lag", `${detail} and no pipeline runs: guardian drain or guardian serve`)
}

const remedy = "the pipeline refuses to go on; set them back, or process the log again into another --data-dir"

/** What recovery refuses: another log, other partitions, other settings, another core, a log without the next record. */
const belongs = (
  log: LogFound | undefined,
  checkpoints: ReadonlyArray<Checkpoint>,
  core: CoreSettings | undefined
): Check => {
  const differences = new Set(checkpoints.flatMap((checkpoint) => [
    ...logDifferences(checkpoint, log),
    ...settingsDifferences(JSON.parse(checkpoint.settings) as Record<string, unknown>, core),
    ...(checkpoint.coreVersion === coreVersion ?
      [] :
      [`core version was ${checkpoint.coreVersion} and is ${coreVersion}`])
  ]))
  return differences.size === 0 ?
    ok("checkpoints", "made from this log with these settings") :
    fail("checkpoints", `${[...differences].join("; ")}: ${remedy}`)
}

const logDifferences = (
  { logId, partition, partitions, position }: Checkpoint,
  log: LogFound | undefined
): ReadonlyArray<string> => {
  if (log === undefined) return []
  if (logId !== log.logId) return [`the log was ${logId} and is ${log.logId}`]
  if (partitions !== log.partitions) return [`partitions were ${partitions} and are ${log.partitions}`]
  const { end, start } = log.ranges[partition]!
  if (position.offset < start) {
    return [`partition ${partition} goes on at ${position.offset}, but the log begins at ${start}`]
  }
  if (position.offset > end) return [`partition ${partition} goes on at ${position.offset}, but the log ends at ${end}`]
  return []
}

const settingsDifferences = (
  recorded: Readonly<Record<string, unknown>>,
  core: CoreSettings | undefined
): ReadonlyArray<string> => {
  if (core === undefined) return []
  const now: Readonly<Record<string, unknown>> = core
  return [...new Set([...Object.keys(recorded), ...Object.keys(now)])]
    .filter((name) => recorded[name] !== now[name])
    .map((name) => `${name} was ${String(recorded[name])} and is ${String(now[name])}`)
}
