/**
 * The requests that the adapter makes itself, as bytes: Metadata with topic ids, Fetch without a look into the records, ListOffsets,
 * and for groups FindCoordinator and LeaveGroup.
 */
import type { BrokerAddress, WireRequest } from "./BrokerConnection.ts"
import { WireReader, WireWriter } from "./WireBuffer.ts"

const fetchKey = 1
const listOffsetsKey = 2
const findCoordinatorKey = 10
const leaveGroupKey = 13
export const metadataKey = 3

/** Since this version metadata names topics by id. */
export const topicIdsSince = 10

export interface TopicMetadata {
  readonly clusterId: string
  readonly brokers: ReadonlyMap<number, BrokerAddress>
  /** Kafka's error code of the topic; 0: none. */
  readonly errorCode: number
  /** Hex; "" where brokers give none. */
  readonly topicId: string
  /** Id of the leader by partition; -1: none now. */
  readonly leaders: ReadonlyArray<number>
}

/** Metadata of one topic, in version 7 or 10 (KIP-516: topic ids). */
export const metadataRequest = (topic: string, versionMax: number): WireRequest<TopicMetadata> =>
  versionMax >= topicIdsSince ? flexibleMetadata(topic) : plainMetadata(topic)

const flexibleMetadata = (topic: string): WireRequest<TopicMetadata> => ({
  apiKey: metadataKey,
  apiName: "Metadata",
  apiVersion: topicIdsSince,
  // The header's tags; one topic by name; no creation, no operations; no tags.
  body: new WireWriter().int8(0).unsignedVarint(2).raw(Buffer.alloc(16)).compactString(topic).int8(0)
    .int8(0).int8(0).int8(0).int8(0).take(),
  decode: (answer) => {
    const read = new WireReader(answer)
    read.skipTags()
    read.int32()
    const brokers = new Map(read.compactArray(() => {
      const id = read.int32()
      const address = { host: read.compactString(), port: read.int32() }
      read.compactString()
      read.skipTags()
      return [id, address] as const
    }))
    const clusterId = read.compactString()
    read.int32()
    const [found] = read.compactArray(() => {
      const errorCode = read.int16()
      read.compactString()
      const topicId = read.raw(16).toString("hex")
      read.int8()
      const partitions = read.compactArray(() => {
        read.int16()
        const entry = [read.int32(), read.int32()] as const
        read.int32()
        for (let lists = 0; lists < 3; lists++) read.compactArray(() => read.int32())
        read.skipTags()
        return entry
      })
      read.int32()
      read.skipTags()
      return { errorCode, topicId, leaders: leadersOf(partitions) }
    })
    return { clusterId, brokers, ...found! }
  }
})

const plainMetadata = (topic: string): WireRequest<TopicMetadata> => ({
  apiKey: metadataKey,
  apiName: "Metadata",
  apiVersion: 7,
  body: new WireWriter().int32(1).string(topic).int8(0).take(),
  decode: (answer) => {
    const read = new WireReader(answer)
    read.int32()
    const brokers = new Map(read.array(() => {
      const id = read.int32()
      const address = { host: read.string(), port: read.int32() }
      read.string()
      return [id, address] as const
    }))
    const clusterId = read.string()
    read.int32()
    const [found] = read.array(() => {
      const errorCode = read.int16()
      read.string()
      read.int8()
      const partitions = read.array(() => {
        read.int16()
        const entry = [read.int32(), read.int32()] as const
        read.int32()
        for (let lists = 0; lists < 3; lists++) read.array(() => read.int32())
        return entry
      })
      return { errorCode, topicId: "", leaders: leadersOf(partitions) }
    })
    return { clusterId, brokers, ...found! }
  }
})

const leadersOf = (partitions: ReadonlyArray<readonly [partition: number, leader: number]>): ReadonlyArray<number> => {
  const leaders = Array.from({ length: partitions.length }, () => -1)
  for (const [partition, leader] of partitions) leaders[partition] = leader
  return leaders
}

