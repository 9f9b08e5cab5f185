/**
 * What a restarted pipeline reads back while it already goes on: who may still matter, all ids that still count as seen, and last
 * the visitors themselves, as many as memory holds. Until the ids are there every visitor is looked for on first sight, with its ids;
 * afterwards only those that are known to be cold, without. Nothing is lost when both happen to one visitor: what is read twice is
 * remembered once.
 */
import { Effect } from "effect"
import type { Partition } from "../domain/Identifiers.ts"
import type { PartitionCore } from "../sessionizer/PartitionCore.ts"
import type { OpenHistoriesRequest, SeenIdsTaker, VisitHistory, VisitOpenVisitor } from "../warehouse/StateStore.ts"
import { StateStore } from "../warehouse/StateStore.ts"
import type { WarehouseError } from "../warehouse/Warehouse.ts"
import type { Processor } from "./Processor.ts"

/** The cores that wait for their past. Plain code, so that the simulator drives it too. */
export class Recollection {
  readonly #processor: Processor
  readonly #cores: ReadonlyMap<Partition, PartitionCore>
  readonly #visitorsMax: number
  /** What is to be read: as of now, since all that comes later is in memory. */
  readonly bounds: ReadonlyArray<{
    readonly partition: Partition
    readonly durable: PartitionCore["nextOffset"]
    readonly reachableFrom: number
    readonly recentFrom: number
    readonly seenFrom: number
  }>

  constructor(processor: Processor, visitorsMax: number) {
    this.#processor = processor
    this.#visitorsMax = visitorsMax
    this.#cores = new Map(
      processor.cores.filter(({ idsComplete }) => !idsComplete).map((core) => [core.partition, core])
    )
    this.bounds = [...this.#cores.values()].map(({ partition, reachableFrom, recentFrom, seenFrom }) => ({
      partition,
      durable: processor.durable(partition),
      reachableFrom,
      recentFrom,
      seenFrom
    }))
  }

  readonly visitor: VisitOpenVisitor = (partition, hash, startedAt, endedAt) => {
    const { cold, reachableFrom } = this.#cores.get(partition)!
    cold.add(hash, startedAt, endedAt, reachableFrom)
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

  /** Whom to read back before they are seen. Sessions that began out of reach of any event are rare: they wait for their visitor. */
  get openHistories(): OpenHistoriesRequest {
    const cores = [...this.#cores.values()]
    const inMemory = () => cores.reduce((sum, { visitorsInMemory }) => sum + visitorsInMemory, 0)
    return {
      partitions: this.bounds,
      from: Math.min(...this.bounds.map(({ reachableFrom, recentFrom }) => Math.min(reachableFrom, recentFrom))),
      visitors: cores.reduce((sum, { cold }) => sum + cold.size, 0),
      isEnough: () => inMemory() >= this.#visitorsMax
    }
  }

  /** @param readFrom `openHistories.from` */
  preload(readFrom: number): VisitHistory {
    return (partition, history) => this.#processor.preload(partition, history, readFrom, this.#visitorsMax)
  }
}

/** Reads back what the cores of the processor still miss. */
export const recollect = Effect.fnUntraced(
  function*(processor: Processor, visitorsMax: number): Effect.fn.Return<void, WarehouseError, StateStore> {
    const store = yield* StateStore
    const recollection = new Recollection(processor, visitorsMax)
    yield* store.openVisitors(recollection.bounds, recollection.visitor)
    recollection.visitorsComplete()
    yield* store.seenIds(recollection.bounds, recollection.ids)
    recollection.idsComplete()
    const request = recollection.openHistories
    if (request.visitors > 0) yield* store.openHistories(request, recollection.preload(request.from))
  }
)
