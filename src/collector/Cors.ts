/**
 * What browsers ask: may this page send? Nothing here relies on cookies, so answering with the page's own origin and credentials
 * allowed (which some SDKs insist on) gives away nothing.
 */
import type { WriteKey } from "./WriteKeys.ts"

/** False: pages of this origin may not send. No origin: no page. */
export const isAllowed = (origin: string | undefined, allowed: ReadonlyArray<string>): boolean =>
  origin === undefined || allowed.length === 0 || allowed.includes(origin)

/** Of a key: its own list narrows the collector's. */
export const keyAllows = (key: WriteKey, origin: string | undefined): boolean => isAllowed(origin, key.origins ?? [])

/** On every answer to a page. */
export const corsHeaders = (origin: string): Record<string, string> => ({
  "access-control-allow-origin": origin,
  "access-control-allow-credentials": "true",
  "access-control-expose-headers": "retry-after",
  "vary": "origin"
})

/** Seconds that a browser may remember the answer to its question. */
const preflightSeconds = 86_400

/** The answer to the question before a request. */
export const preflightHeaders = (origin: string, asked: string | undefined): Record<string, string> => ({
  ...corsHeaders(origin),
  "access-control-allow-methods": "GET, POST",
  "access-control-allow-headers": asked !== undefined && headerNames.test(asked) ?
    asked :
    "content-type, authorization",
  "access-control-max-age": String(preflightSeconds)
})

const headerNames = /^[\w!#$%&'*+.^`|~-]+( *, *[\w!#$%&'*+.^`|~-]+)*$/
