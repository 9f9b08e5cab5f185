/**
 * What a process does with the partitions it owns, between reading and writing: load what is missing, step, cut a flush. Plain
 * code without I/O, so that the simulator drives the very same object through its faults.
 */
import { createHash } from "node:crypto"
import type { EventBatch } from "../domain/EventBatch.ts"
import type { Offset, Partition, VisitorId } from "../domain/Identifiers.ts"
import { PartitionCore } from "../sessionizer/PartitionCore.ts"
import type { VisitorHistory } from "../sessionizer/VisitorHistory.ts"
import type { FlushIdentity, PartitionFlush } from "../warehouse/FlushBlocks.ts"
import { flushSteps } from "../warehouse/FlushBlocks.ts"
import type { HistoryRequest } from "../warehouse/StateStore.ts"
import type { TableBlock } from "../warehouse/TableBlock.ts"

/** Everything that changed up to a cut, ready to be written step by step. */
export interface Flush {
  readonly steps: ReadonlyArray<ReadonlyArray<TableBlock>>
  /** Next offset per partition: durable once the last step is acknowledged. */
  readonly offsets: ReadonlyMap<Partition, Offset>
  readonly records: number
  /** What the rows were made of. */
  readonly sources: ReadonlyArray<PartitionFlush>
}

interface Owned {
  readonly core: PartitionCore
  /** Everything below it is in the warehouse. */
  durable: Offset
  /** Next offset as of the last cut: a partition without records since then stays out of a flush. */
  cutAt: Offset
  /** Records received as of the last cut. */
  receivedAtCut: number
  /** The bytes of the newest record that was stepped. */
  lastValue: Uint8Array
}

const noBytes = new Uint8Array(0)

export class Processor {
  readonly #identity: FlushIdentity
  readonly #owned = new Map<Partition, Owned>()
  #recordsSinceCut = 0

  constructor(identity: FlushIdentity) {
    this.#identity = identity
  }

  /** Takes a partition on at its checkpoint. The core knows which visitors are cold. */
  own(core: PartitionCore): void {
    this.#owned.set(core.partition, {
      core,
      durable: core.nextOffset,
      cutAt: core.nextOffset,
      receivedAtCut: core.counts.received,
      lastValue: noBytes
    })
  }

  get cores(): ReadonlyArray<PartitionCore> {
    return [...this.#owned.values()].map(({ core }) => core)
  }

  /** Records stepped since the last cut. */
  get recordsSinceCut(): number {
    return this.#recordsSinceCut
  }

  durable(partition: Partition): Offset {
    return this.#partition(partition).durable
  }

  /** What must be loaded before these batches can be stepped; undefined when nothing. */
  missing(batches: ReadonlyArray<EventBatch>): HistoryRequest | undefined {
    const wanted = new Map<Partition, Map<VisitorId, number | undefined>>()
    for (const batch of batches) {
      const visitors = wanted.get(batch.partition) ?? new Map<VisitorId, number | undefined>()
      this.#partition(batch.partition).core.missing(batch, visitors)
      if (visitors.size > 0) wanted.set(batch.partition, visitors)
    }
    if (wanted.size === 0) return undefined
    return {
      partitions: [...wanted].map(([partition, visitors]) => {
        const { core, durable } = this.#partition(partition)
        const { idsComplete, reachableFrom, recentFrom } = core
        return { partition, durable, reachableFrom, recentFrom, withIds: !idsComplete, visitors }
      })
    }
  }

  load(partition: Partition, history: VisitorHistory): void {
    this.#partition(partition).core.load(history)
  }

  /** Takes a visitor back before anybody asks for it, while its partition has fewer than its share of `visitorsMax`. */
  preload(partition: Partition, history: VisitorHistory, readFrom: number, visitorsMax: number): void {
    const { core } = this.#partition(partition)
    if (core.visitorsInMemory < this.#share(visitorsMax)) core.preload(history, readFrom)
  }

  step(batch: EventBatch): void {
    const owned = this.#partition(batch.partition)
    owned.core.step(batch)
    const count = batch.count
    if (count > 0) owned.lastValue = batch.source.value(count - 1)
    this.#recordsSinceCut += count
  }

  /** All changes since the last cut, of all partitions together; undefined when nothing was read. Rows are made here and now. */
  cut(): Flush | undefined {
    const flushes: Array<PartitionFlush> = []
    let records = 0
    for (const owned of this.#owned.values()) {
      const { core } = owned
      if (core.nextOffset === owned.cutAt) continue
      owned.cutAt = core.nextOffset
      records += core.counts.received - owned.receivedAtCut
      owned.receivedAtCut = core.counts.received
      flushes.push({
        partition: core.partition,
        changes: core.takeChanges(),
        position: core.position,
        recordHash: recordHash(owned.lastValue)
      })
    }
    this.#recordsSinceCut = 0
    if (flushes.length === 0) return undefined
    return {
      steps: flushSteps(flushes, this.#identity),
      offsets: new Map(flushes.map(({ partition, position }) => [partition, position.offset])),
      records,
      sources: flushes
    }
  }

  /** Every step of a flush is acknowledged: what it wrote may leave memory. */
  flushed(flush: Flush): void {
    for (const [partition, offset] of flush.offsets) {
      const owned = this.#partition(partition)
      if (offset > owned.durable) owned.durable = offset
    }
    for (const { changes, partition } of flush.sources) this.#partition(partition).core.reuse(changes)
  }

  /** Keeps at most `visitorsMax` visitors in memory, spread evenly over the partitions. */
  evict(visitorsMax: number): void {
    const share = this.#share(visitorsMax)
    for (const { core, durable } of this.#owned.values()) core.evict(share, durable)
  }

  #share(visitorsMax: number): number {
    return Math.floor(visitorsMax / Math.max(1, this.#owned.size))
  }

  #partition(partition: Partition): Owned {
    const owned = this.#owned.get(partition)
    if (owned === undefined) throw new Error(`partition ${partition} is not owned by this process`)
    return owned
  }
}

/** Hex SHA-256 of a record's value: the checkpoint's proof that the log is still the same. */
export const recordHash = (value: Uint8Array): string => createHash("sha256").update(value).digest("hex")
