/**
 * The schema registry in a directory: one JSON file, replaced as a whole, so that a reader sees the old or the new one. Who
 * changes it holds the lock of an (empty) SQLite file beside it: the system frees that lock when its holder dies.
 */
import { Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { AvroSchemaJson } from "./SchemaRegistry.ts"
import { avroType, incompatibility, RegistryError, SchemaRefused, SchemaRegistry } from "./SchemaRegistry.ts"

/** How long a change waits for another process's change, ms. */
const lockTimeoutMs = 5_000

const formatVersion = 1
const fileName = "schemas.json"
const lockName = "schemas.lock"

interface Content {
  readonly format: number
  /** Id n is at place n - 1. */
  readonly schemas: ReadonlyArray<AvroSchemaJson>
  /** Ids by subject, oldest version first. */
  readonly subjects: Readonly<Record<string, ReadonlyArray<number>>>
}

/**
 * The registry in a directory, which is made when it does not exist.
 *
 * ```ts
 * const Registry = FileSchemaRegistry.layer({ directory: "data/schemas" })
 * ```
 */
export const layer = (options: { readonly directory: string }): Layer.Layer<SchemaRegistry, RegistryError> =>
  Layer.effect(
    SchemaRegistry,
    attempt("open the schema registry", () => {
      const { directory } = options
      mkdirSync(directory, { recursive: true })
      let content = load(directory)
      return SchemaRegistry.of({
        register: (subject, schema) =>
          Effect.suspend(() => {
            const refused = invalid(subject, schema)
            if (refused !== undefined) return Effect.fail(refused)
            return Effect.flatMap(
              attempt("register a schema", () =>
                locked(directory, () => {
                  content = load(directory)
                  const next = add(content, subject, schema)
                  if (next.content !== undefined) {
                    store(directory, next.content)
                    content = next.content
                  }
                  return next
                })),
              ({ id, refused }) => refused === undefined ? Effect.succeed(id) : Effect.fail(refused)
            )
          }),
        byId: (id) =>
          attempt("look up a schema", () => {
            // Ids never change: only one that is missing is worth a look into the file.
            if (content.schemas[id - 1] === undefined) content = load(directory)
            return content.schemas[id - 1]
          })
      })
    })
  )

interface Added {
  readonly id: number
  /** Absent when nothing changed. */
  readonly content?: Content
  readonly refused?: SchemaRefused
}

const add = (content: Content, subject: string, schema: AvroSchemaJson): Added => {
  const text = JSON.stringify(schema)
  const versions = Object.hasOwn(content.subjects, subject) ? content.subjects[subject]! : []
  const known = content.schemas.findIndex((other) => JSON.stringify(other) === text) + 1
  if (known > 0 && versions.includes(known)) return { id: known }
  const newest = versions.at(-1)
  if (newest !== undefined) {
    const reason = incompatibility(schema, content.schemas[newest - 1]!)
    if (reason !== undefined) {
      const message =
        `the schema cannot read what version ${versions.length} of ${subject} (id ${newest}) wrote: ${reason}`
      return { id: 0, refused: new SchemaRefused({ subject, message }) }
    }
  }
  const schemas = known > 0 ? content.schemas : [...content.schemas, schema]
  const id = known > 0 ? known : schemas.length
  return { id, content: { ...content, schemas, subjects: { ...content.subjects, [subject]: [...versions, id] } } }
}

const invalid = (subject: string, schema: AvroSchemaJson): SchemaRefused | undefined => {
  try {
    avroType(schema)
    return undefined
  } catch (error) {
    return new SchemaRefused({ subject, message: `this is no Avro schema: ${(error as Error).message}` })
  }
}

const locked = <A>(directory: string, body: () => A): A => {
  const lock = new DatabaseSync(join(directory, lockName), { timeout: lockTimeoutMs })
  try {
    lock.exec("BEGIN EXCLUSIVE")
    return body()
  } finally {
    lock.close()
  }
}

const load = (directory: string): Content => {
  const path = join(directory, fileName)
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { format: formatVersion, schemas: [], subjects: {} }
    throw error
  }
  const content = JSON.parse(text) as Partial<Content> | null
  if (content?.format !== formatVersion || !Array.isArray(content.schemas) || typeof content.subjects !== "object") {
    throw new SyntaxError(`${path} is no schema registry of format ${formatVersion}`)
  }
  return content as Content
}

/** All or nothing, also at a power loss: written beside, synced, renamed, and the name synced. */
const store = (directory: string, content: Content): void => {
  const temporary = join(directory, `${fileName}.${randomUUID()}`)
  try {
    const file = openSync(temporary, "wx")
    try {
      writeSync(file, JSON.stringify(content, undefined, 2))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, join(directory, fileName))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  const entry = openSync(directory, "r")
  try {
    fsyncSync(entry)
  } finally {
    closeSync(entry)
  }
}

/** Healed by waiting: no space, no descriptors, another process's lock. */
const passing = new Set(["ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EIO", "ERR_SQLITE_ERROR"])

const attempt = <A>(doing: string, body: () => A): Effect.Effect<A, RegistryError> =>
  Effect.try({
    try: body,
    catch: (cause) => {
      const { code, message } = cause as NodeJS.ErrnoException
      return new RegistryError({ message: `${doing}: ${message}`, retryable: passing.has(code ?? ""), cause })
    }
  })
