/**
 * A process that is killed stays a member of its group until its session ends, and the group waits for it: ten seconds in which nobody
 * has its partitions. So every member writes down who it is, and who comes next in the same folder takes those out of the group whose
 * processes are gone. Taking out one that lives after all does no harm: it joins anew, and flushes are fenced.
 */
import type { KafkaConfig } from "kafkajs"
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { hostname } from "node:os"
import { join } from "node:path"
import { BrokerConnection } from "./BrokerConnection.ts"
import { BrokerRefusal } from "./ClusterView.ts"
import { findCoordinatorRequest, leaveGroupRequest } from "./Requests.ts"
import type { Coordinator } from "./Requests.ts"

/**
 * One file for each process: its machine and number, and what the group calls it. Who shares the folder between machines or containers
 * cannot look at the others' processes, and there the same numbers are others: each judges those of its own machine.
 */
export class MemberNotes {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** That this process is this member. */
  async write(memberId: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    await writeFile(this.#own, memberId)
  }

  async remove(): Promise<void> {
    await rm(this.#own, { force: true })
  }

  /** Members whose processes are gone; their notes go, too. To be asked before the first `write`: a note of our number is another's. */
  async takeDead(): Promise<ReadonlyArray<string>> {
    const names = await readdir(this.#folder).catch((): ReadonlyArray<string> => [])
    const dead = names.filter((name) => {
      if (!name.startsWith(`${machine}.`)) return false
      const pid = Number(/^\.(\d+)\.member$/.exec(name.slice(machine.length))?.[1])
      return pid > 0 && (pid === process.pid || !isRunning(pid))
    })
    return await Promise.all(dead.map(async (name) => {
      const memberId = await readFile(join(this.#folder, name), "utf8").catch(() => "")
      await rm(join(this.#folder, name), { force: true })
      return memberId
    })).then((ids) => ids.filter((id) => id !== ""))
  }

  get #own(): string {
    return join(this.#folder, `${machine}.${process.pid}.member`)
  }
}

/** A container's is its own, and stays when the container is started again. */
const machine = hostname()

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

/** Takes members out of a group; one that is out already is none of our business. One attempt. */
export const removeMembers = async (
  config: KafkaConfig,
  groupId: string,
  memberIds: ReadonlyArray<string>
): Promise<void> => {
  const coordinator = await findCoordinator(config, groupId)
  const connection = await BrokerConnection.open(config, coordinator)
  try {
    for (const memberId of memberIds) await connection.request(leaveGroupRequest(groupId, memberId))
  } finally {
    connection.close()
  }
}

/** Any broker knows it; the first that answers says. */
export const findCoordinator = async (
  config: KafkaConfig,
  groupId: string
): Promise<Coordinator> => {
  let last: unknown = new Error("no broker is known")
  for (const broker of config.brokers as ReadonlyArray<string>) {
    const colon = broker.lastIndexOf(":")
    const seed = { host: broker.slice(0, colon), port: Number(broker.slice(colon + 1)) }
    try {
      const connection = await BrokerConnection.open(config, seed)
      try {
        const found = await connection.request(findCoordinatorRequest(groupId))
        if (found.errorCode !== 0) throw new BrokerRefusal(`finding the coordinator of ${groupId}`, found.errorCode)
        return found
      } finally {
        connection.close()
      }
    } catch (error) {
      last = error
    }
  }
  throw last
}
