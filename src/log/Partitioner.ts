/**
 * Kafka's default partitioner: murmur2 (seed 0x9747b28c) of the key's UTF-8 bytes, made positive, modulo the partitions. All
 * adapters use it, so that a visitor has one partition wherever the log lives. Source of the function: Kafka's `Utils.murmur2`.
 */
import type { Partition } from "../domain/Identifiers.ts"
import { positiveMurmur2 } from "../domain/Murmur2.ts"

/** The partition of a key among `partitions`. */
export const partitionOf = (key: string, partitions: number): Partition =>
  (positiveMurmur2(key) % partitions) as Partition
