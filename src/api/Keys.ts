/** Keys of the API: only their hashes are configured, they have names, and comparing takes as long whether or not they fit. */
import { Effect, Schema } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"

export interface Key {
  readonly name: string
  /** SHA-256 of the key. */
  readonly hash: Buffer
}

export class KeysError extends Schema.TaggedError<KeysError>()("KeysError", { message: Schema.String }) {}

/** A name and the SHA-256 of its key in hex. */
export const keyPattern = /^([\w.-]{1,64})=([0-9a-fA-F]{64})$/

/** `name=sha256hex` with commas between. */
export const parseKeys = (variable: string, text: string): Effect.Effect<ReadonlyArray<Key>, KeysError> =>
  Effect.forEach(text.split(",").map((part) => part.trim()).filter((part) => part !== ""), (part) => {
    const match = keyPattern.exec(part)
    return match === null ?
      Effect.fail(
        new KeysError({
          message:
            `${variable} must be name=HASH,..., where HASH is the key's SHA-256 in hex: printf %s "$KEY" | sha256sum`
        })
      ) :
      Effect.succeed({ name: match[1]!, hash: Buffer.from(match[2]!, "hex") })
  })

/** The key that this is, if any. Looks at all of them always. */
export const findKey = (keys: ReadonlyArray<Key>, given: string): Key | undefined => {
  const hash = createHash("sha256").update(given).digest()
  let found: Key | undefined
  for (const key of keys) if (timingSafeEqual(key.hash, hash)) found = key
  return found
}

const loopback = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i

/** Whether only this machine can reach such an address. */
export const isLoopback = (host: string): boolean => loopback.test(host)

/** What is served to whom. */
export interface AccessOptions {
  readonly host: string
  readonly readKeys: ReadonlyArray<Key>
  readonly adminKeys: ReadonlyArray<Key>
}

/** An address that others can reach needs read keys. */
export const checkAccess = ({ host, readKeys }: AccessOptions): Effect.Effect<void, KeysError> =>
  isLoopback(host) || readKeys.length > 0 ? Effect.void : Effect.fail(
    new KeysError({
      message:
        `The API would listen on ${host}, which others can reach, without read keys. Set GUARDIAN_API_READ_KEYS, or ` +
        "listen on 127.0.0.1."
    })
  )
