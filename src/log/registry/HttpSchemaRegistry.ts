/**
 * A schema registry that speaks Confluent's HTTP API: Redpanda's own, Confluent's, Apicurio's (under `/apis/ccompat/v7`). An id's
 * schema never changes, so it is asked for once; a registry that is away stops only records whose schema was never seen.
 */
import { Effect, Layer, Redacted } from "effect"
import type { AvroSchemaJson } from "../SchemaRegistry.ts"
import { avroType, incompatibility, RegistryError, SchemaRefused, SchemaRegistry } from "../SchemaRegistry.ts"

export interface HttpSchemaRegistryOptions {
  /** Without a slash at the end: "http://localhost:8081". */
  readonly url: string
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted | undefined
}

/** An answer that takes longer is none, ms. */
const timeoutMs = 5_000

/** Levels under which the newest schema reads what the one before it wrote. */
const backward = new Set(["BACKWARD", "BACKWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"])

/**
 * The registry at a URL. Nothing is asked until something is wanted.
 *
 * ```ts
 * const Registry = HttpSchemaRegistry.layer({ url: "http://localhost:8081" })
 * ```
 */
export const layer = (options: HttpSchemaRegistryOptions): Layer.Layer<SchemaRegistry> =>
  Layer.sync(SchemaRegistry, () => {
    const api = new Api(options)
    const schemas = new Map<number, AvroSchemaJson>()
    /** Ids by subject and schema text. */
    const registered = new Map<string, number>()
    return SchemaRegistry.of({
      register: (subject, schema) =>
        Effect.suspend(() => {
          const key = `${subject}\n${JSON.stringify(schema)}`
          const known = registered.get(key)
          if (known !== undefined) return Effect.succeed(known)
          return attempt(`register a schema as ${subject}`, () => register(api, subject, schema)).pipe(
            Effect.tap((id) => Effect.sync(() => registered.set(key, id)))
          )
        }),
      byId: (id) =>
        Effect.suspend(() => {
          const known = schemas.get(id)
          if (known !== undefined) return Effect.succeed(known)
          return attempt(`look up schema ${id}`, () => byId(api, id)).pipe(
            Effect.map((schema) => {
              if (schema !== undefined) schemas.set(id, schema)
              return schema
            }),
            Effect.catchTag("SchemaRefused", (error) => Effect.die(error))
          )
        })
    })
  })

interface Answer {
  readonly status: number
  readonly body: unknown
}

class Api {
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>

  constructor({ password, url, username }: HttpSchemaRegistryOptions) {
    this.#url = url.replace(/\/+$/, "")
    const secret = password === undefined ? "" : Redacted.value(password)
    this.#headers = {
      accept: "application/vnd.schemaregistry.v1+json, application/json",
      ...(username === undefined ? {} : {
        authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString("base64")}`
      })
    }
  }

  /** Throws a RegistryError when the registry does not answer or says that it cannot; other refusals are the caller's to read. */
  async ask(method: string, path: string, content?: object): Promise<Answer> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { ...this.#headers, ...(content === undefined ? {} : { "content-type": "application/json" }) },
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
      signal: AbortSignal.timeout(timeoutMs)
    })
    const text = await response.text()
    const { status } = response
    if (status === 401 || status === 403) {
      throw new RegistryError({ message: `${method} ${path}: not permitted (${status})`, retryable: false })
    }
    if (status >= 500 || status === 408 || status === 429) {
      throw new RegistryError({
        message: `${method} ${path}: answered ${status}: ${text.slice(0, 200)}`,
        retryable: true
      })
    }
    return { status, body: parsed(text) }
  }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const byId = async (api: Api, id: number): Promise<AvroSchemaJson | undefined> => {
  const answer = await api.ask("GET", `/schemas/ids/${id}`)
  if (answer.status === 404) {
    // A wrong path answers 404 too: then every record would be a dead letter.
    if (!isUnknownSchema(answer.body)) {
      throw new RegistryError({
        message: `no registry with Confluent's API answers there (404 for schema ${id}): check its URL`,
        retryable: true
      })
    }
    return undefined
  }
  expectOk(answer, `schema ${id}`)
  const { schema, schemaType = "AVRO" } = answer.body as { readonly schema: string; readonly schemaType?: string }
  // Known, but nothing that an event can be read with: the decoder says so of its records.
  return schemaType === "AVRO" ? parsed(schema) as AvroSchemaJson ?? schema : { type: schemaType }
}

