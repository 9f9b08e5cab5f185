/**
 * What was imported into a data directory, so that the same content is not appended twice and an import that was killed can go
 * on: records are appended in an order that is a function of the files, so what is there already is skipped.
 */
import { Effect, Schema } from "effect"
import { readFile, rename, writeFile } from "node:fs/promises"
import { InstallationError, paths } from "./Installation.ts"

const ImportEntry = Schema.Struct({
  /** Hex SHA-256 of each file's content, without compression. */
  fingerprints: Schema.Array(Schema.String),
  files: Schema.Array(Schema.String),
  logId: Schema.String,
  /** How the files were read: another way makes other records. */
  options: Schema.String,
  /** Ends of the partitions before the first record was appended. */
  startedAt: Schema.Array(Schema.Number),
  /** Ends of the partitions after the last one; absent while it is under way. */
  endedAt: Schema.optionalKey(Schema.Array(Schema.Number)),
  done: Schema.Boolean
})
export type ImportEntry = typeof ImportEntry.Type

export const readHistory = (dataDirectory: string): Effect.Effect<ReadonlyArray<ImportEntry>, InstallationError> =>
  Effect.tryPromise(() => readFile(paths(dataDirectory).imports, "utf8").catch(orEmpty)).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(ImportEntry)))),
    Effect.mapError((cause) =>
      new InstallationError({ message: `${paths(dataDirectory).imports} cannot be read: ${String(cause)}` })
    )
  )

/** Writes the entry in place of the one with the same fingerprints, if there is one. */
export const recordImport = Effect.fnUntraced(
  function*(dataDirectory: string, entry: ImportEntry): Effect.fn.Return<void, InstallationError> {
    const { imports } = paths(dataDirectory)
    const others = (yield* readHistory(dataDirectory)).filter((other) => !sameContent(other, entry))
    yield* Effect.tryPromise({
      try: async () => {
        await writeFile(`${imports}.new`, JSON.stringify([...others, entry], undefined, 2), { flush: true })
        await rename(`${imports}.new`, imports)
      },
      catch: (cause) => new InstallationError({ message: `cannot write ${imports}: ${String(cause)}` })
    })
  }
)

export const sameContent = (a: ImportEntry, b: Pick<ImportEntry, "fingerprints" | "logId">): boolean =>
  a.logId === b.logId && a.fingerprints.join() === b.fingerprints.join()

const orEmpty = (error: NodeJS.ErrnoException): string => {
  if (error.code === "ENOENT") return "[]"
  throw error
}
