/**
 * What this process tells machines that watch it: log lines as JSON where they are wanted, and traces over OTLP/HTTP when an endpoint
 * is set. A span is a batch, a flush, an insert or a request to the API; never a record.
 */
import { Config, Effect, Layer, Logger } from "effect"
import { SettingsError, telemetryVariables } from "./Environment.ts"
import type { Variable } from "./Environment.ts"
import { version } from "./Version.ts"

/** Spans that wait when a process ends are sent in this time or not at all: an orderly end has 4.5 s for everything. */
const shutdownTimeout = "1 second"

export const telemetry: Layer.Layer<never, SettingsError> = Layer.unwrap(
  Effect.gen(function*() {
    const format = yield* textOf(telemetryVariables.logFormat)
    const endpoint = yield* textOf(telemetryVariables.otlpEndpoint)
    const logs = format === "json" ? jsonLogs : Layer.empty
    return endpoint === "" ? logs : Layer.merge(logs, yield* traces(endpoint))
  })
)

const textOf = ({ name }: Variable): Effect.Effect<string, SettingsError> =>
  Config.String(name).pipe(
    Config.withDefault(""),
    Effect.mapError((error) => new SettingsError({ message: error.message }))
  )

/** One line an object, on standard error: standard output belongs to what a command prints. */
const jsonLogs = Logger.layer([Logger.withConsoleError(Logger.formatJson)])

/** Loaded only when it is wanted. */
const traces = Effect.fnUntraced(function*(endpoint: string) {
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    return yield* new SettingsError({
      message: `${telemetryVariables.otlpEndpoint.name} must be a URL of http or https`
    })
  }
  const headers = yield* headersOf(yield* textOf(telemetryVariables.otlpHeaders))
  const { FetchHttpClient, Headers, OtlpSerialization, OtlpTracer } = yield* Effect.promise(async () => ({
    ...(await import("effect/http")),
    ...(await import("effect/observability"))
  }))
  const url = new URL(endpoint)
  url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`
  return OtlpTracer.layer({
    url: url.toString(),
    headers,
    resource: { serviceName: "clickstream-guardian", serviceVersion: version },
    shutdownTimeout
  }).pipe(
    Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer]),
    // They are keys: when sending fails, they stand in no message.
    Layer.provide(Layer.succeed(Headers.CurrentRedactedNames, ["authorization", "cookie", ...Object.keys(headers)]))
  )
})

/** `name=value,name=value`, values percent-encoded (OpenTelemetry's specification of exporters). */
const headersOf = (text: string): Effect.Effect<Record<string, string>, SettingsError> =>
  Effect.try({
    try: () =>
      Object.fromEntries(
        text.split(",").map((part) => part.trim()).filter((part) => part !== "").map((part) => {
          const mark = part.indexOf("=")
          if (mark < 1) throw new Error("no name")
          return [part.slice(0, mark).trim().toLowerCase(), decodeURIComponent(part.slice(mark + 1).trim())]
        })
      ),
    catch: () => new SettingsError({ message: `${telemetryVariables.otlpHeaders.name} must be name=value,name=value` })
  })