export interface Fetched {
  /** 0: none. */
  readonly errorCode: number
  readonly highWatermark: number
  /** Record batches as the broker stores them, the last one perhaps cut off. */
  readonly records: Buffer
}

export interface FetchOptions {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly bytesMax: number
  /** How long the broker waits for a first byte, ms. */
  readonly waitMs: number
}

/** One partition, in version 11. */
export const fetchRequest = ({ bytesMax, from, partition, topic, waitMs }: FetchOptions): WireRequest<Fetched> => ({
  apiKey: fetchKey,
  apiName: "Fetch",
  apiVersion: 11,
  body: new WireWriter().int32(-1).int32(waitMs).int32(1).int32(bytesMax).int8(0).int32(0).int32(-1)
    .int32(1).string(topic).int32(1).int32(partition).int32(-1).int64(from).int64(-1).int32(bytesMax)
    .int32(0).string("").take(),
  decode: (answer) => {
    const read = new WireReader(answer)
    read.int32()
    const errorCode = read.int16()
    read.int32()
    const [found] = read.array(() => {
      read.string()
      return read.array(() => {
        read.int32()
        const code = read.int16()
        const highWatermark = read.int64()
        read.int64()
        read.int64()
        read.array(() => [read.int64(), read.int64()])
        read.int32()
        return { errorCode: code, highWatermark, records: read.raw(Math.max(0, read.int32())) }
      })
    })
    return found?.[0] ?? { errorCode, highWatermark: -1, records: Buffer.alloc(0) }
  }
})

/** Instead of a time: the end and the start of a partition. */
export const latest = -1
export const earliest = -2

/** The first offset of each partition at or after a time (epoch ms, `latest` or `earliest`); -1: none. In version 5. */
export const listOffsetsRequest = (
  topic: string,
  partitions: ReadonlyArray<number>,
  time: number
): WireRequest<ReadonlyArray<{ readonly partition: number; readonly errorCode: number; readonly offset: number }>> => {
  const body = new WireWriter().int32(-1).int8(0).int32(1).string(topic).int32(partitions.length)
  for (const partition of partitions) body.int32(partition).int32(-1).int64(time)
  return {
    apiKey: listOffsetsKey,
    apiName: "ListOffsets",
    apiVersion: 5,
    body: body.take(),
    decode: (answer) => {
      const read = new WireReader(answer)
      read.int32()
      const [found] = read.array(() => {
        read.string()
        return read.array(() => {
          const partition = read.int32()
          const errorCode = read.int16()
          read.int64()
          const offset = read.int64()
          read.int32()
          return { partition, errorCode, offset }
        })
      })
      return found ?? []
    }
  }
}

export interface Coordinator extends BrokerAddress {
  /** 0: none. */
  readonly errorCode: number
  readonly id: number
}

/** The broker that coordinates a consumer group, in version 2. */
export const findCoordinatorRequest = (groupId: string): WireRequest<Coordinator> => ({
  apiKey: findCoordinatorKey,
  apiName: "FindCoordinator",
  apiVersion: 2,
  body: new WireWriter().string(groupId).int8(0).take(),
  decode: (answer) => {
    const read = new WireReader(answer)
    read.int32()
    const errorCode = read.int16()
    read.string()
    return { errorCode, id: read.int32(), host: read.string(), port: read.int32() }
  }
})

/** Takes a member out of its group, in version 2; the answer is Kafka's error code, 25 when there is no such member. */
export const leaveGroupRequest = (groupId: string, memberId: string): WireRequest<number> => ({
  apiKey: leaveGroupKey,
  apiName: "LeaveGroup",
  apiVersion: 2,
  body: new WireWriter().string(groupId).string(memberId).take(),
  decode: (answer) => {
    const read = new WireReader(answer)
    read.int32()
    return read.int16()
  }
})
