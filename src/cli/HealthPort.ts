/**
 * Where the roles that serve no API say whether they are well: /livez, /readyz and /metrics on a port of the loopback, for whoever watches
 * over them on the same machine or in the same container.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { metricsType } from "../api/ServerMetrics.ts"
import { processVariables, wholeNumber } from "./Environment.ts"
import type { SettingsError } from "./Environment.ts"
import { print } from "./Flags.ts"
import { InstallationError } from "./Installation.ts"

/** What is missing, in words; empty: it is ready. */
export type Readiness = Effect.Effect<string>

/** How long one look may take. */
const readyWithin = "2 seconds"

/**
 * Answers until the scope ends; not at all unless a port is set.
 * @param metrics what the process says of itself, in Prometheus' text format
 */
export const answerHealth = Effect.fnUntraced(function*(
  readiness: Readiness,
  metrics: () => string
): Effect.fn.Return<void, InstallationError | SettingsError, Scope.Scope> {
  const port = yield* wholeNumber(processVariables.healthPort)
  if (port === undefined) return
  const within = readiness.pipe(
    Effect.timeoutOrElse({
      duration: readyWithin,
      orElse: () => Effect.succeed(`no answer within ${readyWithin}`)
    })
  )
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    const say = (status: number, body: object) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" })
      response.end(JSON.stringify(body))
    }
    if (request.url === "/livez") return say(200, { status: "alive" })
    if (request.url === "/metrics") {
      response.writeHead(200, { "content-type": metricsType, "cache-control": "no-store" })
      return response.end(metrics())
    }
    if (request.url !== "/readyz") return say(404, { status: "not found" })
    void Effect.runPromise(within).then((missing) =>
      missing === "" ? say(200, { status: "ready" }) : say(503, { status: "not ready", missing })
    )
  })
  yield* Effect.acquireRelease(
    Effect.callback<void, InstallationError>((resume) => {
      server.once("error", ({ message }) =>
        resume(Effect.fail(
          new InstallationError({
            message: `${processVariables.healthPort.name}: cannot listen on 127.0.0.1:${port}: ${message}`
          })
        )))
      server.listen(port, "127.0.0.1", () => resume(Effect.void))
    }).pipe(
      Effect.andThen(
        Effect.suspend(() => print(`Health at http://127.0.0.1:${(server.address() as AddressInfo).port}`))
      )
    ),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
})
