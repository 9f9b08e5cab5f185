/**
 * Names and passwords of the embedded warehouse's users. Made once per directory, kept in a file that only its owner can read.
 */
import { Effect, Redacted, Schema } from "effect"
import { randomBytes } from "node:crypto"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import type { WarehouseAddress } from "../Warehouse.ts"
import { WarehouseStartError } from "./EmbeddedWarehouseErrors.ts"
import { writePrivateFile } from "./PrivateFile.ts"

/** `writer`: pipeline and migrations. `reader`: API. `analyst`: people, with limits per query. */
export type WarehouseRole = "writer" | "reader" | "analyst"

export const userNames: Readonly<Record<WarehouseRole, string>> = {
  writer: "guardian_writer",
  reader: "guardian_reader",
  analyst: "analyst"
}

export const databaseName = "guardian"

export type Credentials = Readonly<Record<WarehouseRole, Redacted.Redacted>>

export const addressOf = (url: string, credentials: Credentials) => (role: WarehouseRole): WarehouseAddress => ({
  url,
  database: databaseName,
  username: userNames[role],
  password: credentials[role]
})

export const credentialsPath = (directory: string): string => join(directory, "credentials.json")

/** The credentials in this file. */
export const readCredentials = (path: string): Effect.Effect<Credentials, WarehouseStartError> =>
  Effect.tryPromise({
    try: async () => redact(decode(await readFile(path, "utf8"))),
    catch: (cause) => unusable(path, cause)
  })

/** The credentials of this directory, made if there are none. Call it as the directory's owner only. */
export const loadCredentials = (directory: string): Effect.Effect<Credentials, WarehouseStartError> =>
  Effect.tryPromise({
    try: async () => {
      const path = credentialsPath(directory)
      const stored = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === "ENOENT") return undefined
        throw cause
      })
      if (stored !== undefined) return redact(decode(stored))
      const made = { writer: newPassword(), reader: newPassword(), analyst: newPassword() }
      await writePrivateFile(path, JSON.stringify(made, undefined, 2))
      return redact(made)
    },
    catch: (cause) => unusable(credentialsPath(directory), cause)
  })

const Password = Schema.String.check(Schema.isMinLength(16))
const decode = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Struct({ writer: Password, reader: Password, analyst: Password }))
)

const redact = (stored: Readonly<Record<WarehouseRole, string>>): Credentials => ({
  writer: Redacted.make(stored.writer),
  reader: Redacted.make(stored.reader),
  analyst: Redacted.make(stored.analyst)
})

const newPassword = (): string => randomBytes(24).toString("base64url")

/** Only the system's own errors are kept as cause: a decoding error could quote the file. */
const unusable = (path: string, cause: unknown) => {
  const code = (cause as NodeJS.ErrnoException).code
  const why = code === undefined ? "not a valid credentials file" : code
  return new WarehouseStartError({
    reason: "credentials",
    message:
      `cannot use the warehouse's credentials in ${path}: ${why}. Mend its permissions, or delete it for new passwords.`
  })
}
