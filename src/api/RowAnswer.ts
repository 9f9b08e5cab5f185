/** Rows as JSON, CSV or Parquet, by `Accept`; those of a final day with an ETag. */
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { csv, parquet } from "./contract/RowFormats.ts"
import { freshness } from "./FreshData.ts"
import { ask, askBytes } from "./Question.ts"
import type { Parameters } from "./Question.ts"

export interface RowQuestion<Row> {
  readonly sql: string
  readonly parameters: Parameters
  /** The cursor of the page after these rows; undefined: the list is never paged. */
  readonly next?: (rows: ReadonlyArray<Row>) => string | null
  /** What the figures of a final day were computed from: changes when they do. */
  readonly finalAs?: string | undefined
}

/** In CSV and Parquet the next cursor and the freshness travel in headers. */
export const answerRows = Effect.fnUntraced(function*<Row>(question: RowQuestion<Row>) {
  const request = yield* HttpServerRequest.HttpServerRequest
  const format = formatOf(request.headers["accept"] ?? "")
  const tag = question.finalAs === undefined ? undefined : etag(question.finalAs, request.url, format)
  if (tag !== undefined && isKnown(request, tag)) return notModified(tag)
  const fresh = yield* freshness
  if (format === "json") {
    const data = yield* ask<Row>(question.sql, question.parameters)
    const body = { data, next_cursor: question.next?.(data) ?? null, freshness: fresh }
    return withTag(HttpServerResponse.jsonUnsafe(body), tag)
  }
  // The cursor needs the rows as well; the second statement finds them in ClickHouse's caches.
  const next = question.next === undefined ? null : question.next(yield* ask<Row>(question.sql, question.parameters))
  const bytes = yield* askBytes(question.sql, format === "csv" ? "CSVWithNames" : "Parquet", question.parameters)
  const response = HttpServerResponse.uint8Array(bytes, {
    contentType: format === "csv" ? `${csv}; charset=utf-8` : parquet
  })
    .pipe(
      HttpServerResponse.setHeader("x-guardian-watermark", fresh.watermark ?? ""),
      next === null ? (same) => same : HttpServerResponse.setHeader("x-guardian-next-cursor", next)
    )
  return withTag(response, tag)
})

/** One thing of a final day. */
export const answerOne = Effect.fnUntraced(function*<A>(data: A, finalAs: string | undefined) {
  const request = yield* HttpServerRequest.HttpServerRequest
  const tag = finalAs === undefined ? undefined : etag(finalAs, request.url, "json")
  if (tag !== undefined && isKnown(request, tag)) return notModified(tag)
  return withTag(HttpServerResponse.jsonUnsafe({ data, freshness: yield* freshness }), tag)
})

type Format = "json" | "csv" | "parquet"

/** The format with the greatest q; JSON where nothing else is asked for by name. */
const formatOf = (accept: string): Format => {
  let best: readonly [Format, number] = ["json", 0]
  for (const part of accept.split(",")) {
    const [type, ...parameters] = part.split(";").map((text) => text.trim().toLowerCase())
    const format = type === csv ? "csv" : type === parquet ? "parquet" : "json"
    const q = Number(parameters.find((text) => text.startsWith("q="))?.slice(2) ?? 1)
    if (q > best[1]) best = [format, q]
  }
  return best[0]
}

/** Weak: the freshness beside the same figures differs from answer to answer. */
const etag = (finalAs: string, url: string, format: Format): string =>
  `W/"${createHash("sha256").update(JSON.stringify([finalAs, url, format])).digest("base64url").slice(0, 22)}"`

const isKnown = (request: HttpServerRequest.HttpServerRequest, tag: string): boolean =>
  (request.headers["if-none-match"] ?? "").split(",").some((each) => each.trim() === tag || each.trim() === "*")

/** Final is not for ever: a person's verdict may change a final day, so it is asked again after a minute. */
const finalCaching = "private, max-age=60"

const notModified = (tag: string) =>
  HttpServerResponse.empty({
    status: 304,
    headers: { etag: tag, "cache-control": finalCaching, vary: "accept, authorization" }
  })

const withTag = (response: HttpServerResponse.HttpServerResponse, tag: string | undefined) =>
  HttpServerResponse.setHeaders(response, {
    ...(tag === undefined ? { "cache-control": "no-store" } : { etag: tag, "cache-control": finalCaching }),
    vary: "accept, authorization"
  })
