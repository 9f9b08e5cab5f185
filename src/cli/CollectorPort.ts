/** Which port the collector of a data directory has, for commands that look. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { readFileSync } from "node:fs"
import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { paths } from "./Installation.ts"

const fileOf = (dataDirectory: string) => join(paths(dataDirectory).root, "collector.json")

/** Written while it listens. A killed collector leaves it behind: whoever reads it looks whether the process lives. */
export const announcePort = (dataDirectory: string, port: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => writeFile(fileOf(dataDirectory), JSON.stringify({ pid: process.pid, port })).catch(() => {})),
    () => Effect.promise(() => rm(fileOf(dataDirectory), { force: true }).catch(() => {}))
  )

/** The port of the collector that runs now; undefined when none does. */
export const announcedPort = (dataDirectory: string): number | undefined => {
  try {
    const { pid, port } = JSON.parse(readFileSync(fileOf(dataDirectory), "utf8")) as { pid: number; port: number }
    process.kill(pid, 0)
    return port
  } catch {
    return undefined
  }
}
