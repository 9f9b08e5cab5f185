/**
 * Runs a scenario: the real core, flush and recovery over a log and a warehouse in memory, with crashes between any two writes,
 * writes whose answer is lost, blocks that land in part, flushes repeated, two owners of the partitions at once, odd batch
 * boundaries and evictions. Afterwards everything must equal the oracle. Returns the broken promises; none is good.
 */
import type { EventBatch } from "../../src/domain/EventBatch.ts"
import type { EpochMillis, Offset, Partition } from "../../src/domain/Identifiers.ts"
import { isConserved } from "../../src/domain/Outcome.ts"
import { endMarkers } from "../../src/log/ControlRecords.ts"
import type { Flush } from "../../src/pipeline/Processor.ts"
import { Processor, recordHash } from "../../src/pipeline/Processor.ts"
import { Recollection } from "../../src/pipeline/Recollection.ts"
import { PartitionCore, startPosition } from "../../src/sessionizer/PartitionCore.ts"
import type { SeenIdsTaker, VisitOpenVisitor } from "../../src/warehouse/StateStore.ts"
import type { TableBlock } from "../../src/warehouse/TableBlock.ts"
import { decodedBatch, encoded } from "../support/EventBatches.ts"
import type { Action, Landing } from "./Actions.ts"
import { allSteps, landingBits } from "./Actions.ts"
import { check } from "./Checks.ts"
import { MemoryWarehouse } from "./MemoryWarehouse.ts"
import type { LogRecord, Scenario } from "./Scenario.ts"

/** Visitors of a partition that are read back before they are seen: few, so that some are not. */
const visitorsMax = 12
/** Owners alive at once: more than one means that the others are zombies. */
const ownersMax = 3

export const simulate = (scenario: Scenario): ReadonlyArray<string> => {
  const warehouse = new MemoryWarehouse()
  let runs = 0
  const start = () => new Owner(scenario, warehouse, runs++)
  let owner = start()
  const owners: Array<Owner> = [owner]
  for (const action of scenario.actions) {
    if (action.do === "die") {
      if (action.steps > 0) owner.flush(action.steps)
      owner.writePart(action.lands)
      owners.splice(owners.indexOf(owner), 1)
      if (owners.length === 0) owners.push(start())
      owner = owners.at(-1)!
    } else if (action.do === "succeed") {
      if (owners.length === ownersMax) continue
      owner = start()
      owners.push(owner)
    } else if (action.do === "turn") owner = owners[action.owner % owners.length]!
    else perform(owner, action)
  }
  start().drain()
  return [...warehouse.violations, ...check(scenario, warehouse)]
}

const perform = (owner: Owner, action: Exclude<Action, { readonly do: "die" | "succeed" | "turn" }>): void => {
  if (action.do === "read") owner.read(action.records)
  else if (action.do === "cut") owner.cut()
  else if (action.do === "write") owner.write(action.block)
  else if (action.do === "flush") owner.flush(action.steps)
  else if (action.do === "lose") owner.writePart(action.lands)
  else if (action.do === "recollect") owner.recollect(action.steps)
  else owner.evict()
}

/** One pipeline process. */
class Owner {
  readonly #scenario: Scenario
  readonly #warehouse: MemoryWarehouse
  readonly #processor: Processor
  readonly #partitions: ReadonlyArray<Partition>
  readonly #recollecting = this.#recollect()
  #flush: Flush | undefined = undefined
  /** Steps of the flush that are not written yet; of the first, what is left of it. */
  #pending: Array<Array<TableBlock>> = []

