/** Everything that is no route of the contract: the dashboard's files, and problems for the rest. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { OpenApi } from "effect/http-api"
import { createHash } from "node:crypto"
import { readFile, realpath, stat } from "node:fs/promises"
import { extname, join, sep } from "node:path"
import { GuardianApi } from "./contract/GuardianApi.ts"
import { MethodNotAllowed, NotFound } from "./contract/Problems.ts"

/** Files larger than this are none of a page's, bytes. */
const fileBytesMax = 16 << 20

/** Only what this server sends is run or shown; inline scripts are not, nor is anything sent elsewhere. */
export const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
  ".map": "application/json"
}

/** @param directory of the built page; it need not exist (yet). */
export const pagesLayer = (directory: string) => {
  const known = patterns()
  const answer = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const path = request.url.split("?", 1)[0]!
    const allowed = known.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods)
    if (allowed.length > 0 && !allowed.includes(request.method)) return yield* methodNotAllowed(allowed)
    if (path === "/api" || path.startsWith("/api/")) return yield* notFound
    if (request.method !== "GET" && request.method !== "HEAD") return yield* methodNotAllowed(["GET", "HEAD"])
    const file = yield* Effect.promise(() => fileOf(directory, path))
    if (file === undefined) return path === "/" ? noPageYet : yield* notFound
    return served(request, path, file)
  })
  return Layer.merge(HttpRouter.add("*", "/", answer), HttpRouter.add("*", "/*", answer))
}

const notFound = HttpServerRespondable.toResponse(
  new NotFound({ detail: "This path is none of this server's. /docs lists them." })
)

const methodNotAllowed = (methods: ReadonlyArray<string>) =>
  Effect.map(
    HttpServerRespondable.toResponse(new MethodNotAllowed({ allowed: methods })),
    HttpServerResponse.setHeader("allow", methods.join(", "))
  )

/** The contract's paths with their methods, to tell 405 from 404. */
const patterns = () => [
  ...Object.entries(OpenApi.fromApi(GuardianApi).paths).map(([path, item]) => ({
    pattern: new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`),
    methods: Object.keys(item).map((method) => method.toUpperCase())
  })),
  { pattern: /^\/(livez|readyz|metrics|openapi\.json|docs)$/, methods: ["GET"] }
]

interface PageFile {
  readonly path: string
  readonly bytes: Buffer
}

/**
 * The file that a path names, inside the directory and nowhere else: links are followed first, then compared. Hidden files, encoded
 * separators and NUL are refused.
 */
const fileOf = async (directory: string, path: string): Promise<PageFile | undefined> => {
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch {
    return undefined
  }
  const parts = decoded.split("/").slice(1)
  if (/[\0\\]/.test(decoded) || /%2f/i.test(path) || parts.some((part) => part.startsWith("."))) return undefined
  try {
    const root = await realpath(directory)
    const file = await realpath(join(root, ...(decoded === "/" ? ["index.html"] : parts)))
    const { size, ...kind } = await stat(file).then((found) => ({ size: found.size, isFile: found.isFile() }))
    if (!file.startsWith(root + sep) || !kind.isFile || size > fileBytesMax || types[extname(file)] === undefined) {
      return undefined
    }
    return { path: file, bytes: await readFile(file) }
  } catch {
    return undefined
  }
}

const served = (request: HttpServerRequest.HttpServerRequest, path: string, { bytes, path: file }: PageFile) => {
  const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`
  const headers = {
    etag,
    "content-security-policy": pagePolicy,
    // Built files carry a hash in their names; the page itself is looked up each time.
    "cache-control": /^\/assets\/.+-[\w-]{8,}\.\w+$/.test(path) ? "public, max-age=31536000, immutable" : "no-cache"
  }
  return request.headers["if-none-match"] === etag ?
    HttpServerResponse.empty({ status: 304, headers }) :
    HttpServerResponse.uint8Array(bytes, { contentType: types[extname(file)]!, headers })
}

const noPageYet = HttpServerResponse.text(
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Clickstream Guardian</title>
<h1>Clickstream Guardian</h1>
<p>The API runs; the dashboard is not built here: <code>npm run build</code> makes it. Where to go from here:</p>
<ul>
<li><a href="/docs">/docs</a>: every question that can be asked, and <a href="/openapi.json">/openapi.json</a> for programs</li>
<li><a href="/api/v1/metrics/daily">/api/v1/metrics/daily</a>: figures by day</li>
<li><a href="/api/v1/sessions?limit=10">/api/v1/sessions?limit=10</a>: the newest sessions</li>
<li><a href="/readyz">/readyz</a> and <a href="/metrics">/metrics</a>: health</li>
</ul></html>
`,
  {
    contentType: "text/html; charset=utf-8",
    headers: { "content-security-policy": pagePolicy, "cache-control": "no-store" }
  }
)
