/** A private cluster and registry for all faults, and for each one a topic, a database and pipelines of its own. */
import { Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ClusterView } from "../../log/kafka/ClusterView.ts"
import * as KafkaEventLog from "../../log/kafka/KafkaEventLog.ts"
import { clientConfig } from "../../log/kafka/KafkaSettings.ts"
import * as HttpSchemaRegistry from "../../log/registry/HttpSchemaRegistry.ts"
import type { Fault } from "../../operations/chaos/Faults.ts"
import * as ClickHouseWarehouse from "../../warehouse/ClickHouseWarehouse.ts"
import { EmbeddedWarehouse } from "../../warehouse/embedded/EmbeddedWarehouse.ts"
import { migrate } from "../../warehouse/Migrations.ts"
import { MissingTools } from "../cluster/Downloads.ts"
import { KafkaCluster } from "../cluster/KafkaCluster.ts"
import { RegistryServer } from "../cluster/RegistryServer.ts"
import { InstallationError, paths } from "../Installation.ts"
import type { ChaosPlace, ChaosStage } from "./ChaosStage.ts"
import { Pipelines } from "./Pipelines.ts"

interface Servers {
  readonly cluster: KafkaCluster
  readonly registry: RegistryServer
}

/** Three brokers and a registry, until the scope ends. */
export const privateStage = Effect.gen(function*() {
  const cluster = yield* Effect.acquireRelease(
    started(() =>
      KafkaCluster.start({ nodes: 3, heapMb: 384, fullJit: true, config: { "broker.session.timeout.ms": 6_000 } })
    ),
    (held) => Effect.promise(() => held.stop())
  )
  const registry = yield* Effect.acquireRelease(
    started(() => RegistryServer.start()),
    (held) => Effect.promise(() => held.stop())
  )
  return {
    description: "Three brokers, RF 3, min ISR 2, everything on this machine",
    refusal: () => undefined,
    what: ({ what }) => what,
    place: (fault) => privatePlace({ cluster, registry }, fault)
  } satisfies ChaosStage
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

const partitions = 6

/** A topic, an empty database, and pipelines. Leaves nothing behind. */
const privatePlace = Effect.fnUntraced(function*({ cluster, registry }: Servers, fault: Fault) {
  const topic = `chaos-${fault.name}-${randomUUID().slice(0, 8)}`
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "guardian-chaos-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  )
  const engine = yield* Layer.build(EmbeddedWarehouse.layer({ directory: paths(directory).warehouse })).pipe(
    Effect.flatMap((context) => Effect.provideContext(EmbeddedWarehouse, context))
  )
  const address = engine.address("writer")
  yield* migrate(address)
  const kafka = { brokers: cluster.brokers, topic, create: { partitions }, tell: () => undefined }
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
  const signal = (name: NodeJS.Signals) => Effect.sync(() => pipelines.signal(name))
  // Started again by itself when it was killed.
  const pipeline = { kill: signal("SIGKILL"), pause: signal("SIGSTOP"), mend: signal("SIGCONT") }
  return {
    isOurs: true,
    services: Layer.mergeAll(
      KafkaEventLog.layer(kafka),
      HttpSchemaRegistry.layer({ url: registry.url }),
      ClickHouseWarehouse.layer(address)
    ),
    subject: `${topic}-value`,
    ready: Effect.sync(() => {
      for (let i = 0; i < fault.pipelines; i++) pipelines.start()
    }),
    leader: Effect.promise(async () => {
      const { leaders } = await new ClusterView(clientConfig(kafka), topic).refresh()
      return brokerOf(cluster, leaders[0]!)
    }),
    pipelines: pipeline,
    zombie: pipeline,
    warehouse: { kill: engine.kill, mend: Effect.void },
    registry: { pause: Effect.sync(() => registry.pause()), mend: Effect.sync(() => registry.resume()) },
    whileStill: (work) => Effect.andThen(Effect.promise(() => pipelines.end()), work),
    addressOf: (database) => ({ ...address, database }),
    said: () => `The pipelines said:\n${pipelines.output}`
  } satisfies ChaosPlace
})

const brokerOf = (cluster: KafkaCluster, id: number) => {
  let isDead = false
  return {
    kill: Effect.promise(() => {
      isDead = true
      return cluster.kill(id)
    }),
    pause: Effect.sync(() => cluster.pause(id)),
    mend: Effect.suspend(() =>
      isDead ? Effect.promise(() => cluster.restart(id)) : Effect.sync(() => cluster.resume(id))
    )
  }
}
