/** Who processes a data directory now. Only looks: a process that is just starting must not find the lock taken by us. */
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as GroupMembership from "../log/kafka/GroupMembership.ts"
import { owned, paths } from "./Installation.ts"
import { kafkaGroup, logKind } from "./LogChoice.ts"

/** How many pipelines process the log now: on Kafka the members of the group, wherever they are; else the data directory's one. */
export const pipelinesRunning = Effect.fnUntraced(function*(dataDirectory: string) {
  const pid = pipelineOwner(dataDirectory)
  if ((yield* logKind) !== "kafka") return { count: pid === undefined ? 0 : 1, pid }
  const options = yield* kafkaGroup
  const members = yield* Effect.promise(() => GroupMembership.countMembers(options).catch(() => 0))
  return { count: members + (pid === undefined ? 0 : 1), pid }
})

/** Refuses before anything is started or said; who starts at the same moment is refused by the lock itself. */
export const refuseOwned = (dataDirectory: string) =>
  Effect.suspend(() => {
    const owner = pipelineOwner(dataDirectory)
    return owner === undefined ? Effect.void : Effect.fail(owned(dataDirectory, String(owner)))
  })

/** The process id of the pipeline of this data directory, if one runs. */
export const pipelineOwner = (dataDirectory: string): number | undefined => {
  const { pipelineLock, pipelineOwner } = paths(dataDirectory)
  if (!existsSync(pipelineOwner) || !existsSync(pipelineLock)) return undefined
  const pid = Number(readFileSync(pipelineOwner, "utf8"))
  // A killed process leaves its file behind, and its id may have another process now: the lock has the last word.
  return Number.isSafeInteger(pid) && pid > 0 && isAlive(pid) && isLocked(pipelineLock) ? pid : undefined
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

const isLocked = (path: string): boolean => {
  const lock = new DatabaseSync(path, { readOnly: true, timeout: 0 })
  try {
    lock.exec("SELECT 1 FROM sqlite_schema")
    return false
  } catch (cause) {
    if ((cause as { readonly errcode?: number }).errcode === sqliteBusy) return true
    throw cause
  } finally {
    lock.close()
  }
}

const sqliteBusy = 5
