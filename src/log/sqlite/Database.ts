/**
 * The log's SQLite file: how it is created, opened, checked, and how its errors read. Runs in the worker threads only.
 *
 * One row of `batches` per partition and commit; `partitions` holds where each begins and ends and is updated in the same
 * transaction, under BEGIN IMMEDIATE, so that any number of processes append gapless offsets to one file.
 */
import { randomUUID } from "node:crypto"
import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Fault, Opened, OpenOptions } from "./Protocol.ts"

/** Partitions of a log created without saying how many. */
export const partitionsDefault = 6
/** Most partitions: each costs every commit a little. */
export const partitionsMax = 1024
/** How long a thread waits for another process's lock, ms. */
export const busyTimeoutMs = 10_000
/** Bytes of a database page: big pages make long blobs cheap (measured: 16 KiB beats 4 KiB by a third). */
export const pageBytes = 16_384

/** Marks the file as a log of ours: "GLog". */
const applicationId = 0x474c_6f67
const formatVersion = 1
export const fileName = "events.sqlite"

export interface OpenDatabase extends Opened {
  readonly sqlite: DatabaseSync
  /** Throws when the file under the path is no longer the one that is open. */
  readonly checkPresent: () => void
}

/** An error whose text is already meant for people. */
export class LogFault extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(fault.message)
    this.fault = fault
  }
}

/** Opens the log in a directory, creating it when there is none. Throws; see `faultOf`. */
export const openDatabase = (options: OpenOptions): OpenDatabase => {
  const path = join(options.directory, fileName)
  makeDirectory(options.directory)
  const sqlite = new DatabaseSync(path, { timeout: busyTimeoutMs })
  try {
    configure(sqlite)
    const opened = createOrCheck(sqlite, options)
    if (options.bytesMax !== undefined) {
      sqlite.exec(`PRAGMA max_page_count = ${Math.max(16, Math.floor(options.bytesMax / pageBytes))}`)
    }
    const identity = fileIdentity(path)
    return {
      sqlite,
      ...opened,
      checkPresent: () => {
        if (fileIdentity(path) !== identity) {
          throw new LogFault({
            message: `the log ${path} was deleted or replaced while it was open: restart on the log that is meant`,
            retryable: false
          })
        }
      }
    }
  } catch (error) {
    sqlite.close()
    throw error
  }
}

/** Any error of the worker threads as what went wrong, what to do, and whether waiting can heal it. */
export const faultOf = (error: unknown, doing: string): Fault => {
  if (error instanceof LogFault) return error.fault
  const { code, errcode, message } = error as { code?: string; errcode?: number; message?: string }
  const kind = errcode !== undefined ? sqliteFaults.get(errcode & 0xff) : systemFaults.get(code ?? "")
  const detail = message ?? String(error)
  return kind === undefined ?
    { message: `${doing}: ${detail}`, retryable: false } :
    { message: `${doing}: ${kind.says} (${detail})`, retryable: kind.retryable }
}

/** By primary result code, https://sqlite.org/rescode.html */
const sqliteFaults = new Map<number, { says: string; retryable: boolean }>([
  [3, { says: "no permission", retryable: false }],
  [5, { says: "another process held the log locked for too long", retryable: true }],
  [6, { says: "another process held the log locked for too long", retryable: true }],
  [8, { says: "the log is not writable: check owner and mode of its directory", retryable: false }],
  [10, { says: "the disk did not read or write: check it, and its free space", retryable: true }],
  [11, { says: "the log's file is damaged: restore it or start a new log in another directory", retryable: false }],
  [13, { says: "the disk, or the space that the log may use, is full: make room or trim", retryable: true }],
  [14, { says: "the log's file cannot be opened: check that its directory exists and is writable", retryable: false }],
  [26, { says: "the log's file is no SQLite database", retryable: false }]
])

const systemFaults = new Map<string, { says: string; retryable: boolean }>([
  ["EACCES", { says: "no permission", retryable: false }],
  ["EPERM", { says: "no permission", retryable: false }],
  ["EROFS", { says: "the file system is read-only", retryable: false }],
  ["ENOTDIR", { says: "a part of the path is no directory", retryable: false }],
  ["EEXIST", { says: "the path is no directory", retryable: false }],
  ["ENOENT", { says: "the log was deleted", retryable: false }],
  ["ENOSPC", { says: "the disk is full", retryable: true }],
  ["EDQUOT", { says: "the disk quota is used up", retryable: true }],
  ["EMFILE", { says: "too many open files", retryable: true }]
])

