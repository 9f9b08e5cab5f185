/** Before any cluster test: the servers are there, or it is said what to install. */
import { kafkaServer } from "../../../src/cli/cluster/KafkaCluster.ts"
import { registryServer } from "../../../src/cli/cluster/RegistryServer.ts"

export const setup = async (): Promise<void> => {
  await kafkaServer()
  await registryServer()
}
