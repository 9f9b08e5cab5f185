/** An installation of its own to load: an empty log, a serving process, and a way to hand it events. */
import { Effect, Layer, Option } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { Agent, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { NewRecord, Receipt } from "../../log/EventLog.ts"
import * as KafkaEventLog from "../../log/kafka/KafkaEventLog.ts"
import * as ClickHouseWarehouse from "../../warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../warehouse/embedded/EmbeddedWarehouse.ts"
import { Pipelines } from "../chaos/Pipelines.ts"
import { KafkaCluster } from "../cluster/KafkaCluster.ts"
import { InstallationError, logLayer, paths, registryLayer } from "../Installation.ts"
import type { LogKind } from "../LogChoice.ts"

export interface LoadPlaceOptions {
  readonly log: LogKind
  /** Also with a collector. */
  readonly collector: boolean
}

export const loadPartitions = 6
const readyWithin = "90 seconds"

/** Ends with the scope, and leaves nothing behind. */
export const loadPlace = Effect.fnUntraced(function*({ collector, log }: LoadPlaceOptions) {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "guardian-load-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  )
  const cluster = log === "kafka" ? yield* brokers : undefined
  const logServices = cluster === undefined ?
    logLayer(directory, loadPartitions) :
    KafkaEventLog.layer({ brokers: cluster.brokers, topic: "clickstream", create: { partitions: loadPartitions } })
  const services = yield* Layer.build(Layer.merge(logServices, registryLayer(directory)))
  const serving = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Pipelines(directory, {
        GUARDIAN_LOG: log,
        ...(cluster !== undefined && { GUARDIAN_KAFKA_BROKERS: cluster.brokers.join(",") }),
        GUARDIAN_API_PORT: "0",
        GUARDIAN_API_READ_KEYS: "",
        GUARDIAN_COLLECTOR_PORT: "0",
        GUARDIAN_HEALTH_PORT: "0"
      }, collector ? "all" : "pipeline")
    ),
    (held) => Effect.promise(() => held.end())
  )
  serving.start()
  const port = collector ?
    Number(yield* found(serving, () => /Collector at http:\/\/[^:]+:(\d+)/.exec(serving.output)?.[1])) :
    0
  const api = collector ? yield* found(serving, () => /API and dashboard at (\S+)/.exec(serving.output)?.[1]) : ""
  yield* found(serving, () => /processing /.test(serving.output) ? true : undefined)
  const attached = yield* EmbeddedWarehouse.attach(paths(directory).warehouse)
  if (Option.isNone(attached)) return yield* notReady(serving)
  const warehouse = yield* ClickHouseWarehouse.make(attached.value.address("reader"))
  const metrics = collector ? api : yield* found(serving, () => /Health at (\S+)/.exec(serving.output)?.[1])
  return { services, warehouse, api, collect: collectorAt(port), metrics: `${metrics}/metrics` }
})

const brokers = Effect.acquireRelease(
  Effect.tryPromise({
    try: () => KafkaCluster.start({ nodes: 3, heapMb: 512, fullJit: true }),
    catch: (cause) => new InstallationError({ message: cause instanceof Error ? cause.message : String(cause) })
  }),
  (held) => Effect.promise(() => held.stop())
)

/** Waits for what the serving process says. */
const found = <A>(serving: Pipelines, look: () => A | undefined) =>
  Effect.sync(look).pipe(
    Effect.tap((value) => value === undefined ? Effect.sleep("50 millis") : Effect.void),
    Effect.repeat({ until: (value) => value !== undefined }),
    Effect.map((value) => value as A),
    Effect.timeoutOrElse({ duration: readyWithin, orElse: () => notReady(serving) })
  )

const notReady = (serving: Pipelines) =>
  Effect.fail(new InstallationError({ message: `the serving process is not ready. It said:\n${serving.output}` }))

/** Posts events to a collector; what it has no room for now is sent again, as senders do. */
const collectorAt = (port: number) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const post = (body: string) =>
    Effect.callback<{ readonly status: number; readonly text: string }, InstallationError>((resume) => {
      const sent = request({ agent, port, host: "127.0.0.1", path: "/collect", method: "POST" }, (answer) => {
        let text = ""
        answer.setEncoding("utf8").on("data", (part: string) => {
          text += part
        }).on("end", () => resume(Effect.succeed({ status: answer.statusCode ?? 0, text })))
      })
      sent.on(
        "error",
        (cause) => resume(Effect.fail(new InstallationError({ message: `the collector: ${cause.message}` })))
      )
        .end(body)
    })
  return (records: ReadonlyArray<NewRecord>): Effect.Effect<ReadonlyArray<Receipt>, InstallationError> =>
    post(`[${records.map(({ value }) => Buffer.from(value).toString()).join(",")}]`).pipe(
      Effect.tap(({ status }) => status === 429 || status === 503 ? Effect.sleep("100 millis") : Effect.void),
      Effect.repeat({ until: ({ status }) => status !== 429 && status !== 503 }),
      Effect.flatMap(({ status, text }) =>
        status === 200 || status === 202 ?
          Effect.succeed((JSON.parse(text) as { readonly receipts: ReadonlyArray<Receipt> }).receipts) :
          Effect.fail(new InstallationError({ message: `the collector answered ${status}: ${text.slice(0, 300)}` }))
      )
    )
}
