/** The topic of the log: made with what exactness needs, or held to it when it is there. */
import kafkajs from "kafkajs"
import type { Admin } from "kafkajs"
import { LogError } from "../EventLog.ts"

const { ConfigResourceTypes } = kafkajs

export interface TopicOptions {
  readonly partitions: number
  readonly replicationFactor: number
  /** Replicas that must have a record before it is acknowledged. */
  readonly minInsyncReplicas: number
  /** How long records are kept, ms; -1: for ever. */
  readonly retentionMs: number
}

export const topicDefaults: TopicOptions = {
  partitions: 6,
  replicationFactor: 3,
  minInsyncReplicas: 2,
  retentionMs: 7 * 86_400_000
}

/** Largest batch that a broker takes, bytes: records beyond 1 MiB must get in, to be dead letters with their bytes kept. */
export const batchBytesMax = 10 * 1024 * 1024

/** Largest value, bytes: with its key and headers it stays within a batch. */
export const valueBytesMax = 8 * 1024 * 1024

export const createTopic = async (admin: Admin, topic: string, options: TopicOptions): Promise<void> => {
  const { brokers } = await admin.describeCluster()
  if (brokers.length < options.replicationFactor) {
    throw new LogError({
      message:
        `topic ${topic} is to have ${options.replicationFactor} replicas, but the cluster has ${brokers.length} ` +
        "brokers: start more, or set GUARDIAN_KAFKA_REPLICATION",
      retryable: true
    })
  }
  await admin.createTopics({
    waitForLeaders: false,
    topics: [{
      topic,
      numPartitions: options.partitions,
      replicationFactor: options.replicationFactor,
      configEntries: Object.entries({
        "min.insync.replicas": Math.min(options.minInsyncReplicas, options.replicationFactor),
        // A replica that lacks acknowledged records must never lead, whatever the brokers' default is.
        "unclean.leader.election.enable": false,
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "delete",
        "max.message.bytes": batchBytesMax,
        "retention.ms": options.retentionMs
      }).map(([name, value]) => ({ name, value: String(value) }))
    }]
  })
}

/** Why the topic cannot be our log: append times must be the broker's, and no record may vanish from the middle. */
export const topicFault = async (admin: Admin, topic: string): Promise<string | undefined> => {
  const wanted = { "message.timestamp.type": "LogAppendTime", "cleanup.policy": "delete" }
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: Object.keys(wanted) }]
  })
  const entries = resources[0]?.configEntries ?? []
  const wrong = Object.entries(wanted).filter(([name, value]) => {
    const found = entries.find((entry) => entry.configName === name)
    return found !== undefined && found.configValue !== value
  })
  return wrong.length === 0 ?
    undefined :
    `topic ${topic} must have ${
      wrong.map(([name, value]) => `${name}=${value}`).join(" and ")
    }: set it (kafka-configs --alter --topic ${topic} --add-config ${
      wrong.map((each) => each.join("=")).join(",")
    }), or name another topic with GUARDIAN_KAFKA_TOPIC`
}
