/**
 * Write keys: who may send. Only hashes are kept; keys are 32 random bytes, so a fast hash is as good as a slow one. A key is compared
 * with all of them, each in constant time, so that timing tells nothing about any.
 */
import { Schema } from "effect"
import { hash, randomBytes, timingSafeEqual } from "node:crypto"

export const WriteKey = Schema.Struct({
  name: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)),
  /** Hex SHA-256 of the key. */
  hash: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)),
  created_at: Schema.String,
  revoked_at: Schema.optionalKey(Schema.String),
  /** Origins whose pages may use it; absent: any that the collector takes. */
  origins: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Events per second, on average; absent: the collector's default. */
  events_per_second: Schema.optionalKey(Schema.Number.check(Schema.isGreaterThan(0)))
})
export type WriteKey = typeof WriteKey.Type

/** The keys file: `write-keys.json`. */
export const WriteKeysFile = Schema.fromJsonString(Schema.Struct({ keys: Schema.Array(WriteKey) }))

/** A new key and how it is kept. The key itself is shown once. */
export const makeKey = (fields: Omit<WriteKey, "hash">): { readonly key: string; readonly kept: WriteKey } => {
  const key = `gwk_${randomBytes(32).toString("base64url")}`
  return { key, kept: { ...fields, hash: hash("sha256", key) } }
}

/** The kept key that a presented one is, unless it was revoked. */
export const findKey = (keys: ReadonlyArray<WriteKey>, presented: string): WriteKey | undefined => {
  const digest = Buffer.from(hash("sha256", presented), "hex")
  let found: WriteKey | undefined
  for (const kept of keys) {
    const equal = timingSafeEqual(digest, Buffer.from(kept.hash, "hex"))
    if (equal && kept.revoked_at === undefined) found = kept
  }
  return found
}

/** The key that a request presents outside its body: bearer, basic (user name, as Segment's SDKs do), own header, or query. */
export const presentedKey = (
  headers: Readonly<Record<string, string | undefined>>,
  query: URLSearchParams
): string | undefined => {
  const authorization = headers["authorization"] ?? ""
  const bearer = /^Bearer +(\S+)$/i.exec(authorization)
  if (bearer !== null) return bearer[1]
  const basic = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization)
  if (basic !== null) return Buffer.from(basic[1]!, "base64").toString("utf8").split(":")[0]
  return headers["x-write-key"] ?? query.get("write_key") ?? query.get("writeKey") ?? undefined
}
