/** The write keys of a data directory: `write-keys.json`, hashes only, and a secret of the collector beside it. */
import { Config, Effect, Schedule, Schema } from "effect"
import type { Scope } from "effect"
import { randomBytes } from "node:crypto"
import { mkdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { parseKeys } from "../api/Keys.ts"
import type { WriteKey } from "../collector/WriteKeys.ts"
import { WriteKeysFile } from "../collector/WriteKeys.ts"
import { writePrivateFile } from "../warehouse/embedded/PrivateFile.ts"
import { collectorVariables } from "./Environment.ts"
import { InstallationError, paths } from "./Installation.ts"

const fileOf = (dataDirectory: string) => join(paths(dataDirectory).root, "write-keys.json")
const secretOf = (dataDirectory: string) => join(paths(dataDirectory).root, "collector-secret")

/** The keys, revoked ones too; none when there is no file. */
export const readKeys = (dataDirectory: string): Effect.Effect<ReadonlyArray<WriteKey>, InstallationError> =>
  Effect.gen(function*() {
    const text = yield* readText(fileOf(dataDirectory))
    if (text === undefined) return []
    const file = yield* Effect.mapError(
      Schema.decodeUnknownEffect(WriteKeysFile)(text),
      (error) =>
        new InstallationError({ message: `${fileOf(dataDirectory)} is no file of write keys: ${error.message}` })
    )
    return file.keys
  })

/**
 * Changes the keys, one process after the other: nobody else reads between our reading and our writing. A change that fails writes
 * nothing.
 */
export const changeKeys = <E>(
  dataDirectory: string,
  change: (keys: ReadonlyArray<WriteKey>) => Effect.Effect<ReadonlyArray<WriteKey>, E>
): Effect.Effect<void, E | InstallationError> =>
  Effect.acquireUseRelease(
    lock(dataDirectory),
    () => Effect.flatMap(Effect.flatMap(readKeys(dataDirectory), change), (keys) => writeKeys(dataDirectory, keys)),
    (held) => Effect.sync(() => held.close())
  )

const writeKeys = (dataDirectory: string, keys: ReadonlyArray<WriteKey>) =>
  attempt(
    fileOf(dataDirectory),
    () => writePrivateFile(fileOf(dataDirectory), `${JSON.stringify({ keys }, null, 2)}\n`)
  )

/** How long another command may take, and how often it is looked. */
const lockWaitMs = 10_000
const lockLookMs = 20

/** SQLite's lock on a file of its own, as the data directory's others: it ends with its process, however that ends. */
const lock = (dataDirectory: string): Effect.Effect<DatabaseSync, InstallationError> => {
  const path = `${fileOf(dataDirectory)}.lock`
  return attempt(path, async () => {
    await mkdir(paths(dataDirectory).root, { recursive: true })
    const held = new DatabaseSync(path, { timeout: 0 })
    try {
      held.exec("BEGIN EXCLUSIVE")
      return held
    } catch (cause) {
      held.close()
      throw cause
    }
  }).pipe(Effect.retry({ schedule: Schedule.spaced(lockLookMs), times: lockWaitMs / lockLookMs }))
}

/** Those of the environment: they hold as long as the process lives, and have no rate or origins of their own. */
export const environmentKeys: Effect.Effect<ReadonlyArray<WriteKey>, InstallationError> = Effect.gen(function*() {
  const { name } = collectorVariables.writeKeys
  const text = yield* Config.String(name).pipe(Config.withDefault(""))
  return (yield* parseKeys(name, text)).map((key) => ({
    name: key.name,
    hash: key.hash.toString("hex"),
    created_at: ""
  }))
}).pipe(Effect.mapError(({ message }) => new InstallationError({ message })))

/** How soon a running collector knows of a key that was added or revoked. */
const lookEvery = "1 second"

/** The keys as they are now, those of the environment too: the file is read again when the file changes. A file that cannot be read leaves the keys as they were. */
export const watchedKeys = Effect.fnUntraced(
  function*(dataDirectory: string): Effect.fn.Return<() => ReadonlyArray<WriteKey>, InstallationError, Scope.Scope> {
    const fixed = yield* environmentKeys
    let keys = [...fixed, ...yield* readKeys(dataDirectory)]
    let seen = yield* changedAt(dataDirectory)
    const look = Effect.gen(function*() {
      const now = yield* changedAt(dataDirectory)
      if (now === seen) return
      keys = [...fixed, ...yield* readKeys(dataDirectory)]
      seen = now
    })
    yield* Effect.forkScoped(
      look.pipe(
        Effect.catch((error) => Effect.logWarning(error.message)),
        Effect.repeat(Schedule.spaced(lookEvery))
      )
    )
    return () => keys
  }
)

/** Made at the first start: with it visitors without an id are told apart. */
export const collectorSecret = (dataDirectory: string): Effect.Effect<string, InstallationError> =>
  Effect.gen(function*() {
    const known = yield* readText(secretOf(dataDirectory))
    if (known !== undefined) return known.trim()
    yield* attempt(secretOf(dataDirectory), async () => {
      await mkdir(paths(dataDirectory).root, { recursive: true })
      await writePrivateFile(secretOf(dataDirectory), `${randomBytes(32).toString("hex")}\n`)
    })
    return (yield* readText(secretOf(dataDirectory)))?.trim() ?? ""
  })

const changedAt = (dataDirectory: string): Effect.Effect<string> =>
  Effect.promise(() =>
    stat(fileOf(dataDirectory), { bigint: true }).then(({ ino, mtimeNs }) => `${ino}:${mtimeNs}`, () => "")
  )

const readText = (path: string): Effect.Effect<string | undefined, InstallationError> =>
  attempt(path, async () => {
    try {
      return await readFile(path, "utf8")
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw cause
    }
  })

const attempt = <A>(path: string, work: () => Promise<A>): Effect.Effect<A, InstallationError> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) => new InstallationError({ message: `cannot use ${path}: ${(cause as Error).message}` })
  })
