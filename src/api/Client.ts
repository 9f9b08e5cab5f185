/**
 * A typed client of the API, derived from the contract: `client.metrics.daily({ query: { from: "2026-03-01" } })`. Problems come
 * back as the errors that the contract names.
 */
import { Effect } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { GuardianApi } from "./contract/GuardianApi.ts"

export interface ClientOptions {
  /** e.g. http://127.0.0.1:8080 */
  readonly url: string
  /** A read or admin key, where the server wants one. */
  readonly key?: string | undefined
}

/** Needs an HTTP client, e.g. `FetchHttpClient.layer` of effect/http. */
export const makeClient = ({ key, url }: ClientOptions) =>
  HttpApiClient.make(GuardianApi, {
    baseUrl: url,
    transformClient: HttpClient.mapRequest((request) =>
      key === undefined ? request : HttpClientRequest.bearerToken(request, key)
    )
  }).pipe(Effect.withSpan("guardian.client"))
