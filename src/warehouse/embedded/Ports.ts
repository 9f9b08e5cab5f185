/**
 * Ports of the embedded warehouse. One that was found free is remembered, so that clients keep their address over a restart.
 */
import { Effect, Schema } from "effect"
import { readFile } from "node:fs/promises"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { WarehouseStartError } from "./EmbeddedWarehouseErrors.ts"
import { unusableDirectory } from "./Owner.ts"
import { writePrivateFile } from "./PrivateFile.ts"

const Port = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))
const Remembered = Schema.Struct({ http: Schema.optionalKey(Port), tcp: Schema.optionalKey(Port) })
export type RememberedPorts = typeof Remembered.Type

const portsPath = (directory: string): string => join(directory, "ports.json")
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Remembered))

/** Those of the last run; a file that is missing or broken only costs the memory. */
export const rememberedPorts = (directory: string): Effect.Effect<RememberedPorts> =>
  Effect.tryPromise(() => readFile(portsPath(directory), "utf8")).pipe(
    Effect.flatMap(decode),
    Effect.orElseSucceed((): RememberedPorts => ({}))
  )

export const rememberPorts = (
  directory: string,
  ports: RememberedPorts
): Effect.Effect<void, WarehouseStartError> =>
  Effect.tryPromise({
    try: () => writePrivateFile(portsPath(directory), JSON.stringify(ports)),
    catch: (cause) => unusableDirectory(directory, cause)
  })

/**
 * `preferred` if nothing listens there now or in a moment, else any free port. Another program may still be faster than we are. An
 * engine that its killed owner left behind answers no more some time before its port is free.
 */
export const freePort = (preferred: number | undefined): Effect.Effect<number> =>
  Effect.gen(function*() {
    const attempts = preferred === undefined ? 0 : preferredAttemptsMax
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0) yield* Effect.sleep(preferredPollMs)
      const port = yield* Effect.promise(() => listenOnce(preferred!))
      if (port !== undefined) return port
    }
    return (yield* Effect.promise(() => listenOnce(0))) ?? 0
  })

/** Together a second. */
const preferredAttemptsMax = 21
const preferredPollMs = 50

const listenOnce = (port: number): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(undefined))
    server.listen({ port, host: "127.0.0.1" }, () => {
      const found = (server.address() as AddressInfo).port
      server.close(() => resolve(found))
    })
  })
