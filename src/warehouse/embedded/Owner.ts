/**
 * One owner per directory. The lock is SQLite's exclusive lock on a file of its own: the kernel takes it back when the process
 * ends, however it ends, so there is no stale lock to judge. Beside it stands a file that says who the owner is and where its
 * server answers.
 */
import { Effect, Option, Schema, Scope } from "effect"
import { readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { WarehouseOwned, WarehouseStartError } from "./EmbeddedWarehouseErrors.ts"
import { displayName } from "./Engine.ts"
import { writePrivateFile } from "./PrivateFile.ts"

export const OwnerState = Schema.Struct({
  /** Of the owner, not of its engine. */
  pid: Schema.Int.check(Schema.isGreaterThan(0)),
  /** The display name of its server: another one on the same port has another. */
  identity: Schema.String,
  /** Absent until the server answers. */
  url: Schema.optionalKey(Schema.String),
  tcpPort: Schema.optionalKey(Schema.Number),
  /** Path of the file with the passwords. */
  credentials: Schema.String
})
export type OwnerState = typeof OwnerState.Type

const pollMs = 50
/** How long a second starter waits for the first one's address. */
const ownerWaitMs = 20_000
/** How long a living owner may take to start its engine again before we call it gone. */
const restartWaitMs = 5_000

/** Takes the directory until the scope closes, or fails with who has it. */
export const own = Effect.fnUntraced(function*(
  directory: string
): Effect.fn.Return<void, WarehouseOwned | WarehouseStartError, Scope.Scope> {
  const scope = yield* Scope.Scope
  const deadline = Date.now() + ownerWaitMs
  while (true) {
    if (yield* tryLock(directory, scope)) return
    const owner = yield* findServing(directory)
    if (Option.isSome(owner)) return yield* owned(directory, owner.value)
    if (Date.now() > deadline) return yield* owned(directory, Option.getOrUndefined(yield* readState(directory)))
    yield* Effect.sleep(pollMs * (1 + Math.random())) // two starters must not stay in step
  }
})

/** The living owner of the directory and its verified server; waits a little while that server is being started again. */
export const findOwner = Effect.fnUntraced(function*(
  directory: string
): Effect.fn.Return<Option.Option<ServingOwner>> {
  const deadline = Date.now() + restartWaitMs
  while (true) {
    const owner = yield* findServing(directory)
    if (Option.isSome(owner) || Date.now() > deadline) return owner
    const state = yield* readState(directory)
    if (Option.isNone(state) || !isAlive(state.value.pid)) return Option.none()
    yield* Effect.sleep(pollMs)
  }
})

export type ServingOwner = OwnerState & { readonly url: string }

/** An engine that an owner, now dead, left behind and that still answers. Call it with the lock held. */
export const orphanAnswers = Effect.fnUntraced(function*(directory: string): Effect.fn.Return<boolean> {
  const state = yield* readState(directory)
  if (Option.isNone(state) || state.value.url === undefined) return false
  return Option.contains(yield* displayName(state.value.url), state.value.identity)
})

export const writeState = (directory: string, state: OwnerState): Effect.Effect<void, WarehouseStartError> =>
  Effect.tryPromise({
    try: () => writePrivateFile(statePath(directory), JSON.stringify(state, undefined, 2)),
    catch: (cause) => unusableDirectory(directory, cause)
  })

export const removeState = (directory: string): Effect.Effect<void> =>
  Effect.ignore(Effect.tryPromise(() => rm(statePath(directory), { force: true })))

export const unusableDirectory = (directory: string, cause: unknown): WarehouseStartError =>
  new WarehouseStartError({
    reason: "directory",
    message: `cannot use the directory ${directory} for the warehouse: ${String(cause)}`,
    cause
  })

const statePath = (directory: string): string => join(directory, "owner.json")

const tryLock = (
  directory: string,
  scope: Scope.Scope
): Effect.Effect<boolean, WarehouseStartError> =>
  Effect.try({
    try: () => openLock(join(directory, "owner.lock")),
    catch: (cause) => unusableDirectory(directory, cause)
  }).pipe(
    Effect.tap((lock) => lock === undefined ? Effect.void : Scope.addFinalizer(scope, Effect.sync(() => lock.close()))),
    Effect.map((lock) => lock !== undefined),
    Effect.uninterruptible
  )

const sqliteBusy = 5

const openLock = (path: string): DatabaseSync | undefined => {
  const lock = new DatabaseSync(path, { timeout: 0 })
  try {
    lock.exec("BEGIN EXCLUSIVE")
    return lock
  } catch (cause) {
    lock.close()
    if ((cause as { readonly errcode?: number }).errcode === sqliteBusy) return undefined
    throw cause
  }
}

const decodeState = Schema.decodeUnknownEffect(Schema.fromJsonString(OwnerState))

/** None when there is no file, or none that we wrote. */
const readState = (directory: string): Effect.Effect<Option.Option<OwnerState>> =>
  Effect.tryPromise(() => readFile(statePath(directory), "utf8")).pipe(
    Effect.flatMap(decodeState),
    Effect.option
  )

const findServing = Effect.fnUntraced(function*(directory: string): Effect.fn.Return<Option.Option<ServingOwner>> {
  const state = yield* readState(directory)
  if (Option.isNone(state) || !isAlive(state.value.pid)) return Option.none()
  const { identity, url } = state.value
  if (url === undefined) return Option.none()
  const name = yield* displayName(url)
  return Option.contains(name, identity) ? Option.some({ ...state.value, url }) : Option.none()
})

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

const owned = (directory: string, owner: OwnerState | undefined): WarehouseOwned =>
  new WarehouseOwned({
    message: `the warehouse in ${directory} is run by ` +
      (owner === undefined ? "another process" : `process ${owner.pid}`) +
      (owner?.url === undefined ? " that has not said where it listens" : ` at ${owner.url}`) +
      ": use that one, stop it, or choose another directory",
    directory,
    ...(owner === undefined ? {} : { pid: owner.pid }),
    ...(owner?.url === undefined ? {} : { url: owner.url })
  })