const unknownSchemaCode = 40_403

const isUnknownSchema = (body: unknown): boolean =>
  (body as { readonly error_code?: unknown } | undefined)?.error_code === unknownSchemaCode

const register = async (api: Api, subject: string, schema: AvroSchemaJson): Promise<number> => {
  refuseInvalid(subject, schema)
  const home = `/subjects/${encodeURIComponent(subject)}`
  const content = { schema: JSON.stringify(schema) }
  const there = await api.ask("POST", home, content)
  if (there.status === 200) {
    await keepBackward(api, subject)
    return (there.body as { readonly id: number }).id
  }
  const path = `${home}/versions`
  const newest = await api.ask("GET", `${path}/latest`)
  if (newest.status === 200) {
    await keepBackward(api, subject)
    refuseIncompatible(subject, schema, newest.body as Newest)
  }
  const answer = await api.ask("POST", path, content)
  if (answer.status === 409 || answer.status === 422) {
    throw new SchemaRefused({ subject, message: `the registry refuses the schema: ${JSON.stringify(answer.body)}` })
  }
  expectOk(answer, subject)
  // Some registries know a subject's level only once it has a version.
  if (newest.status !== 200) await keepBackward(api, subject)
  return (answer.body as { readonly id: number }).id
}

interface Newest {
  readonly id: number
  readonly version: number
  readonly schema: string
}

/** The registry would refuse it as well, but some do not say why. */
const refuseIncompatible = (subject: string, schema: AvroSchemaJson, newest: Newest): void => {
  const written = parsed(newest.schema) as AvroSchemaJson
  if (JSON.stringify(written) === JSON.stringify(schema)) return
  const reason = incompatibility(schema, written)
  if (reason !== undefined) {
    throw new SchemaRefused({
      subject,
      message: `the schema cannot read what version ${newest.version} of ${subject} (id ${newest.id}) wrote: ${reason}`
    })
  }
}

/** Defaults differ between registries, so the subject gets a level of its own. */
const keepBackward = async (api: Api, subject: string): Promise<void> => {
  const path = `/config/${encodeURIComponent(subject)}`
  const level = async () => {
    const { body, status } = await api.ask("GET", path)
    const found = body as { readonly compatibilityLevel?: string; readonly compatibility?: string } | undefined
    return status === 200 ? found?.compatibilityLevel ?? found?.compatibility : undefined
  }
  if (backward.has(await level() ?? "")) return
  await api.ask("PUT", path, { compatibility: "BACKWARD" })
  const now = await level()
  if (!backward.has(now ?? "")) {
    throw new RegistryError({
      message: `the compatibility of ${subject} is ${now ?? "unknown"} and cannot be set to BACKWARD`,
      retryable: false
    })
  }
}

const refuseInvalid = (subject: string, schema: AvroSchemaJson): void => {
  try {
    avroType(schema)
  } catch (error) {
    throw new SchemaRefused({ subject, message: `this is no Avro schema: ${(error as Error).message}` })
  }
}

const expectOk = ({ body, status }: Answer, what: string): void => {
  if (status < 200 || status > 299 || body === undefined) {
    throw new RegistryError({
      message: `${what}: the registry answered ${status}: ${JSON.stringify(body) ?? "no JSON"}`,
      retryable: false
    })
  }
}

const attempt = <A>(doing: string, work: () => Promise<A>): Effect.Effect<A, RegistryError | SchemaRefused> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      cause instanceof RegistryError || cause instanceof SchemaRefused ? cause : new RegistryError({
        message: `${doing}: ${reasonOf(cause)}`,
        // fetch fails when nobody answers: that heals.
        retryable: true,
        cause
      })
  })

/** fetch hides why nobody answered behind "fetch failed". */
const reasonOf = (cause: unknown): string => {
  const { cause: inner, message } = cause as Error
  return inner instanceof Error && inner.message !== "" ? inner.message : message
}
