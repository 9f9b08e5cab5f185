/**
 * What stands around every route: foreign pages are kept out, headers are set, requests are counted and logged, and whatever went
 * wrong leaves as a problem.
 */
import { ByteSize, Cause, Clock, Effect, Metric } from "effect"
import {
  HttpIncomingMessage,
  HttpRouter,
  HttpServerError,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import { HttpApiError } from "effect/http-api"
import { BadParameters, BodyTooLarge, ForeignRequest, NotFound, UnsupportedMediaType } from "./contract/Problems.ts"
import { isLoopback } from "./Keys.ts"
import { requests, requestSeconds } from "./ServerMetrics.ts"

/** The largest body: a verdict with its reason. */
export const bodyKibibytesMax = 64
/** When to come back after a 503, s. */
const retryAfterSeconds = "2"

/** Paths that are asked all the time and say nothing: they are not logged. */
const quiet: ReadonlySet<string> = new Set(["/livez", "/readyz", "/metrics"])

export const guardLayer = (host: string) =>
  HttpRouter.middleware(
    (handler) =>
      Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        const startedAt = yield* Clock.currentTimeMillis
        const given = yield* answered(
          request,
          host,
          Effect.provideService(handler, HttpIncomingMessage.MaxBodySize, ByteSize.kibibytes(bodyKibibytesMax))
        )
        // Said by the library, as text.
        const response = given.status === 415 ? yield* unsupported : given
        const tookMs = (yield* Clock.currentTimeMillis) - startedAt
        const path = request.url.split("?", 1)[0]!
        yield* note(request.method, path, response.status, tookMs)
        return HttpServerResponse.setHeaders(response, {
          ...(path.startsWith("/api/") && response.headers["cache-control"] === undefined &&
            { "cache-control": "no-store" }),
          ...(response.status === 503 && { "retry-after": retryAfterSeconds }),
          ...commonHeaders
        })
      }),
    { global: true }
  )

const unsupported = HttpServerRespondable.toResponse(
  new UnsupportedMediaType({ detail: "A body must come as application/json." })
)

const commonHeaders = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "x-frame-options": "DENY"
}

const answered = <E, R>(
  request: HttpServerRequest.HttpServerRequest,
  host: string,
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> => {
  const refusal = foreign(request, host)
  if (refusal !== undefined) return HttpServerRespondable.toResponse(new ForeignRequest({ detail: refusal }))
  return Effect.catchCause(handler, (cause) => {
    if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
    const error = Cause.squash(cause)
    if (HttpServerError.isHttpServerError(error)) {
      const { _tag } = error.reason
      if (_tag === "RouteNotFound") {
        return HttpServerRespondable.toResponse(new NotFound({ detail: "No route of this server has this path." }))
      }
      if (_tag === "RequestParseError") {
        return HttpServerRespondable.toResponse(
          error.reason.reason === "BodyTooLarge" ?
            new BodyTooLarge({ detail: `${bodyKibibytesMax} KiB is the most.` }) :
            new BadParameters({ detail: "The body cannot be read as JSON." })
        )
      }
    } else if (HttpServerRespondable.isRespondable(error)) return HttpServerRespondable.toResponse(error)
    return Effect.andThen(
      Effect.logError(`${request.method} ${request.url.split("?", 1)[0]!} failed`, cause),
      HttpServerRespondable.toResponse(new HttpApiError.InternalServerErrorProblem())
    )
  })
}

/**
 * A page anywhere may make a browser ask loopback. A name that is not this machine's is a rebound one; a write from another origin
 * is never meant.
 */
const foreign = (request: HttpServerRequest.HttpServerRequest, host: string): string | undefined => {
  const asked = request.headers["host"] ?? ""
  const name = asked.replace(/:\d+$/, "")
  if (isLoopback(host) && !isLoopback(name)) return "The Host header does not name this machine."
  const origin = request.headers["origin"]
  const writes = request.method !== "GET" && request.method !== "HEAD"
  if (writes && origin !== undefined && origin.replace(/^https?:\/\//, "") !== asked) {
    return "Only pages of this server may write."
  }
  return undefined
}

/** Of a path only its kind is counted: ids and dates would make a series each. */
const kindOf = (path: string): string =>
  /^\/api\/v1\/([a-z-]{1,32})/.exec(path)?.[0] ?? (quiet.has(path) || path === "/docs" ? path : "other")

const note = (method: string, path: string, status: number, tookMs: number) =>
  Effect.gen(function*() {
    const labels = { route: kindOf(path), method: methods.has(method) ? method : "other", status: String(status) }
    yield* Metric.update(Metric.withAttributes(requests, labels), 1)
    yield* Metric.update(Metric.withAttributes(requestSeconds, { route: labels.route }), tookMs / 1_000)
    if (quiet.has(path)) return
    yield* Effect.logDebug("request").pipe(Effect.annotateLogs({ method, path, status, ms: tookMs }))
  })

const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