/** A new directory entry survives a power loss only when its parent was synced; SQLite does that for its own files. */
const makeDirectory = (directory: string): void => {
  const made = mkdirSync(directory, { recursive: true })
  if (made === undefined) return
  for (let path = directory; path.length >= made.length; path = dirname(path)) syncDirectory(dirname(path))
}

const syncDirectory = (path: string): void => {
  const descriptor = openSync(path, "r")
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

const configure = (sqlite: DatabaseSync): void => {
  sqlite.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA auto_vacuum = INCREMENTAL`)
  patiently(() => sqlite.exec("PRAGMA journal_mode = WAL"))
  sqlite.exec("PRAGMA synchronous = FULL")
}

/** Two processes that create one log collide while it turns to WAL, where SQLite does not wait by itself. */
const patiently = (attempt: () => void): void => {
  const deadline = performance.now() + busyTimeoutMs
  for (;;) {
    try {
      return attempt()
    } catch (error) {
      const busy = ((error as { errcode?: number }).errcode ?? 0) & 0xff
      if ((busy !== 5 && busy !== 6) || performance.now() > deadline) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

const createOrCheck = (sqlite: DatabaseSync, options: OpenOptions): Opened => {
  const { application_id: id } = sqlite.prepare("PRAGMA application_id").get() as { application_id: number }
  if (id !== applicationId) {
    inTransaction(sqlite, () => create(sqlite, options))
  }
  const meta = new Map(
    (sqlite.prepare("SELECT name, value FROM meta").all() as Array<{ name: string; value: string }>)
      .map((row) => [row.name, row.value])
  )
  const version = Number(meta.get("format_version"))
  if (version !== formatVersion) {
    throw new LogFault({
      message: `the log in ${options.directory} has format ${version}, this program writes ${formatVersion}: ` +
        `use the program that made it`,
      retryable: false
    })
  }
  const partitions = Number(meta.get("partitions"))
  if (options.partitions !== undefined && options.partitions !== partitions) {
    throw new LogFault({
      message: `the log in ${options.directory} has ${partitions} partitions, ${options.partitions} were asked for: ` +
        `open it with ${partitions}, or create a new log in another directory`,
      retryable: false
    })
  }
  return { logId: meta.get("log_id")!, partitions }
}

const create = (sqlite: DatabaseSync, options: OpenOptions): void => {
  const { n } = sqlite.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { n: number }
  const { application_id: id } = sqlite.prepare("PRAGMA application_id").get() as { application_id: number }
  // Another process was faster.
  if (id === applicationId) return
  if (n > 0) {
    throw new LogFault({
      message: `${join(options.directory, fileName)} is a database, but no event log: choose another directory`,
      retryable: false
    })
  }
  const partitions = options.partitions ?? partitionsDefault
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > partitionsMax) {
    throw new LogFault({ message: `a log has 1 to ${partitionsMax} partitions, not ${partitions}`, retryable: false })
  }
  sqlite.exec(`
    PRAGMA application_id = ${applicationId};
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE partitions (
      partition INTEGER PRIMARY KEY,
      start_offset INTEGER NOT NULL,
      next_offset INTEGER NOT NULL,
      last_appended_at INTEGER NOT NULL
    );
    CREATE TABLE batches (
      id INTEGER PRIMARY KEY,
      partition INTEGER NOT NULL,
      base_offset INTEGER NOT NULL,
      count INTEGER NOT NULL,
      appended_at INTEGER NOT NULL,
      crc32 INTEGER NOT NULL,
      bytes BLOB NOT NULL
    );
    CREATE UNIQUE INDEX batches_by_offset ON batches (partition, base_offset);
  `)
  const meta = sqlite.prepare("INSERT INTO meta (name, value) VALUES (?, ?)")
  meta.run("format_version", String(formatVersion))
  meta.run("log_id", randomUUID())
  meta.run("partitions", String(partitions))
  const insert = sqlite.prepare("INSERT INTO partitions VALUES (?, 0, 0, 0)")
  for (let partition = 0; partition < partitions; partition++) insert.run(partition)
}

/** Runs a write transaction; on any error nothing of it stays. */
export const inTransaction = <A>(sqlite: DatabaseSync, body: () => A): A => {
  sqlite.exec("BEGIN IMMEDIATE")
  try {
    const result = body()
    sqlite.exec("COMMIT")
    return result
  } catch (error) {
    // Some errors (a full disk) have rolled back already.
    if (sqlite.isTransaction) sqlite.exec("ROLLBACK")
    throw error
  }
}

const fileIdentity = (path: string): string => {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? "" : `${stat.dev}:${stat.ino}`
}
