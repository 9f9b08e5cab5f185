/** Before any cluster test: the servers are there, or it is said what to install. */
import { kafkaServer } from "./KafkaCluster.ts"
import { registryServer } from "./RegistryServer.ts"

export const setup = async (): Promise<void> => {
  await kafkaServer()
  await registryServer()
}
