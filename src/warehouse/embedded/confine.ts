/**
 * Keeps the child process out of everyone else's files, by Linux' Landlock. Needed because the embedded engine takes itself for a
 * command-line tool: its scalar function `file('/any/path')` asks for no grant and no `user_files` folder, so every user of the
 * warehouse, also a read-only one, could read what this account can.
 *
 * See https://docs.kernel.org/userspace-api/landlock.html for the system calls and structures.
 */
import { DataType, load, open } from "ffi-rs"
import { closeSync, existsSync, openSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs"

export interface Allowed {
  readonly writable: ReadonlyArray<string>
  readonly readable: ReadonlyArray<string>
}

/**
 * From here on this thread, and every thread that it starts, sees only these paths and what is below them; missing ones are left
 * out. False if this system cannot do that (not Linux, a kernel before 6.2, Landlock switched off): then nothing is changed.
 */
export const confine = (allowed: Allowed): boolean => {
  if (process.platform !== "linux") return false
  open({ library: "libc", path: "" })
  // Renames between directories, which the engine needs, came with version 2, truncation with 3.
  if (systemCall(createRuleset, 0, 0, createRulesetVersion) < 3) return false
  assertNoWorkerThreads()

  const ruleset = systemCall(createRuleset, words(everything), 8, 0)
  if (ruleset < 0) return false
  for (const path of allowed.writable) allow(ruleset, path, everything)
  for (const path of allowed.readable) allow(ruleset, path, reading)
  if (control(setNoNewPrivileges, 1) !== 0) return false
  const confined = systemCall(restrictSelf, ruleset, 0, 0) === 0
  closeSync(ruleset)
  return confined
}

/** What the engine and its C library look at besides their own files: memory, processors, names, time zones. */
export const systemFiles: ReadonlyArray<string> = [
  "/dev/urandom",
  "/etc/hosts",
  "/etc/localtime",
  "/etc/nsswitch.conf",
  "/etc/resolv.conf",
  "/lib",
  "/lib64",
  "/usr/lib",
  "/usr/share/zoneinfo",
  "/proc/cpuinfo",
  "/proc/meminfo",
  "/proc/self/statm",
  "/proc/self/status",
  "/proc/self/task",
  "/proc/stat",
  "/sys/devices/system/cpu",
  "/sys/fs/cgroup"
]

// Numbers of the system calls, the same on x64 and arm64.
const createRuleset = 444
const addRule = 445
const restrictSelf = 446
const createRulesetVersion = 1
const rulePathBeneath = 1
const setNoNewPrivileges = 38

/** The rights of version 3: bits 0 (execute) to 14 (truncate). */
const everything = 0x7fffn
const execute = 1n << 0n
const writeFile = 1n << 1n
const readFile = 1n << 2n
const readDirectory = 1n << 3n
const truncate = 1n << 14n
const reading = execute | readFile | readDirectory
/** All that can be allowed on a path that is no directory. */
const ofFiles = execute | writeFile | readFile | truncate

const allow = (ruleset: number, path: string, access: bigint): void => {
  if (!existsSync(path)) return
  const real = realpathSync(path)
  // Never closed: the rule is tied to the inode, and those of /proc are made anew when nobody holds them.
  const file = openSync(real, openPathOnly)
  const attributes = Buffer.alloc(12)
  attributes.writeBigUInt64LE(statSync(real).isDirectory() ? access : access & ofFiles, 0)
  attributes.writeInt32LE(file, 8)
  const outcome = load({
    library: "libc",
    funcName: "syscall",
    retType: DataType.I64,
    paramsType: [DataType.I64, DataType.I64, DataType.I64, DataType.U8Array, DataType.I64],
    paramsValue: [addRule, ruleset, rulePathBeneath, attributes, 0]
  })
  if (outcome !== 0) throw new Error(`cannot allow ${path} to the engine`)
}

/** O_PATH: names a file without opening it. */
const openPathOnly = 0o10000000

const words = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

const systemCall = (number: number, first: number | Buffer, second: number, third: number): number =>
  load({
    library: "libc",
    funcName: "syscall",
    retType: DataType.I64,
    paramsType: [
      DataType.I64,
      typeof first === "number" ? DataType.I64 : DataType.U8Array,
      DataType.I64,
      DataType.I64
    ],
    paramsValue: [number, first, second, third]
  })

const control = (option: number, value: number): number =>
  load({
    library: "libc",
    funcName: "prctl",
    retType: DataType.I32,
    paramsType: [DataType.I32, DataType.I64, DataType.I64, DataType.I64, DataType.I64],
    paramsValue: [option, value, 0, 0, 0]
  })

/** The engine will run on libuv's worker threads. Had they been started already, they would stay outside. */
const assertNoWorkerThreads = (): void => {
  for (const thread of readdirSync("/proc/self/task")) {
    const name = readFileSync(`/proc/self/task/${thread}/comm`, "utf8").trim()
    if (name.startsWith("libuv-worker")) throw new Error("worker threads run before the engine is confined")
  }
}