  constructor(scenario: Scenario, warehouse: MemoryWarehouse, run: number) {
    this.#scenario = scenario
    this.#warehouse = warehouse
    this.#partitions = scenario.log.map((_, partition) => partition as Partition)
    this.#processor = new Processor({
      logId: "log",
      partitions: scenario.log.length,
      runId: `run-${run}`,
      settings: scenario.settings
    })
    const checkpoints = new Map(warehouse.checkpoints().map((checkpoint) => [checkpoint.partition, checkpoint]))
    const cores = this.#partitions.map((partition) =>
      new PartitionCore(
        partition,
        scenario.settings,
        checkpoints.get(partition)?.position ?? startPosition(0 as Offset)
      )
    )
    for (const [partition, { position, recordHash: hash }] of checkpoints) {
      if (!isConserved(position.counts)) {
        warehouse.violations.push(`partition ${partition}: not conserved at ${position.offset}`)
      }
      const before = scenario.log[partition]![position.offset - 1]!
      if (recordHash(bytes(before)) !== hash) {
        warehouse.violations.push(`partition ${partition}: the checkpoint at ${position.offset} names another record`)
      }
    }
    for (const core of cores) this.#processor.own(core)
  }

  /**
   * The next steps of reading the past back: a question to the warehouse, taking in its answer, and the same for ids. Between a
   * question and its answer anything may happen.
   */
  recollect(steps: number): void {
    for (let step = 0; step < steps; step++) this.#recollecting.next()
  }

  *#recollect(): Generator<void, void> {
    const recollection = new Recollection(this.#processor, visitorsMax)
    const visitors: Array<Parameters<VisitOpenVisitor>> = []
    this.#warehouse.openVisitors(recollection.bounds, (...visitor) => visitors.push(visitor))
    yield
    for (const visitor of visitors) recollection.visitor(...visitor)
    recollection.visitorsComplete()
    yield
    const ids: Array<Parameters<SeenIdsTaker["take"]>> = []
    this.#warehouse.seenIds(recollection.bounds, {
      expect: recollection.ids.expect,
      take: (...each) => ids.push(each)
    })
    yield
    for (const each of ids) recollection.ids.take(...each)
    recollection.idsComplete()
    yield
    const request = recollection.openHistories
    const histories = this.#warehouse.openHistories(request)
    yield
    for (const { history, partition } of histories) recollection.preload(request.from)(partition, history)
  }

  /** Reads the next records of every partition, a few of each. */
  read(count: number): void {
    const batches = this.#processor.cores.map(({ nextOffset, partition }) =>
      batch(partition, this.#scenario.log[partition]!.slice(nextOffset, nextOffset + count))
    )
    const missing = this.#processor.missing(batches)
    if (missing !== undefined) {
      for (const { history, partition } of this.#warehouse.histories(missing)) this.#processor.load(partition, history)
    }
    for (const each of batches) this.#processor.step(each)
  }

  cut(): void {
    if (this.#flush !== undefined) return
    this.#flush = this.#processor.cut()
    this.#pending = this.#flush?.steps.map((step) => [...step]) ?? []
  }

  /** Writes one block of the step: they are under way side by side. */
  write(block: number): void {
    const step = this.#pending[0]
    if (step === undefined) return
    this.#warehouse.write(step.splice(block % step.length, 1)[0]!)
    if (step.length > 0) return
    this.#pending.shift()
    if (this.#pending.length > 0) return
    this.#processor.flushed(this.#flush!)
    this.#flush = undefined
  }

  flush(steps: number): void {
    this.cut()
    const left = Math.max(0, this.#pending.length - steps)
    while (this.#pending.length > left) this.write(0)
  }

  /** Some rows of the step land, and nobody hears of it. */
  writePart(lands: Landing): void {
    let row = 0
    for (const block of this.#pending[0] ?? []) {
      const first = row
      this.#warehouse.write(block, (index) => (lands >> ((first + index) % landingBits) & 1) === 1)
      row += block.rows
    }
  }

  evict(): void {
    this.#processor.evict(0)
  }

  drain(): void {
    this.read(Number.MAX_SAFE_INTEGER)
    this.flush(allSteps)
  }
}

const batch = (partition: Partition, records: ReadonlyArray<LogRecord>): EventBatch =>
  decodedBatch(
    partition,
    records.map((record) => ({
      offset: record.offset,
      appendedAt: record.appendedAt,
      value: bytes(record),
      headers: headersOf(record)
    }))
  )

const headersOf = ({ control }: LogRecord) =>
  control === undefined ? undefined : endMarkers(1, control as EpochMillis)[0]!.headers

/** Says that it is of our schema, and then has a text of more bytes than there are. */
const junk = Buffer.from([0, 0, 0, 0, 1, 0xfe, 0xff, 0x7f, 1])

const bytes = (record: LogRecord): Uint8Array => record.event === undefined ? junk : encoded(record.event)
