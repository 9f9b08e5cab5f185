/**
 * An installation for faults: three brokers, a registry, an embedded warehouse that the test holds, `guardian serve` any number of
 * times, and steady messy traffic of which every receipt is kept. `verdict` says in words what does not add up.
 */
import { Effect, Layer, ManagedRuntime } from "effect"
import kafkajs from "kafkajs"
import type { ChildProcess } from "node:child_process"
import { execFile, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { download } from "../../src/cli/cluster/Downloads.ts"
import { copyDependencies, KafkaCluster, kafkaServer } from "../../src/cli/cluster/KafkaCluster.ts"
import { RegistryServer } from "../../src/cli/cluster/RegistryServer.ts"
import { migrated } from "../../src/cli/commands/migrate.ts"
import type { RunningWarehouse } from "../../src/cli/Installation.ts"
import { clientLayer, warehouseLayer } from "../../src/cli/Installation.ts"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { EpochMillis } from "../../src/domain/Identifiers.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import type { Receipt } from "../../src/log/EventLog.ts"
import { ClusterView } from "../../src/log/kafka/ClusterView.ts"
import { findCoordinator } from "../../src/log/kafka/DeadMembers.ts"
import * as KafkaEventLog from "../../src/log/kafka/KafkaEventLog.ts"
import { clientConfig } from "../../src/log/kafka/KafkaSettings.ts"
import * as HttpSchemaRegistry from "../../src/log/registry/HttpSchemaRegistry.ts"
import { SchemaRegistry } from "../../src/log/SchemaRegistry.ts"
import { encodeEvent } from "../../src/log/WireFormat.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { childPids } from "../bench/processes.ts"
import { readAll } from "../log/conformance.ts"
import { oracleViolations } from "../support/OracleCheck.ts"

export const topic = "clickstream"
export const group = "guardian"
const partitions = 6
/** Traffic's own time runs faster than ours, so that sessions end and records come late. */
const eventsPerSecond = 4
const appendEveryMs = 50
const appendRecords = 3
/** Far enough back that the traffic never catches up with the clock. */
const behindMs = 12 * 3_600_000

/** A `guardian serve`. */
export interface Serving {
  readonly child: ChildProcess
  /** All it has printed. */
  readonly output: () => string
  /** The partitions it last said it has; undefined before the first time. */
  readonly partitions: () => ReadonlyArray<number> | undefined
}

/** A line of `kafka-consumer-groups --describe`. */
export interface GroupLine {
  readonly partition: number
  readonly currentOffset: number
  readonly logEndOffset: number
  readonly lag: number
  /** The member that has it; "-": none. */
  readonly consumer: string
}

export class FaultPlace {
  readonly cluster: KafkaCluster
  readonly registry: RegistryServer
  readonly dataDirectory: string
  readonly runtime: ManagedRuntime.ManagedRuntime<EventLog | SchemaRegistry | Warehouse | RunningWarehouse, unknown>
  readonly serving = new Set<Serving>()
  readonly #acknowledged: Array<{ readonly receipt: Receipt; readonly value: string }> = []
  #traffic: Promise<void> | undefined
  #isFlowing = false
  #shop: ShopTraffic | undefined

  private constructor(cluster: KafkaCluster, registry: RegistryServer, dataDirectory: string) {
    this.cluster = cluster
    this.registry = registry
    this.dataDirectory = dataDirectory
    this.runtime = ManagedRuntime.make(
      clientLayer("writer").pipe(
        Layer.provideMerge(warehouseLayer(dataDirectory)),
        Layer.merge(KafkaEventLog.layer({ brokers: cluster.brokers, topic, create: { partitions }, tell: () => {} })),
        Layer.merge(HttpSchemaRegistry.layer({ url: registry.url }))
      )
    )
  }

  static async start(): Promise<FaultPlace> {
    const cluster = await KafkaCluster.start({ nodes: 3, config: { "broker.session.timeout.ms": 6_000 } })
    const registry = await RegistryServer.start()
    const place = new FaultPlace(cluster, registry, await mkdtemp(join(tmpdir(), "guardian-faults-")))
    await place.runtime.runPromise(migrated)
    return place
  }

  async stop(): Promise<void> {
    await this.pauseTraffic()
    await Promise.all([...this.serving].map((each) => this.end(each, "SIGKILL")))
    await this.runtime.dispose()
    await Promise.all([this.cluster.stop(), this.registry.stop()])
    await rm(this.dataDirectory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }

  get environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      GUARDIAN_LOG: "kafka",
      GUARDIAN_KAFKA_BROKERS: this.cluster.brokers.join(","),
      GUARDIAN_REGISTRY_URL: this.registry.url,
      NODE_OPTIONS: "",
      NODE_NO_WARNINGS: "1"
    }
  }

  /** A pipeline; done when it knows which partitions it has. */
  async serve(): Promise<Serving> {
    const serving = this.start(this.dataDirectory)
    await until("the pipeline has joined", async () => serving.partitions() !== undefined)
    return serving
  }

  /** Starts a pipeline, and does not wait for it. */
  start(dataDirectory: string): Serving {
    const child = spawn(process.execPath, [guardian, "serve", "--role", "pipeline", "--data-dir", dataDirectory], {
      env: this.environment,
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text
      })
    }
    const serving: Serving = {
      child,
      output: () => output,
      partitions: () => {
        const found = [...output.matchAll(/partitions of this process: (.*)/g)].at(-1)?.[1]
        return found === undefined ?
          undefined :
          found.startsWith("none") ?
          [] :
          found.split(", ").map(Number.parseFloat)
      }
    }
    this.serving.add(serving)
    return serving
  }

  async end(serving: Serving, signal: NodeJS.Signals): Promise<void> {
    this.serving.delete(serving)
    if (serving.child.exitCode !== null || serving.child.signalCode !== null) return
    await new Promise<void>((resolve) => {
      serving.child.once("exit", () => resolve())
      serving.child.kill(signal)
    })
  }

  /** How many partitions each pipeline has, once every partition has one owner. */
  async spread(): Promise<ReadonlyArray<number>> {
    const owned = () => [...this.serving].map((each) => each.partitions() ?? [])
    await until("each partition has one owner", async () => {
      const all = owned().flat()
      return all.length === partitions && new Set(all).size === partitions
    })
    return owned().map(({ length }) => length).sort((a, b) => b - a)
  }

  /** A command of guardian's to its end. */
  async guardian(...command: ReadonlyArray<string>): Promise<{ readonly code: number; readonly output: string }> {
    const args = [guardian, ...command, "--data-dir", this.dataDirectory]
    const child = spawn(process.execPath, args, { env: this.environment, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text
      })
    }
    const code = await new Promise<number>((resolve) => child.once("close", (found) => resolve(found ?? -1)))
    return { code, output }
  }

  /** Drops all that the log holds; returns how many records went. */
  async trim(): Promise<number> {
    const later = Date.now() + 60_000 as EpochMillis
    return await this.runtime.runPromise(Effect.flatMap(EventLog, (log) => log.trim(later)))
  }

  /** Records that the newest checkpoints have counted. */
  async received(): Promise<number> {
    const sql = `SELECT sum(received) AS received FROM
      (SELECT argMax(counters['received'], offset) AS received FROM checkpoints GROUP BY partition)`
    const [row] = await this.runtime.runPromise(Effect.flatMap(Warehouse, (warehouse) => warehouse.query(sql)))
    return Number(row!["received"])
  }

  /** Appends until `pauseTraffic`: on and on, as acknowledgements allow. */
  async startTraffic(): Promise<void> {
    if (this.#isFlowing) return
    this.#isFlowing = true
    const { log, schemaId } = await this.runtime.runPromise(Effect.gen(function*() {
      const registry = yield* SchemaRegistry
      return { log: yield* EventLog, schemaId: yield* registry.register(`${topic}-value`, avroSchema) }
    }))
    const shop = this.#shop ??= new ShopTraffic({
      seed: 20,
      startMs: Date.now() - behindMs,
      eventsPerSecond,
      visitors: 150,
      mode: "messy"
    })
    const append = async (): Promise<void> => {
      const records = shop.nextRecords(appendRecords, (event) => encodeEvent(schemaId, event))
      const receipts = await this.runtime.runPromise(log.append(records))
      for (const [i, receipt] of receipts.entries()) {
        this.#acknowledged.push({ receipt, value: Buffer.from(records[i]!.value).toString() })
      }
    }
    this.#traffic = (async () => {
      const pending = new Set<Promise<void>>()
      while (this.#isFlowing) {
        // A partition that stalls does not hold up the others, within bounds.
        if (pending.size < appendsMax) {
          const call: Promise<void> = append().finally(() => pending.delete(call))
          pending.add(call)
        }
        await pause(appendEveryMs)
      }
      await Promise.all(pending)
    })()
  }

  /** Done when all that was appended is acknowledged. */
  async pauseTraffic(): Promise<void> {
    this.#isFlowing = false
    await this.#traffic
  }

  get acknowledged(): number {
    return this.#acknowledged.length
  }

  /** Waits until records that come now are acknowledged, and processed. */
  async flowing(): Promise<void> {
    const goal = this.#acknowledged.length + 60
    await until("appends are acknowledged", async () => this.#acknowledged.length >= goal)
    const ends = (await this.ranges()).map(({ end }) => end)
    await until("what is there now is processed", async () => (await this.behind(ends)) === 0)
  }

  /** Stops the traffic, lets the pipelines catch up, and compares what was acknowledged, the log, the database and the oracle. */
  async verdict(): Promise<ReadonlyArray<string>> {
    await this.pauseTraffic()
    const ends = (await this.ranges()).map(({ end }) => end)
    await until("everything is processed", async () => (await this.behind(ends)) === 0)
    const held = await this.runtime.runPromise(readAll)
    const stored = held.reduce((sum, records) => sum + records.length, 0)
    const lost = this.#acknowledged.filter(({ receipt: { offset, partition }, value }) =>
      held[partition]!.find((record) => record.offset === offset)?.value !== value
    )
    const violations = await this.runtime.runPromise(Effect.gen(function*() {
      const place = {
        log: yield* EventLog,
        registry: yield* SchemaRegistry,
        warehouse: yield* Warehouse,
        settings: defaultCoreSettings
      }
      return yield* oracleViolations(place)
    }))
    return [
      ...lost.slice(0, 5).map(({ receipt }) => `lost though acknowledged: ${receipt.partition}/${receipt.offset}`),
      ...stored === this.#acknowledged.length ? [] : [
        `${this.#acknowledged.length} records were acknowledged, ${stored} are in the log`
      ],
      ...violations.slice(0, 10)
    ]
  }

  async ranges() {
    return await this.runtime.runPromise(Effect.flatMap(EventLog, ({ ranges }) => ranges))
  }

  /** Records before these ends that no checkpoint covers. */
  async behind(ends: ReadonlyArray<number>): Promise<number> {
    const rows = await this.runtime.runPromise(Effect.option(Effect.flatMap(
      Warehouse,
      (warehouse) => warehouse.query("SELECT partition, max(offset) AS next FROM checkpoints GROUP BY partition")
    )))
    if (rows._tag === "None") return Infinity
    const next = new Map(rows.value.map((row) => [Number(row["partition"]), Number(row["next"])]))
    return ends.reduce((sum, end, partition) => sum + Math.max(0, end - (next.get(partition) ?? 0)), 0)
  }

  async leaderOf(partition: number): Promise<number> {
    const view = new ClusterView(clientConfig({ brokers: this.cluster.brokers }), topic)
    return (await view.refresh()).leaders[partition]!
  }

  /** The broker that coordinates the consumer group. */
  async coordinator(): Promise<number> {
    return (await findCoordinator(clientConfig({ brokers: this.cluster.brokers }), group)).id
  }

  /** Offsets that tools like kafka-consumer-groups show, by partition. */
  async committed(): Promise<ReadonlyArray<number>> {
    const admin = new kafkajs.Kafka(clientConfig({ brokers: this.cluster.brokers })).admin()
    await admin.connect()
    const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    await admin.disconnect()
    return found!.partitions.sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset))
  }

  /** What the broker's own tool, `kafka-consumer-groups --describe`, says of the group, by partition. */
  async consumerGroup(): Promise<ReadonlyArray<GroupLine>> {
    const { command, jars } = await kafkaServer()
    const tools = await download("kafka-tools.pom.xml", copyDependencies, import.meta.dirname)
    const text = await new Promise<string>((resolve, reject) => {
      const tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
      const ask = ["--bootstrap-server", this.cluster.brokers.join(","), "--describe", "--group", group]
      execFile(
        command,
        ["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", `${tools}/*:${jars}/*`, tool, ...ask],
        (error, stdout, stderr) => error === null ? resolve(stdout) : reject(new Error(stdout + stderr))
      )
    })
    const rows = text.split("\n").map((line) => line.trim().split(/\s+/))
    return rows.filter(([name, of]) => name === group && of === topic).map((cells) => ({
      partition: Number(cells[2]),
      currentOffset: Number(cells[3]),
      logEndOffset: Number(cells[4]),
      lag: Number(cells[5]),
      consumer: cells[6]!
    })).sort((a, b) => a.partition - b.partition)
  }

  /** Records by outcome that the newest checkpoints have counted, all together. */
  async outcomes(): Promise<number> {
    const sql = `SELECT sum(counted) AS counted FROM (SELECT partition, argMax(
        counters['accepted'] + counters['duplicate'] + counters['late'] + counters['rejected'] + counters['dead_lettered'], offset
      ) AS counted FROM checkpoints GROUP BY partition)`
    const [row] = await this.runtime.runPromise(Effect.flatMap(Warehouse, (warehouse) => warehouse.query(sql)))
    return Number(row!["counted"])
  }

  /** Of the warehouse's engine. */
  enginePid(): number {
    const pid = childPids(process.pid).find((each) =>
      readFileSync(`/proc/${each}/cmdline`, "utf8").includes("engineMain")
    )
    if (pid === undefined) throw new Error("the engine does not run")
    return pid
  }
}

/** Appends that may wait at once: more would only say the same of a stall. */
const appendsMax = 100

const guardian = new URL("../../src/cli/main.ts", import.meta.url).pathname

const withinMs = 120_000

/** Waits for a condition; says in the end what did not come true. */
export const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
  const deadline = performance.now() + withinMs
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs / 1000} s: ${what}`)
    await pause(100)
  }
}
