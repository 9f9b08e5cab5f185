/**
 * Who leads which partition of a topic, and what the topic holds. Asks again whenever somebody says that it was wrong; any broker
 * that answers will do.
 */
import type { KafkaConfig } from "kafkajs"
import type { Partition } from "../../domain/Identifiers.ts"
import type { PartitionRange } from "../EventLog.ts"
import type { BrokerAddress } from "./BrokerConnection.ts"
import { BrokerConnection } from "./BrokerConnection.ts"
import { earliest, latest, listOffsetsRequest, metadataKey, metadataRequest } from "./Requests.ts"
import type { TopicMetadata } from "./Requests.ts"

/** The topic is another one than at the start: deleted and made anew under its name. */
export class TopicRecreated extends Error {}

/** Kafka's error codes that this folder knows by name. */
export const codes = { outOfRange: 1, unknownTopic: 3, unauthorized: 29 } as const

/** An answer of a broker that says no. */
export class BrokerRefusal extends Error {
  readonly code: number

  constructor(doing: string, code: number) {
    super(`${doing}: the broker answered with error ${code}`)
    this.code = code
  }
}

/** Between two looks for a new leader, ms: while there is none, everybody asks. */
const refreshEveryMs = 200

export class ClusterView {
  readonly topic: string
  readonly config: KafkaConfig
  #metadata: TopicMetadata | undefined
  #refreshing: Promise<TopicMetadata> | undefined
  #refreshedAt = 0
  #seed = 0

  constructor(config: KafkaConfig, topic: string) {
    this.config = config
    this.topic = topic
  }

  /** As last seen; asked for when never seen. */
  async metadata(): Promise<TopicMetadata> {
    return this.#metadata ?? await this.refresh()
  }

  /** Asks one broker after the other, once each; rejects when none answers. */
  refresh(): Promise<TopicMetadata> {
    this.#refreshing ??= this.#ask().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** A new connection to the leader of a partition; rejects while there is none. */
  async connectToLeader(partition: Partition): Promise<BrokerConnection> {
    const { brokers, leaders } = await this.metadata()
    const address = brokers.get(leaders[partition] ?? -1)
    if (address === undefined) throw new Error(`partition ${partition} of ${this.topic} has no leader now`)
    return await BrokerConnection.open(this.config, address)
  }

  /** By partition number. One attempt. */
  async ranges(): Promise<ReadonlyArray<PartitionRange>> {
    const [starts, ends] = [await this.offsets(earliest), await this.offsets(latest)]
    return ends.map((end, partition) => ({ start: starts[partition], end } as PartitionRange))
  }

  /** The first offset at or after a time by partition, -1 when there is none. One attempt, at the leaders. */
  async offsets(time: number): Promise<ReadonlyArray<number>> {
    const { brokers, leaders } = await this.metadata()
    const offsets = leaders.map(() => -1)
    for (const leader of new Set(leaders)) {
      const address = brokers.get(leader)
      if (address === undefined) throw new Error(`a partition of ${this.topic} has no leader now`)
      const partitions = leaders.flatMap((each, partition) => each === leader ? [partition] : [])
      for (
        const found of await this.#at(address, (at) => at.request(listOffsetsRequest(this.topic, partitions, time)))
      ) {
        if (found.errorCode !== 0) throw new BrokerRefusal(`offsets of ${this.topic}`, found.errorCode)
        offsets[found.partition] = found.offset
      }
    }
    return offsets
  }

  async #ask(): Promise<TopicMetadata> {
    const soon = this.#refreshedAt + refreshEveryMs - performance.now()
    if (this.#metadata !== undefined && soon > 0) await new Promise((resolve) => setTimeout(resolve, soon))
    const addresses = [...this.#metadata?.brokers.values() ?? [], ...(this.config.brokers as Array<string>).map(parse)]
    let failure: unknown
    for (let tried = 0; tried < addresses.length; tried++) {
      const address = addresses[this.#seed++ % addresses.length]!
      try {
        const found = await this.#at(
          address,
          (at) => at.request(metadataRequest(this.topic, at.versionMax(metadataKey)))
        )
        this.#refreshedAt = performance.now()
        return this.#accept(found)
      } catch (error) {
        if (error instanceof TopicRecreated) throw error
        failure = error
      }
    }
    throw failure
  }

  /** A broker that just started may not have heard of the topic: that does not make us forget it. */
  #accept(found: TopicMetadata): TopicMetadata {
    const known = this.#metadata
    if (known !== undefined && found.errorCode === 0 && found.topicId !== known.topicId) {
      throw new TopicRecreated(`topic ${this.topic} was deleted and made anew: this is another log than before`)
    }
    if (found.errorCode !== 0) return known ?? found
    this.#metadata = found
    return found
  }

  async #at<A>(address: BrokerAddress, work: (connection: BrokerConnection) => Promise<A>): Promise<A> {
    const connection = await BrokerConnection.open(this.config, address)
    try {
      return await work(connection)
    } finally {
      connection.close()
    }
  }
}

const parse = (text: string): BrokerAddress => {
  const at = text.lastIndexOf(":")
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) }
}
