import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { vi } from "vitest"
import { telemetry } from "../../src/cli/Telemetry.ts"

const provided = (environment: Record<string, string>) =>
  telemetry.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment))))

/** What stands on standard error while the work runs. */
const errorLines = <A, E>(work: Effect.Effect<A, E>) =>
  Effect.promise(async () => {
    const lines: Array<string> = []
    const spies = (["error", "log"] as const).map((name) =>
      vi.spyOn(console, name).mockImplementation((line: unknown) => void (name === "error" && lines.push(String(line))))
    )
    try {
      await Effect.runPromise(work)
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
    return lines
  })

interface Received {
  readonly path: string | undefined
  readonly key: string | undefined
  readonly body: string
}

/** A collector of traces that answers with a status. */
const traceCollector = (status: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const received: Array<Received> = []
      const server = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (part) => body += part).on("end", () => {
          received.push({ path: request.url, key: request.headers["x-team"] as string | undefined, body })
          response.writeHead(status).end("{}")
        })
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return { received, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/otlp/` }
    }),
    ({ server }) => Effect.sync(() => server.close())
  )

const work = Effect.logWarning('a "line"').pipe(
  Effect.annotateLogs("partition", 3),
  Effect.withSpan("pipeline.flush", { attributes: { records: 7 } })
)

describe("telemetry", () => {
  it.live("writes a log line as one JSON object on standard error", () =>
    Effect.gen(function*() {
      const lines = yield* errorLines(Effect.provide(work, provided({ GUARDIAN_LOG_FORMAT: "json" })))
      assert.strictEqual(lines.length, 1)
      const line = JSON.parse(lines[0]!) as { message: unknown; level: string; annotations: unknown; timestamp: string }
      assert.deepStrictEqual([line.message, line.level, line.annotations], ['a "line"', "WARN", { partition: 3 }])
      assert.isFalse(Number.isNaN(Date.parse(line.timestamp)))
    }))

  it.live("sends spans, with the headers that belong to the endpoint, before it ends", () =>
    Effect.gen(function*() {
      const { received, url } = yield* traceCollector(200)
      yield* errorLines(
        Effect.provide(
          work,
          provided({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_HEADERS: "x-team=a%20secret" })
        )
      )
      assert.deepStrictEqual(received.map(({ key, path }) => [path, key]), [["/otlp/v1/traces", "a secret"]])
      const { resourceSpans: [sent] } = JSON.parse(received[0]!.body)
      const [span] = sent.scopeSpans[0].spans
      assert.strictEqual(span.name, "pipeline.flush")
      assert.deepInclude(span.attributes, { key: "records", value: { intValue: 7 } })
      assert.include(JSON.stringify(sent.resource), "clickstream-guardian")
    }).pipe(Effect.scoped))

  it.live("tells no secret when nobody takes the spans, and is not in the way", () =>
    Effect.gen(function*() {
      const refusing = yield* traceCollector(401)
      for (const url of [refusing.url, "http://127.0.0.1:1/"]) {
        const lines = yield* errorLines(
          Effect.provide(
            Effect.as(work, undefined),
            provided({
              GUARDIAN_LOG_FORMAT: "json",
              OTEL_EXPORTER_OTLP_ENDPOINT: url,
              OTEL_EXPORTER_OTLP_HEADERS: "x-team=a%20secret"
            })
          )
        )
        assert.notInclude(lines.join(), "a secret")
      }
    }).pipe(Effect.scoped))

  it.live("refuses what cannot be, by name", () =>
    Effect.gen(function*() {
      const says = (environment: Record<string, string>) =>
        Effect.map(Effect.flip(Effect.provide(work, provided(environment))), ({ message }) => message)
      assert.match(yield* says({ OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318" }), /OTLP_ENDPOINT must be a URL/)
      const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" }
      const fault = yield* says({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: "top-secret" })
      assert.match(fault, /OTLP_HEADERS must be name=value/)
      assert.notInclude(fault, "top-secret")
    }))
})
