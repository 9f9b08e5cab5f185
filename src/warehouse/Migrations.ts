/**
 * Brings a database to the schema of this code: the numbered files of `clickhouse/`, in order, each recorded with its checksum.
 *
 * ClickHouse has no transaction over DDL and no lock, so nothing here relies on either. Every statement may run again (IF NOT
 * EXISTS), a file is recorded after its last statement, and records are never replaced. So a migration that died halfway is
 * resumed by running it again, and two processes at once do the same work twice, to the same end.
 */
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { make } from "./ClickHouseWarehouse.ts"
import { WarehouseError } from "./Warehouse.ts"
import type { Warehouse, WarehouseAddress } from "./Warehouse.ts"

/** One file of `clickhouse/`. */
export interface Migration {
  readonly number: number
  /** The file's name: `0001_events.sql`. */
  readonly name: string
  /** Hex SHA-256 of the text, before the database's name is put in. */
  readonly checksum: string
  /** Without comment lines and the closing semicolons; `{database}` stands for the name. */
  readonly statements: ReadonlyArray<string>
}

/** What a run of `migrate` found and did. */
export interface MigrationReport {
  readonly database: string
  /** Files applied by this run, in order; empty when the database was up to date. */
  readonly applied: ReadonlyArray<string>
  /** The number of the newest file. */
  readonly version: number
}

/**
 * The files and the database do not fit. Waiting does not help.
 * - `files`: `clickhouse/` cannot be read, a name is no `0001_word.sql`, or a number is missing or there twice
 * - `gap`: the database lacks a migration before one that it has
 * - `changed`: a file is not the one that was applied
 * - `newer`: the database was migrated by newer code
 * - `name`: no name for a database
 */
export class MigrationError extends Schema.TaggedError<MigrationError>()("MigrationError", {
  message: Schema.String,
  reason: Schema.Literals(["files", "gap", "changed", "newer", "name"]),
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** The project's own migrations. */
export const migrationsDirectory: string = fileURLToPath(new URL("../../clickhouse/", import.meta.url))

/**
 * Creates the database if it is missing and applies what it lacks. Safe to repeat, and safe to run twice at once. One attempt: a
 * WarehouseError that is `retryable` may be tried again.
 */
export const migrate = (
  address: WarehouseAddress,
  directory: string = migrationsDirectory
): Effect.Effect<MigrationReport, MigrationError | WarehouseError> =>
  Effect.scoped(Effect.gen(function*() {
    const { database } = address
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(database)) {
      return yield* new MigrationError({ reason: "name", message: `not a plain database name: ${database}` })
    }
    const files = yield* load(directory)
    // The session's own database must exist before ours does.
    const warehouse = yield* make({ ...address, database: "system" })
    yield* warehouse.command(`CREATE DATABASE IF NOT EXISTS ${database} ENGINE = Atomic`)
    yield* warehouse.command(recordsTable(database))
    const recorded = yield* records(warehouse, database)
    const pending = yield* missing(files, recorded, database)
    // Only where all is new: what a database says it has, it has, also if an older version goes on with it.
    const unneeded = recorded.length === 0 ? shortLived(pending) : new Set<string>()
    yield* Effect.ensuring(
      Effect.forEach(pending, (file) => apply(warehouse, file, database, unneeded), { discard: true }),
      pending.length === 0 ? Effect.void : Effect.ignore(startViews(warehouse, database))
    )
    // Another process may have recorded another text under one of these numbers meanwhile.
    yield* missing(files, yield* records(warehouse, database), database)
    return { database, applied: pending.map((file) => file.name), version: files.at(-1)?.number ?? 0 }
  }))

/** Reads and checks the files of a directory. */
export const load = (directory: string): Effect.Effect<ReadonlyArray<Migration>, MigrationError> =>
  Effect.tryPromise({
    try: async () => {
      const names = (await readdir(directory)).filter((name) => name.endsWith(".sql")).sort()
      return Promise.all(names.map(async (name) => parse(name, await readFile(`${directory}/${name}`, "utf8"))))
    },
    catch: (cause) =>
      new MigrationError({ reason: "files", message: `the migrations in ${directory} cannot be read`, cause })
  }).pipe(Effect.flatMap((files) => {
    const wrong = files.find((file, index) => file.number !== index + 1)
    return wrong === undefined ? Effect.succeed(files) : new MigrationError({
      reason: "files",
      message: `${directory} must have the migrations 0001 to ${String(files.length).padStart(4, "0")}, each once; ` +
        `${wrong.name} breaks the row`
    })
  }))

const parse = (name: string, text: string): Migration => {
  const unix = text.replaceAll("\r\n", "\n")
  const body = unix.split("\n").filter((line) => !line.trimStart().startsWith("--")).join("\n")
  return {
    number: Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1] ?? Number.NaN),
    name,
    checksum: createHash("sha256").update(unix).digest("hex"),
    statements: body.split(/;[ \t]*(?:\n|$)/).map((statement) => statement.trim()).filter((statement) =>
      statement !== ""
    )
  }
}

