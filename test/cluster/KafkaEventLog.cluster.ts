import { afterAll, beforeAll } from "@effect/vitest"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { KafkaCluster } from "../../src/cli/cluster/KafkaCluster.ts"
import * as KafkaEventLog from "../../src/log/kafka/KafkaEventLog.ts"
import { eventLogConformance } from "../log/conformance.ts"

let cluster: KafkaCluster

beforeAll(async () => {
  cluster = await KafkaCluster.start({ nodes: 1 })
})

afterAll(() => cluster?.stop())

for (const compression of ["zstd", "gzip", "none"] as const) {
  eventLogConformance(`KafkaEventLog (${compression})`, (partitions) =>
    Effect.sync(() =>
      KafkaEventLog.layer({
        brokers: cluster.brokers,
        topic: `log-${randomUUID()}`,
        create: { partitions, replicationFactor: 1 },
        compression
      })
    ))
}
