/**
 * Runs a scenario: the real core, flush and recovery over a log and a warehouse in memory, with crashes between any two writes,
 * writes whose answer is lost, blocks that land in part, flushes repeated, two owners of the partitions at once, odd batch
 * boundaries and evictions. Afterwards everything must equal the oracle. Returns the broken promises; none is good.
 */
import type { EventBatch } from "../../src/domain/EventBatch.ts"
import type { Offset, Partition } from "../../src/domain/Identifiers.ts"
import { isConserved } from "../../src/domain/Outcome.ts"
import type { Flush } from "../../src/pipeline/Processor.ts"
import { Processor, recordHash } from "../../src/pipeline/Processor.ts"
import { PartitionCore, startPosition } from "../../src/sessionizer/PartitionCore.ts"
import type { TableBlock } from "../../src/warehouse/TableBlock.ts"
import { decodedBatch, encoded } from "../support/EventBatches.ts"
import { check } from "./Checks.ts"
import { MemoryWarehouse } from "./MemoryWarehouse.ts"
import type { LogRecord, Scenario } from "./Scenario.ts"

/** Owners alive at once: more than one means that the others are zombies. */
const ownersMax = 3

export const simulate = (scenario: Scenario): ReadonlyArray<string> => {
  const warehouse = new MemoryWarehouse()
  const decide = decisions(scenario.decisions)
  const owners: Array<Owner> = [new Owner(scenario, warehouse, 0)]
  let runs = 1
  /** Owners take turns of some three actions: a zombie must sleep long enough for its successor to get ahead. */
  let turn = 0
  while (decide.left > 0) {
    const drawn = decide(3 * owners.length)
    if (drawn < owners.length) turn = drawn
    turn = Math.min(turn, owners.length - 1)
    const owner = owners[turn]!
    const action = decide(20)
    if (action < 5) owner.read(1 + decide(6))
    else if (action < 7) owner.cut()
    else if (action < 13) owner.write()
    else if (action === 13) owner.writeWithoutAnswer()
    else if (action === 14) owner.evict()
    else if (action < 18) {
      // The owner dies, perhaps with half a block on its way.
      owner.writePart((row) => decide(2) === row % 2)
      owners.splice(owners.indexOf(owner), 1)
      if (owners.length === 0) owners.push(new Owner(scenario, warehouse, runs++))
    } else if (owners.length < ownersMax) owners.push(new Owner(scenario, warehouse, runs++))
  }
  const last = new Owner(scenario, warehouse, runs)
  last.drain()
  return [...warehouse.violations, ...check(scenario, warehouse)]
}

interface Decide {
  (choices: number): number
  readonly left: number
}

/** Draws from the scenario's numbers; when they are used up the run winds down. */
const decisions = (numbers: ReadonlyArray<number>): Decide => {
  let at = 0
  const decide = (choices: number) => (numbers[at++] ?? 0) % choices
  return Object.defineProperty(decide, "left", { get: () => numbers.length - at }) as never
}

/** One pipeline process. */
class Owner {
  readonly #scenario: Scenario
  readonly #warehouse: MemoryWarehouse
  readonly #processor: Processor
  readonly #partitions: ReadonlyArray<Partition>
  #flush: Flush | undefined = undefined
  #pending: Array<TableBlock> = []

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
    const open = warehouse.openVisitors(cores.map(({ partition, reachableFrom }) => ({ partition, reachableFrom })))
    for (const core of cores) this.#processor.own(core, open.filter(({ partition }) => partition === core.partition))
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
    this.#pending = this.#flush?.steps.flat() ?? []
  }

  write(): void {
    const block = this.#pending.shift()
    if (block === undefined) return
    this.#warehouse.write(block)
    if (this.#pending.length > 0) return
    this.#processor.flushed(this.#flush!)
    this.#flush = undefined
  }

  /** The write succeeds, but its answer is lost: it will be written again. */
  writeWithoutAnswer(): void {
    if (this.#pending[0] !== undefined) this.#warehouse.write(this.#pending[0])
  }

  writePart(lands: (row: number) => boolean): void {
    if (this.#pending[0] !== undefined) this.#warehouse.write(this.#pending[0], lands)
  }

  evict(): void {
    this.#processor.evict(0)
  }

  drain(): void {
    while (this.#flush !== undefined) this.write()
    this.read(Number.MAX_SAFE_INTEGER)
    this.cut()
    while (this.#flush !== undefined) this.write()
  }
}

const batch = (partition: Partition, records: ReadonlyArray<LogRecord>): EventBatch =>
  decodedBatch(
    partition,
    records.map((record) => ({ offset: record.offset, appendedAt: record.appendedAt, value: bytes(record) }))
  )

/** Says that it is of our schema, and then has a text of more bytes than there are. */
const junk = Buffer.from([0, 0, 0, 0, 1, 0xfe, 0xff, 0x7f, 1])

const bytes = (record: LogRecord): Uint8Array => record.event === undefined ? junk : encoded(record.event)
