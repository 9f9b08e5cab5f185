/**
 * What a restarted pipeline reads back while it already goes on: who may still matter, and all ids that still count as seen.
 * Until that is there every visitor is looked for on first sight, with its ids; afterwards only those that are known to be cold,
 * without. Nothing is lost when both happen to one visitor: what is read twice is remembered once.
 */
import { Effect } from "effect"
import type { Partition } from "../domain/Identifiers.ts"
import type { PartitionCore } from "../sessionizer/PartitionCore.ts"
import type { SeenIdsTaker, VisitOpenVisitor } from "../warehouse/StateStore.ts"
import { StateStore } from "../warehouse/StateStore.ts"
import type { WarehouseError } from "../warehouse/Warehouse.ts"
import type { Processor } from "./Processor.ts"

/** The cores that wait for their past. Plain code, so that the simulator drives it too. */
export class Recollection {
  readonly #cores: ReadonlyMap<Partition, PartitionCore>
  /** What is to be read: as of now, since all that comes later is in memory. */
  readonly bounds: ReadonlyArray<{
    readonly partition: Partition
    readonly durable: PartitionCore["nextOffset"]
    readonly reachableFrom: number
    readonly seenFrom: number
  }>

  constructor(processor: Processor) {
    this.#cores = new Map(
      processor.cores.filter(({ idsComplete }) => !idsComplete).map((core) => [core.partition, core])
    )
    this.bounds = [...this.#cores.values()].map(({ partition, reachableFrom, seenFrom }) => ({
      partition,
      durable: processor.durable(partition),
      reachableFrom,
      seenFrom
    }))
  }

  readonly visitor: VisitOpenVisitor = (partition, hash, startedAt, endedAt) => {
    this.#cores.get(partition)!.cold.add(hash, startedAt, endedAt)
  }

  visitorsComplete(): void {
    for (const core of this.#cores.values()) core.cold.isComplete = true
  }

  readonly ids: SeenIdsTaker = {
    expect: (partition, count) => this.#cores.get(partition)!.expectIds(count),
    take: (partition, prints, times, count) => this.#cores.get(partition)!.remember(prints, times, count)
  }

  idsComplete(): void {
    for (const core of this.#cores.values()) core.idsComplete = true
  }
}

/** Reads back what the cores of the processor still miss. */
export const recollect = Effect.fnUntraced(
  function*(processor: Processor): Effect.fn.Return<void, WarehouseError, StateStore> {
    const store = yield* StateStore
    const recollection = new Recollection(processor)
    yield* store.openVisitors(recollection.bounds, recollection.visitor)
    recollection.visitorsComplete()
    yield* store.seenIds(recollection.bounds, recollection.ids)
    recollection.idsComplete()
  }
)
