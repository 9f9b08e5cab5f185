/** What runs here. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { arch, cpus, release, totalmem, type } from "node:os"
import { isExternal } from "../ExternalWarehouse.ts"
import { spokenBytes } from "../Spoken.ts"
import { version } from "../Version.ts"
import type { Check } from "./Check.ts"
import { checksOf } from "./Check.ts"

/** Guardian is made for this major version of Node.js and later. */
const nodeMajorMin = 24

const { fail, ok, warn } = checksOf("versions")

export const versionChecks = (): ReadonlyArray<Check> => [
  ok("guardian", version),
  Number(process.versions.node.split(".")[0]) >= nodeMajorMin ?
    ok("node", process.versions.node) :
    fail("node", `${process.versions.node}; start guardian with npx guardian, which brings its own ${nodeMajorMin}`),
  packageCheck("effect"),
  ...(isExternal() ? [] : [packageCheck("chdb")]),
  ok(
    "system",
    `${distribution()}${type()} ${release()}, ${arch()}, ${cpus().length} cores, ${spokenBytes(totalmem())} memory`
  ),
  glibcCheck()
]

const packageCheck = (name: string): Check => {
  try {
    const { version } = createRequire(import.meta.url)(`${name}/package.json`) as { version: string }
    return ok(name, version)
  } catch {
    return fail(name, "not installed: run npm ci")
  }
}

const distribution = (): string => {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1]
    return name === undefined ? "" : `${name}, `
  } catch {
    return ""
  }
}

/** The engine's library is made for glibc. */
const glibcCheck = (): Check => {
  if (process.platform !== "linux") return ok("glibc", "not Linux: none is needed")
  const report = process.report.getReport() as { readonly header?: { readonly glibcVersionRuntime?: string } }
  const found = report.header?.glibcVersionRuntime
  return found === undefined ?
    warn("glibc", "none found: the embedded warehouse needs a Linux with glibc, not musl") :
    ok("glibc", found)
}
