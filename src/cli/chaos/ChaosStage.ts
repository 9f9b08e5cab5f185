/** What faults are made on: a private cluster and registry for all of them, and for each one a topic, a database and pipelines of its own. */
import { Effect, Layer } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ClusterView } from "../../log/kafka/ClusterView.ts"
import * as KafkaEventLog from "../../log/kafka/KafkaEventLog.ts"
import { clientConfig } from "../../log/kafka/KafkaSettings.ts"
import * as HttpSchemaRegistry from "../../log/registry/HttpSchemaRegistry.ts"
import * as ClickHouseWarehouse from "../../warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../warehouse/embedded/EmbeddedWarehouse.ts"
import { migrate } from "../../warehouse/Migrations.ts"
import { MissingTools } from "../cluster/Downloads.ts"
import { KafkaCluster } from "../cluster/KafkaCluster.ts"
import { RegistryServer } from "../cluster/RegistryServer.ts"
import { InstallationError, paths } from "../Installation.ts"
import { Pipelines } from "./Pipelines.ts"

export interface ChaosStage {
  readonly cluster: KafkaCluster
  readonly registry: RegistryServer
}

/** Three brokers and a registry, until the scope ends. */
export const chaosStage = Effect.gen(function*() {
  const cluster = yield* Effect.acquireRelease(
    started(() => KafkaCluster.start({ nodes: 3, config: { "broker.session.timeout.ms": 6_000 } })),
    (held) => Effect.promise(() => held.stop())
  )
  const registry = yield* Effect.acquireRelease(
    started(() => RegistryServer.start()),
    (held) => Effect.promise(() => held.stop())
  )
  return { cluster, registry } satisfies ChaosStage
})

const started = <A>(start: () => Promise<A>): Effect.Effect<A, InstallationError> =>
  Effect.tryPromise({
    try: start,
    catch: (cause) =>
      new InstallationError({
        message: cause instanceof MissingTools ?
          cause.message :
          `the private cluster did not start: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })

export const chaosPartitions = 6

/** A topic, an empty database, and pipelines that are not started yet. Ends with the scope, and leaves nothing behind. */
export const chaosPlace = Effect.fnUntraced(function*({ cluster, registry }: ChaosStage, topic: string) {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "guardian-chaos-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  )
  const engine = yield* Layer.build(EmbeddedWarehouse.layer({ directory: paths(directory).warehouse })).pipe(
    Effect.flatMap((context) => Effect.provideContext(EmbeddedWarehouse, context))
  )
  const address = engine.address("writer")
  yield* migrate(address)
  const kafka = { brokers: cluster.brokers, topic, create: { partitions: chaosPartitions }, tell: () => undefined }
  const pipelines = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Pipelines(directory, {
        GUARDIAN_LOG: "kafka",
        GUARDIAN_KAFKA_BROKERS: cluster.brokers.join(","),
        GUARDIAN_KAFKA_TOPIC: topic,
        GUARDIAN_KAFKA_GROUP: topic,
        GUARDIAN_REGISTRY_URL: registry.url
      })
    ),
    (held) => Effect.promise(() => held.end())
  )
  const services = Layer.mergeAll(
    KafkaEventLog.layer(kafka),
    HttpSchemaRegistry.layer({ url: registry.url }),
    ClickHouseWarehouse.layer(address)
  )
  return {
    topic,
    engine,
    pipelines,
    services,
    /** Of another database in the same engine. */
    addressOf: (database: string) => ({ ...address, database }),
    leader: Effect.promise(async () => {
      const { leaders } = await new ClusterView(clientConfig(kafka), topic).refresh()
      return leaders[0]!
    })
  }
})

export type ChaosPlace = Effect.Success<ReturnType<typeof chaosPlace>>
