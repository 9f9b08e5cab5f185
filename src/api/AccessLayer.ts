/** How the keys of the contract are checked. */
import { Effect, Layer, Redacted } from "effect"
import { AdminKey, ReadKey } from "./contract/Access.ts"
import { Unauthorized } from "./contract/Problems.ts"
import { findKey, isLoopback } from "./Keys.ts"
import type { AccessOptions } from "./Keys.ts"

/**
 * Without keys of a kind, on loopback, everyone is let in; elsewhere nobody is. An admin key may read, too: a request has one
 * Authorization header.
 */
export const accessLayer = ({ adminKeys, host, readKeys }: AccessOptions): Layer.Layer<ReadKey | AdminKey> => {
  const open = isLoopback(host)
  const readers = [...readKeys, ...adminKeys]
  return Layer.merge(
    Layer.succeed(ReadKey, {
      readKey: (handler, { credential }) =>
        (open && readKeys.length === 0) || findKey(readers, Redacted.value(credential)) !== undefined ?
          handler :
          Effect.fail(new Unauthorized({ detail: "Send Authorization: Bearer KEY with a read key." }))
    }),
    Layer.succeed(AdminKey, {
      adminKey: (handler, { credential }) =>
        (open && adminKeys.length === 0) || findKey(adminKeys, Redacted.value(credential)) !== undefined ?
          handler :
          Effect.fail(new Unauthorized({ detail: "Send Authorization: Bearer KEY with an admin key." }))
    })
  )
}
