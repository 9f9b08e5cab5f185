/** A private cluster to try things on, until Ctrl-C: `npm run cluster -- 3`. Prints what to set. */
import { KafkaCluster } from "../../../src/cli/cluster/KafkaCluster.ts"

const nodes = Number(process.argv[2] ?? 1)
const cluster = await KafkaCluster.start({ nodes, heapMb: 512, fullJit: true })
const stop = () => void cluster.stop().then(() => process.exit(0))
process.on("SIGINT", stop)
process.on("SIGTERM", stop)
console.log(
  `export GUARDIAN_LOG=kafka GUARDIAN_KAFKA_BROKERS=${cluster.brokers.join(",")} GUARDIAN_KAFKA_REPLICATION=${nodes}`
)
setInterval(() => undefined, 60_000)
