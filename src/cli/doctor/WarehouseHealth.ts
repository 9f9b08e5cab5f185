/** The warehouse: who runs it or whether it starts, and the database in it. */
import { Effect, Layer, Option } from "effect"
import type { Scope } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { defaultCoreSettings } from "../../domain/Settings.ts"
import * as ClickHouseStateStore from "../../warehouse/ClickHouseStateStore.ts"
import { make } from "../../warehouse/ClickHouseWarehouse.ts"
import { credentialsPath } from "../../warehouse/embedded/Credentials.ts"
import { load, migrationsDirectory } from "../../warehouse/Migrations.ts"
import type { Checkpoint } from "../../warehouse/StateStore.ts"
import { StateStore } from "../../warehouse/StateStore.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { hasWarehouse } from "../ExistingWarehouse.ts"
import { paths, RunningWarehouse, warehouseLayer } from "../Installation.ts"
import { spokenBytes } from "../Spoken.ts"
import type { Check } from "./Check.ts"
import { checksOf } from "./Check.ts"

/** Active parts of one table's partition from which merges are plainly behind; ClickHouse slows inserts down at 1,000. */
const partsOfPartitionLow = 300

const { fail, ok, warn } = checksOf("warehouse")

export interface WarehouseFound {
  readonly checks: ReadonlyArray<Check>
  /** Absent when they cannot be known. */
  readonly checkpoints: ReadonlyArray<Checkpoint> | undefined
}

/**
 * Attaches to the running warehouse or starts it. Where the data directory has none, one is started in a temporary directory
 * instead, to see that it can be.
 */
export const warehouseHealth = (dataDirectory: string): Effect.Effect<WarehouseFound> =>
  (hasWarehouse(dataDirectory) ?
    Effect.provide(existing(dataDirectory), warehouseLayer(dataDirectory)) :
    startable).pipe(
      Effect.scoped,
      Effect.catch((error) => Effect.succeed({ checks: [fail("runs", error.message)], checkpoints: undefined }))
    )

const startable = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "guardian-doctor-"))),
    (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
  )
  const checks = yield* Effect.gen(function*() {
    return [
      ok("runs", "there is none yet; one starts (tried in a temporary directory)"),
      yield* engineVersion,
      yield* confinement(directory)
    ]
  }).pipe(Effect.provide(warehouseLayer(directory)))
  return { checks, checkpoints: [] }
})

const existing = Effect.fnUntraced(function*(dataDirectory: string) {
  const running = yield* RunningWarehouse
  const warehouse = yield* make(running.address("reader"))
  const version = yield* schemaVersion(warehouse)
  const checks = [
    ok(
      "runs",
      running.owned ?
        "no process ran it; it starts" :
        running.ownerPid === undefined ?
        `at ${running.url}, a server of its own` :
        `at ${running.url}${
          running.tcpPort === undefined ? "" : `, native port ${running.tcpPort}`
        }, by process ${running.ownerPid}`
    ),
    yield* engineVersion,
    // A server confines file() to a folder of its own.
    ...(running.ownerPid === undefined ? [] : [yield* confinement(dataDirectory)]),
    version.check
  ]
  if (version.number === 0) return { checks, checkpoints: [] }
  const asked = yield* StateStore.use(({ checkpoints, disagreements }) => Effect.all({ checkpoints, disagreements }))
    .pipe(
      Effect.provide(
        ClickHouseStateStore.layer(defaultCoreSettings).pipe(Layer.provide(Layer.succeed(Warehouse, warehouse)))
      )
    )
  return {
    checks: [...checks, yield* partsCheck(warehouse), determinism(asked.disagreements.length)],
    checkpoints: asked.checkpoints
  }
})

const engineVersion = Effect.gen(function*() {
  const warehouse = yield* make((yield* RunningWarehouse).address("reader"))
  const [row] = yield* warehouse.query("SELECT version() AS version")
  return ok("ClickHouse", String(row?.["version"]))
})

/** Asks for a file outside the engine's own, as an analyst could: see `embedded/confine.ts`. */
const confinement = Effect.fnUntraced(function*(dataDirectory: string): Effect.fn.Return<
  Check,
  never,
  RunningWarehouse | Scope.Scope
> {
  const analyst = yield* make((yield* RunningWarehouse).address("analyst"))
  const path = credentialsPath(paths(dataDirectory).warehouse)
  const read = yield* Effect.option(analyst.query("SELECT length(file({path:String}))", { path }))
  return Option.isNone(read) ?
    ok("confined", "yes: its users see no files of this account") :
    warn(
      "confined",
      "no: its users can read the files of this account by the SQL function file() (Linux 6.2 with Landlock prevents that)"
    )
})

const schemaVersion = Effect.fnUntraced(function*(warehouse: Warehouse["Service"]) {
  const known = (yield* load(migrationsDirectory)).length
  const rows = yield* Effect.catchIf(
    warehouse.query("SELECT max(number) AS number FROM migrations"),
    ({ code }) => code === unknownTable,
    () => Effect.succeed([])
  )
  const number = Number(rows[0]?.["number"] ?? 0)
  const check = number === known ?
    ok("schema", `version ${number}`) :
    number > known ?
    fail("schema", `version ${number} of a newer guardian; this one knows ${known}: use the newer one`) :
    number === 0 ?
    ok("schema", "no tables yet; the first command that writes makes them") :
    warn(
      "schema",
      `version ${number}, this guardian has ${known}: guardian migrate, or any command that writes, updates it`
    )
  return { number, check }
})

const unknownTable = 60

const partsCheck = Effect.fnUntraced(function*(warehouse: Warehouse["Service"]) {
  const [row] = yield* warehouse.query(
    "SELECT sum(n) AS parts, sum(bytes) AS size, sum(stored) AS total, max(n) AS most, argMax(table, n) AS fullest FROM (" +
      "SELECT table, partition_id, count() AS n, sum(bytes_on_disk) AS bytes, sum(rows) AS stored FROM system.parts " +
      "WHERE active AND database = currentDatabase() GROUP BY table, partition_id)"
  )
  const most = Number(row?.["most"])
  const detail = `${String(row?.["parts"])} active, ${Number(row?.["total"]).toLocaleString("en")} rows, ` +
    spokenBytes(Number(row?.["size"]))
  return most < partsOfPartitionLow ?
    ok("parts", detail) :
    warn(
      "parts",
      `${detail}; ${most} in one partition of ${
        String(row?.["fullest"])
      }: merges are behind, wait before inserting more`
    )
})

const determinism = (disagreements: number): Check =>
  disagreements === 0 ?
    ok("determinism", "no two runs decided differently") :
    fail(
      "determinism",
      `runs decided differently at ${disagreements} offsets (table decision_hashes): a bug; keep log and database and report it`
    )
