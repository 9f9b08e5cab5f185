/** The data directory and its disk. Nothing is made here. */
import { accessSync, constants, existsSync, statfsSync } from "node:fs"
import { lstat, readdir } from "node:fs/promises"
import { dirname, join } from "node:path"
import { paths } from "../Installation.ts"
import { spokenBytes } from "../Spoken.ts"
import type { Check } from "./Check.ts"
import { checksOf } from "./Check.ts"

/** Below it a warning is given, bytes. */
const freeBytesLow = 1_000_000_000
/** Below it the embedded warehouse takes no more inserts (its `keep_free_space_bytes`), bytes. */
const freeBytesMin = 33_554_432

const { fail, ok, warn } = checksOf("data directory")

export const dataDirectoryChecks = async (dataDirectory: string): Promise<ReadonlyArray<Check>> => {
  const { root } = paths(dataDirectory)
  const exists = existsSync(root)
  const place = exists ? root : existingParent(root)
  const checks = [
    exists ? ok("place", root) : ok("place", `${root} does not exist yet; guardian demo, import or simulate makes it`),
    writable(place, exists)
  ]
  if (exists) checks.push(ok("size", spokenBytes(await sizeOf(root))))
  return [...checks, diskCheck(place)]
}

const existingParent = (path: string): string => existsSync(path) ? path : existingParent(dirname(path))

const writable = (place: string, exists: boolean): Check => {
  try {
    accessSync(place, constants.R_OK | constants.W_OK | constants.X_OK)
    return ok("writable", exists ? "yes" : `yes: it can be made in ${place}`)
  } catch {
    return fail(
      "writable",
      `no: this user may not write to ${place}; mend its owner or mode, or name another --data-dir`
    )
  }
}

/** Files may come and go meanwhile. */
const sizeOf = async (path: string): Promise<number> => {
  try {
    const status = await lstat(path)
    if (!status.isDirectory()) return status.blocks * 512
    let size = 0
    for (const name of await readdir(path)) size += await sizeOf(join(path, name))
    return size
  } catch {
    return 0
  }
}

const diskCheck = (place: string): Check => {
  const { bavail, bsize } = statfsSync(place)
  const free = bavail * bsize
  if (free < freeBytesMin) return fail("free disk", `${spokenBytes(free)}: nothing can be stored any more, make room`)
  if (free < freeBytesLow) return warn("free disk", `${spokenBytes(free)}: make room before it is used up`)
  return ok("free disk", spokenBytes(free))
}
