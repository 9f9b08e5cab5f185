/** Ports that were asked for: free, or ours already. */
import { Effect, Option } from "effect"
import { createServer } from "node:net"
import type { Variable } from "../Environment.ts"
import { processVariables, wholeNumber } from "../Environment.ts"
import type { Check } from "./Check.ts"
import { checksOf } from "./Check.ts"

const { fail, ok } = checksOf("ports")

/** Call it while we do not run the warehouse ourselves; `used` are the ports of what other processes run for this data directory. */
export const portChecks = (used: ReadonlyArray<number | undefined>): Effect.Effect<ReadonlyArray<Check>> =>
  Effect.forEach(
    [processVariables.httpPort, processVariables.tcpPort, processVariables.collectorPort],
    (variable) => check(variable, used)
  )

const check = Effect.fnUntraced(function*(
  variable: Variable,
  used: ReadonlyArray<number | undefined>
): Effect.fn.Return<Check> {
  const asked = Option.getOrUndefined(yield* Effect.option(wholeNumber(variable)))
  if (asked === undefined || asked === 0) return ok(variable.name, `none asked for: ${variable.fallback}`)
  if (used.includes(asked)) return ok(variable.name, `${asked}: this data directory's own process listens there`)
  return (yield* Effect.promise(() => isFree(asked))) ?
    ok(variable.name, `${asked} is free`) :
    fail(variable.name, `another program listens on port ${asked}: stop it or ask for another port`)
})

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen({ port, host: "127.0.0.1" }, () => server.close(() => resolve(true)))
  })
