/** `/livez`: the process answers. `/readyz`: it has what it needs; what is missing is said. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { ApiSources } from "./ApiSources.ts"

/** How long one check may take. */
const checkWithin = "2 seconds"

interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

const checked = <E extends { readonly message: string }, R>(name: string, effect: Effect.Effect<string, E, R>) =>
  effect.pipe(
    Effect.map((detail): Check => ({ name, ok: detail === "", detail })),
    Effect.timeoutOrElse({
      duration: checkWithin,
      orElse: () => Effect.succeed<Check>({ name, ok: false, detail: `no answer within ${checkWithin}` })
    }),
    Effect.catch((error) =>
      Effect.as(Effect.logDebug(`${name}: ${error.message}`), { name, ok: false, detail: "it does not answer" })
    )
  )

const checks = Effect.gen(function*() {
  const { logRanges, pipeline, reader } = yield* ApiSources
  const figures = pipeline?.()
  return yield* Effect.all([
    checked("warehouse", Effect.as(reader.query("SELECT 1"), "")),
    checked(
      "schema",
      Effect.map(
        reader.query(
          "SELECT count() AS tables FROM system.tables WHERE database = currentDatabase() AND name IN ('daily_metrics', 'audits')"
        ),
        ([row]) => Number(row?.["tables"]) === 2 ? "" : "tables are missing: guardian migrate makes them"
      )
    ),
    checked("log", Effect.as(logRanges, "")),
    ...(figures === undefined ? [] : [
      checked(
        "pipeline",
        Effect.succeed(
          figures.state === "running" || figures.state === "idle" ?
            "" :
            `${figures.state}${figures.waitingFor === "" ? "" : "; see the log of this process"}`
        )
      )
    ])
  ], { concurrency: "unbounded" })
})

const json = (body: unknown, status: number) =>
  HttpServerResponse.jsonUnsafe(body, { status, headers: { "cache-control": "no-store" } })

export const healthLayer = Layer.merge(
  HttpRouter.add("GET", "/livez", Effect.sync(() => json({ status: "alive" }, 200))),
  HttpRouter.add(
    "GET",
    "/readyz",
    Effect.map(checks, (found) => {
      const missing = found.filter(({ ok }) => !ok).map(({ name }) => name)
      return json(
        { status: missing.length === 0 ? "ready" : "not ready", missing, checks: found },
        missing.length === 0 ? 200 : 503
      )
    })
  )
)