/** Contradicting checksums both stay and are found; the same one twice is one row. */
const recordsTable = (database: string): string => `
CREATE TABLE IF NOT EXISTS ${database}.migrations (
  number UInt32 COMMENT 'Number of the file',
  name String COMMENT 'Name of the file',
  checksum String COMMENT 'Hex SHA-256 of its text',
  applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When its last statement had run'
) ENGINE = ReplacingMergeTree
ORDER BY (number, checksum)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which files of clickhouse/ this database has'`

interface Recorded {
  readonly number: number
  readonly name: string
  readonly checksum: string
}

const records = (
  warehouse: Warehouse["Service"],
  database: string
): Effect.Effect<ReadonlyArray<Recorded>, WarehouseError> =>
  warehouse.query(`SELECT number, name, checksum FROM ${database}.migrations FINAL ORDER BY number, applied_at`).pipe(
    Effect.map((rows) => rows as unknown as ReadonlyArray<Recorded>)
  )

/** The files that are not recorded; they must follow the recorded ones. */
const missing = (
  files: ReadonlyArray<Migration>,
  recorded: ReadonlyArray<Recorded>,
  database: string
): Effect.Effect<ReadonlyArray<Migration>, MigrationError> => {
  for (const row of recorded) {
    const file = files[row.number - 1]
    if (file === undefined) {
      return new MigrationError({
        reason: "newer",
        message:
          `database ${database} has migration ${row.name}, which this version does not know: use the newer version`
      })
    }
    if (file.checksum !== row.checksum) {
      return new MigrationError({
        reason: "changed",
        message:
          `${file.name} is not the file that database ${database} was migrated with (${row.name}, SHA-256 ${row.checksum}): ` +
          "restore it and put the change into a new file"
      })
    }
  }
  const known = new Set(recorded.map((row) => row.number))
  const pending = files.filter((file) => !known.has(file.number))
  const gap = pending[0]
  return gap !== undefined && gap.number <= known.size ?
    new MigrationError({
      reason: "gap",
      message:
        `database ${database} lacks ${gap.name} but has later migrations: it was changed by hand, or restored in part`
    }) :
    Effect.succeed(pending)
}

/** Makes a view that refreshes itself; a view begins at once, and whoever drops it again waits for it. */
const refreshable = /^CREATE MATERIALIZED VIEW IF NOT EXISTS \{database\}\.(\w+)\s+REFRESH/

/**
 * Statements that make a view which a later one drops before any needs it, by `placeOf`. To make one costs up to 0.2 s of CPU, and a
 * new database would make some of them five times. That another view depends on its refreshes is no need: that goes by its name.
 */
export const shortLived = (files: ReadonlyArray<Migration>): ReadonlySet<string> => {
  const all = files.flatMap((file) =>
    file.statements.map((statement, index) => ({ statement, place: placeOf(file, index) }))
  )
  const dropped = all.filter(({ statement }, at) => {
    const view = refreshable.exec(statement)?.[1]
    if (view === undefined) return false
    const named = new RegExp(`\\{database\\}\\.${view}\\b`)
    const next = all.slice(at + 1).find((later) => named.test(later.statement.replace(dependencies, "")))
    return next?.statement === `DROP VIEW IF EXISTS {database}.${view}`
  })
  return new Set(dropped.map(({ place }) => place))
}

const placeOf = (file: Migration, index: number): string => `${file.name}, statement ${index + 1}`

const dependencies = /\bDEPENDS ON \{database\}\.\w+(, \{database\}\.\w+)*/g

/** Lets them refresh, when all are as they should be. */
const startViews = Effect.fnUntraced(function*(warehouse: Warehouse["Service"], database: string) {
  const views = yield* warehouse.query("SELECT view FROM system.view_refreshes WHERE database = {database:String}", {
    database
  })
  for (const { view } of views) yield* warehouse.command(`SYSTEM START VIEW ${database}.${String(view)}`)
})

const apply = Effect.fnUntraced(function*(
  warehouse: Warehouse["Service"],
  file: Migration,
  database: string,
  unneeded: ReadonlySet<string>
) {
  for (const [index, statement] of file.statements.entries()) {
    if (unneeded.has(placeOf(file, index))) continue
    yield* warehouse.command(statement.replaceAll("{database}", database)).pipe(
      Effect.mapError((error) => new WarehouseError({ ...error, message: `${placeOf(file, index)}: ${error.message}` }))
    )
    const view = refreshable.exec(statement)?.[1]
    if (view !== undefined) yield* warehouse.command(`SYSTEM STOP VIEW ${database}.${view}`)
  }
  yield* warehouse.command(
    `INSERT INTO ${database}.migrations (number, name, checksum) ` +
      `SETTINGS async_insert = 0, insert_deduplicate = 0 VALUES (${file.number}, '${file.name}', '${file.checksum}')`
  )
})
