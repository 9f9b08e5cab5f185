/**
 * Servers of private clusters, from Maven Central: fetched once per content of a pom file, kept outside of the repository in
 * `GUARDIAN_CLUSTER_CACHE` or `~/.cache/guardian-cluster`.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, readFile, rename, rm } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

export const run = promisify(execFile)

/** Java or Maven is missing. The message says what to install. */
export class MissingTools extends Error {}

/** The folder with what `goal` puts there for the pom, which lies here or in `poms`; made when it is not there. */
export const download = async (
  pomName: string,
  goal: (folder: string) => ReadonlyArray<string>,
  poms: string = import.meta.dirname
): Promise<string> => {
  const pom = join(poms, pomName)
  const digest = createHash("sha256").update(await readFile(pom)).digest("hex").slice(0, 12)
  const base = process.env["GUARDIAN_CLUSTER_CACHE"] ?? join(homedir(), ".cache", "guardian-cluster")
  const folder = join(base, `${pomName.replace(".pom.xml", "")}-${digest}`)
  if (existsSync(folder)) return folder
  await refuseMissing("mvn", ["--version"], "Maven (Debian, Ubuntu: apt-get install maven)")
  // Beside the final name, then renamed: two runs may do this at once.
  const partial = `${folder}.${process.pid}`
  await mkdir(partial, { recursive: true })
  await run("mvn", ["-q", "-B", "-C", "-f", pom, ...goal(partial)])
  await rename(partial, folder).catch(async (error: unknown) => {
    if (!existsSync(folder)) throw error
    await rm(partial, { recursive: true })
  })
  return folder
}

/** The java to use: `JAVA_HOME`'s, or that of the path. It must be `versionMin` or newer. */
export const java = async (
  versionMin: number,
  homes: ReadonlyArray<string | undefined> = [process.env["JAVA_HOME"]]
): Promise<string> => {
  const what =
    `Java ${versionMin} or newer (Debian, Ubuntu: apt-get install openjdk-${versionMin}-jre-headless; or set JAVA_HOME)`
  const installed = homes.flatMap((home) => home === undefined ? [] : [join(home, "bin", "java")])
  const candidates = [...installed.filter((path) => existsSync(path)), "java"]
  for (const candidate of candidates) {
    const version = await run(candidate, ["-version"]).then(
      ({ stderr }) => Number(/version "(\d+)/.exec(stderr)?.[1]),
      () => 0
    )
    if (version >= versionMin) return candidate
  }
  throw new MissingTools(`a private cluster needs ${what}`)
}

const refuseMissing = async (command: string, args: ReadonlyArray<string>, what: string): Promise<void> => {
  try {
    await run(command, args)
  } catch {
    throw new MissingTools(`a private cluster needs ${what}`)
  }
}
