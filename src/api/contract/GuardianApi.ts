/** The whole contract: what `/openapi.json`, `/docs`, the handlers and the client are made from. */
import { HttpApi, HttpApiMiddleware, OpenApi } from "effect/http-api"
import { ReadKey } from "./Access.ts"
import { AnomaliesGroup } from "./AnomaliesGroup.ts"
import { withLimits } from "./DocumentedLimits.ts"
import { ItemsGroup } from "./ItemsGroup.ts"
import { MetricsGroup } from "./MetricsGroup.ts"
import { OperationsGroup } from "./OperationsGroup.ts"
import { SessionsGroup } from "./SessionsGroup.ts"
import { VerdictsGroup } from "./VerdictsGroup.ts"

export class GuardianApi extends HttpApi.make("guardian")
  .add(MetricsGroup, ItemsGroup, AnomaliesGroup, SessionsGroup, OperationsGroup, VerdictsGroup)
  .prefix("/api/v1")
  .middleware(ReadKey)
  .middleware(HttpApiMiddleware.ProblemDetails)
  .annotateMerge(OpenApi.annotations({
    title: "Clickstream Guardian",
    version: "1.0.0",
    transform: withLimits,
    description:
      "Figures, sessions, findings and operations. Errors are RFC 9457 problems. Every answer says how fresh its data is. Lists " +
      "are paged by cursors. Lists of rows also come as text/csv and application/vnd.apache.parquet, by Accept."
  }))
{}
