/** All routes of the API's listener as one layer; whoever serves it brings the HTTP server and the sources. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiMiddleware, HttpApiScalar } from "effect/http-api"
import { accessLayer } from "./AccessLayer.ts"
import { GuardianApi } from "./contract/GuardianApi.ts"
import { FreshData } from "./FreshData.ts"
import { guardLayer } from "./Guard.ts"
import { AnomaliesHandlers } from "./handlers/AnomaliesHandlers.ts"
import { ItemsHandlers } from "./handlers/ItemsHandlers.ts"
import { MetricsHandlers } from "./handlers/MetricsHandlers.ts"
import { OperationsHandlers } from "./handlers/OperationsHandlers.ts"
import { SessionsHandlers } from "./handlers/SessionsHandlers.ts"
import { VerdictsHandlers } from "./handlers/VerdictsHandlers.ts"
import { healthLayer } from "./Health.ts"
import type { AccessOptions } from "./Keys.ts"
import { Live } from "./Live.ts"
import { pagesLayer } from "./Pages.ts"
import { metricsLayer } from "./ServerMetrics.ts"
import { visibleLatencyLayer } from "./VisibleLatency.ts"

export interface ApiOptions extends AccessOptions {
  /** Where the built dashboard lies. */
  readonly pages: string
}

export const apiRoutes = (options: ApiOptions) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(GuardianApi, { openapiPath: "/openapi.json" }).pipe(
      Layer.provide([
        MetricsHandlers,
        ItemsHandlers,
        AnomaliesHandlers,
        SessionsHandlers,
        OperationsHandlers,
        VerdictsHandlers
      ]),
      Layer.provide(HttpApiMiddleware.layerProblemDetails({ includeDetails: true })),
      Layer.provide(accessLayer(options))
    ),
    docsLayer,
    healthLayer,
    metricsLayer,
    pagesLayer(options.pages),
    visibleLatencyLayer
  ).pipe(Layer.provide(guardLayer(options.host)))

/** An id of 128 characters takes up to 1,536 in a path; the router's own limit is 100. */
export const routerConfig = { maxParamLength: 2_048 }

/** What the routes share while they are served. */
export const apiServices = Live.layer.pipe(Layer.provideMerge(FreshData.layer))

/** Scalar's page with its script inline, so that it works without a network; it may ask this server only. */
const docsPolicy =
  "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; " +
  "font-src data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const docsLayer = HttpApiScalar.layer(GuardianApi, {
  path: "/docs",
  scalar: { withDefaultFonts: false }
}).pipe(
  Layer.provide(
    HttpRouter.middleware((handler) =>
      Effect.map(handler, HttpServerResponse.setHeader("content-security-policy", docsPolicy))
    ).layer
  )
)
