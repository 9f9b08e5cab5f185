/**
 * What a registry once said, kept in a folder for the times when it does not answer: ids are given for ever, so a process that is
 * started meanwhile need not wait for it. While the registry answers, only its word counts.
 */
import { Effect, Layer } from "effect"
import { createHash, randomUUID } from "node:crypto"
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { AvroSchemaJson } from "../SchemaRegistry.ts"
import { RegistryError, SchemaRegistry } from "../SchemaRegistry.ts"

export interface RememberedSchemasOptions {
  /** One for each registry; made when there is something to keep. */
  readonly directory: string
  /** Told when the registry does not answer and what it said before is taken. */
  readonly tell: (trouble: string) => Effect.Effect<void>
}

/** A registry that has not answered by then is not waited for where it is known what it would say. */
const answersWithin = "1500 millis"

/** Over the registry below it. */
export const layer = (options: RememberedSchemasOptions): Layer.Layer<SchemaRegistry, never, SchemaRegistry> =>
  Layer.effect(SchemaRegistry, Effect.map(SchemaRegistry, (registry) => remembering(registry, options)))

/** The same registry, which remembers. A folder that cannot be read or written remembers nothing, and hinders nothing. */
export const remembering = (
  registry: SchemaRegistry["Service"],
  { directory, tell }: RememberedSchemasOptions
): SchemaRegistry["Service"] => {
  const path = (name: string): string => join(directory, `${name}.json`)

  const keep = (name: string, value: unknown) =>
    Effect.promise(async () => {
      const made = path(randomUUID())
      try {
        await mkdir(directory, { recursive: true })
        await writeFile(made, JSON.stringify(value))
        await rename(made, path(name))
      } catch {
        await rm(made, { force: true }).catch(() => undefined)
      }
    })

  const kept = <A>(name: string): Effect.Effect<A | undefined> =>
    Effect.promise(async () => {
      try {
        return JSON.parse(await readFile(path(name), "utf8")) as A
      } catch {
        return undefined
      }
    })

  /** Asks; what is known is taken when there is no answer. */
  const asked = <A, E>(
    name: string,
    ask: Effect.Effect<A, E | RegistryError>,
    isRight: (value: unknown) => boolean
  ): Effect.Effect<A, E | RegistryError> =>
    Effect.gen(function*() {
      const known = yield* kept<A>(name)
      if (known === undefined || !isRight(known)) {
        return yield* Effect.tap(ask, (answer) => answer === undefined ? Effect.void : keep(name, answer))
      }
      const answer = yield* ask.pipe(
        Effect.timeoutOrElse({
          duration: answersWithin,
          orElse: () =>
            Effect.fail(new RegistryError({ message: `no answer within ${answersWithin}`, retryable: true }))
        }),
        Effect.catch((error) =>
          error instanceof RegistryError && error.retryable ?
            Effect.as(
              tell(`the schema registry does not answer; going by what it said before (${error.message})`),
              known
            ) :
            Effect.fail(error)
        )
      )
      if (answer !== undefined && JSON.stringify(answer) !== JSON.stringify(known)) yield* keep(name, answer)
      return answer
    })

  return {
    register: (subject, schema) =>
      asked(
        `registered-${createHash("sha256").update(`${subject}\n${JSON.stringify(schema)}`).digest("hex")}`,
        registry.register(subject, schema),
        Number.isInteger
      ),
    byId: (id) =>
      asked<AvroSchemaJson | undefined, RegistryError>(
        `schema-${id}`,
        registry.byId(id),
        (value) => typeof value === "string" || (typeof value === "object" && value !== null)
      )
  }
}

/** The folder of what the registry at a URL said, beside those of others. */
export const folderOf = (directory: string, url: string): string =>
  join(directory, `remembered-${createHash("sha256").update(url).digest("hex").slice(0, 16)}`)
