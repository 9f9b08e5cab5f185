/**
 * A private, real Kafka cluster: combined brokers and controllers (KRaft) on free ports of the loopback, their data in a temporary
 * folder, or in one that is kept. Signals are its faults. Linux: nodes die with the process that started them.
 */
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { closeSync, existsSync, openSync, readFileSync } from "node:fs"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import type { AddressInfo } from "node:net"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { BrokerConnection } from "../../log/kafka/BrokerConnection.ts"
import { clientConfig } from "../../log/kafka/KafkaSettings.ts"
import { metadataKey, metadataRequest } from "../../log/kafka/Requests.ts"
import { download, java, run } from "./Downloads.ts"

const host = "127.0.0.1"

export interface ClusterOptions {
  /** 1 or 3. */
  readonly nodes: number
  /** Where its data is kept: the next start in it goes on, on the same ports. Absent: a temporary folder, removed at the end. */
  readonly folder?: string
  /** Heap of each node, MiB. */
  readonly heapMb?: number
  /** More, or other, settings of the brokers. */
  readonly config?: Readonly<Record<string, string | number | boolean>>
  /** A second way to each node: TLS and a log-in, by PLAIN and SCRAM. */
  readonly secured?: Secured
  /** Compile with C2 too: slower to start, faster to run. */
  readonly fullJit?: boolean
}

export interface Secured {
  /** PEM of the brokers' certificate and of its key (PKCS 8). */
  readonly certificate: string
  readonly key: string
  readonly username: string
  readonly password: string
}

interface Node {
  readonly id: number
  readonly securedPort: number
  readonly port: number
  readonly controllerPort: number
  process: ChildProcess | undefined
}

export class KafkaCluster {
  readonly folder: string
  readonly #options: ClusterOptions
  readonly #java: string
  readonly #jars: string
  readonly #nodes: ReadonlyArray<Node>
  readonly #onExit = () => {
    for (const node of this.#nodes) node.process?.kill("SIGKILL")
  }

  private constructor(folder: string, java: string, jars: string, nodes: ReadonlyArray<Node>, options: ClusterOptions) {
    this.folder = folder
    this.#java = java
    this.#jars = jars
    this.#nodes = nodes
    this.#options = options
    process.on("exit", this.#onExit)
  }

  /** Formats, starts, and waits until every node knows every other one. */
  static async start(options: ClusterOptions): Promise<KafkaCluster> {
    const { command, jars } = await kafkaServer()
    const folder = options.folder ?? await mkdtemp(join(tmpdir(), "guardian-kafka-"))
    await mkdir(folder, { recursive: true })
    const kept = await keptPorts(folder)
    const ports = kept ?? await freePorts(options.nodes * 3)
    const nodes = Array.from({ length: options.nodes }, (_, i): Node => ({
      id: i + 1,
      port: ports[3 * i]!,
      controllerPort: ports[3 * i + 1]!,
      securedPort: ports[3 * i + 2]!,
      process: undefined
    }))
    const cluster = new KafkaCluster(folder, command, jars, nodes, options)
    try {
      if (kept === undefined) {
        await cluster.#format()
        await writeFile(join(folder, portsFile), JSON.stringify(ports))
      }
      for (const node of nodes) cluster.#spawn(node)
      await cluster.ready()
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  /** In the order of ids. */
  get brokers(): ReadonlyArray<string> {
    return this.#nodes.map(({ port }) => `${host}:${port}`)
  }

  /** The same, for who logs in. */
  get securedBrokers(): ReadonlyArray<string> {
    return this.#nodes.map(({ securedPort }) => `${host}:${securedPort}`)
  }

  get ids(): ReadonlyArray<number> {
    return this.#nodes.map(({ id }) => id)
  }

  get jars(): string {
    return this.#jars
  }

  /** SIGKILL: the machine loses power. Done when the process is gone. */
  async kill(id: number): Promise<void> {
    const child = this.#node(id).process
    if (child === undefined) return
    await new Promise<void>((resolve) => {
      child.once("exit", () => resolve())
      child.kill("SIGKILL")
    })
  }

  /** SIGSTOP: its sockets stay open and nobody answers. */
  pause(id: number): void {
    this.#node(id).process?.kill("SIGSTOP")
  }

  resume(id: number): void {
    this.#node(id).process?.kill("SIGCONT")
  }

  /** Starts a killed node again on its ports and data; done when it is back in. */
  async restart(id: number): Promise<void> {
    await this.kill(id)
    this.#spawn(this.#node(id))
    await this.ready()
  }

  /** Waits until every running node says that every running node is there. */
  async ready(withinMs = 60_000): Promise<void> {
    const deadline = Date.now() + withinMs
    const running = this.#nodes.filter(({ process: child }) => child !== undefined)
    for (const node of running) {
      for (;;) {
        const seen = await liveBrokers(node.port).catch((): ReadonlyArray<number> => [])
        if (running.every(({ id }) => seen.includes(id))) break
        if (node.process === undefined) throw new Error(`node ${node.id} died:\n${this.log(node.id)}`)
        if (Date.now() > deadline) throw new Error(`node ${node.id} is not ready, it sees brokers [${seen.join()}]`)
        await pause(50)
      }
    }
  }

  /** The end of a node's log. */
  log(id: number): string {
    return readFileSync(join(this.folder, `${id}.log`), "utf8").slice(-4_000)
  }

  /** Kills every node and removes the data, unless it is to be kept: nodes take a crash for what it is. */
  async stop(): Promise<void> {
    await Promise.all(this.ids.map((id) => this.kill(id)))
    process.off("exit", this.#onExit)
    if (this.#options.folder === undefined) await rm(this.folder, { recursive: true, force: true })
  }

  #node(id: number): Node {
    const node = this.#nodes.find((each) => each.id === id)
    if (node === undefined) throw new Error(`there is no node ${id}`)
    return node
  }

  async #format(): Promise<void> {
    const clusterId = makeClusterId(randomBytes(16))
    await Promise.all(this.#nodes.map(async (node) => {
      const file = join(this.folder, `${node.id}.properties`)
      const lines = Object.entries(this.#config(node)).map(([key, value]) => `${key}=${value}`)
      await writeFile(file, `${lines.join("\n")}\n`)
      await run(this.#java, [
        "-Xmx64m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-cp",
        join(this.#jars, "*"),
        "kafka.tools.StorageTool",
        "format",
        "-t",
        clusterId,
        "-c",
        file,
        ...this.#options.secured === undefined ? [] : scramUsers(this.#options.secured)
      ])
    }))
  }

  #config(node: Node): Readonly<Record<string, string | number | boolean>> {
    const replicas = Math.min(3, this.#nodes.length)
    const voters = this.#nodes.map(({ controllerPort, id }) => `${id}@${host}:${controllerPort}`).join(",")
    return {
      "process.roles": "broker,controller",
      "node.id": node.id,
      "controller.quorum.voters": voters,
      "controller.listener.names": "CONTROLLER",
      "listeners": `PLAINTEXT://${host}:${node.port},CONTROLLER://${host}:${node.controllerPort}`,
      "advertised.listeners": `PLAINTEXT://${host}:${node.port}`,
      "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
      "log.dirs": join(this.folder, String(node.id)),
      "default.replication.factor": replicas,
      "min.insync.replicas": Math.min(2, replicas),
      "offsets.topic.replication.factor": replicas,
      "transaction.state.log.replication.factor": replicas,
      "transaction.state.log.min.isr": Math.min(2, replicas),
      "share.coordinator.state.topic.replication.factor": replicas,
      "share.coordinator.state.topic.min.isr": Math.min(2, replicas),
      "offsets.topic.num.partitions": 6,
      "transaction.state.log.num.partitions": 2,
      "share.coordinator.state.topic.num.partitions": 2,
      "group.initial.rebalance.delay.ms": 0,
      "group.min.session.timeout.ms": 1_000,
      "auto.create.topics.enable": false,
      // A small machine: few threads, and buffers that fit the heap.
      "num.network.threads": 2,
      "num.io.threads": 2,
      "background.threads": 2,
      "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
      ...this.#options.secured === undefined ? {} : securedConfig(node, this.#options.secured),
      ...this.#options.config
    }
  }

  #spawn(node: Node): void {
    const log = openSync(join(this.folder, `${node.id}.log`), "a")
    const { fullJit = false, heapMb = 256 } = this.#options
    const command = [
      this.#java,
      "-Xms64m",
      `-Xmx${heapMb}m`,
      "-XX:+UseSerialGC",
      ...fullJit ? [] : ["-XX:TieredStopAtLevel=1"],
      "-XX:+ExitOnOutOfMemoryError",
      "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
      "-Dorg.slf4j.simpleLogger.showDateTime=true",
      "-cp",
      join(this.#jars, "*"),
      "kafka.Kafka",
      join(this.folder, `${node.id}.properties`)
    ]
    // The kernel ends the node when this process dies in any way.
    if (existsSync("/usr/bin/setpriv")) command.unshift("/usr/bin/setpriv", "--pdeathsig", "KILL")
    // Detached: Ctrl-C in a terminal goes to the parent, which stops its brokers last.
    const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", log, log], detached: true })
    closeSync(log)
    node.process = child
    child.once("exit", () => {
      if (node.process === child) node.process = undefined
    })
  }
}

const scramUsers = ({ password, username }: Secured): ReadonlyArray<string> =>
  ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((
    mechanism
  ) => ["--add-scram", `${mechanism}=[name=${username},password=${password}]`])

const securedConfig = ({ controllerPort, port, securedPort }: Node, secured: Secured) => {
  const { certificate, key, password, username } = secured
  const own = "listener.name.secured"
  const module = "org.apache.kafka.common.security"
  const line = (pem: string) => pem.trim().replaceAll("\n", "\\n")
  return {
    "listeners": `PLAINTEXT://${host}:${port},SECURED://${host}:${securedPort},CONTROLLER://${host}:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://${host}:${port},SECURED://${host}:${securedPort}`,
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL",
    "inter.broker.listener.name": "PLAINTEXT",
    [`${own}.sasl.enabled.mechanisms`]: "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    [`${own}.plain.sasl.jaas.config`]: `${module}.plain.PlainLoginModule required user_${username}="${password}";`,
    [`${own}.scram-sha-256.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
    [`${own}.scram-sha-512.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
    [`${own}.ssl.keystore.type`]: "PEM",
    [`${own}.ssl.keystore.certificate.chain`]: line(certificate),
    [`${own}.ssl.keystore.key`]: line(key)
  }
}

/** Ids of the brokers that are there, as one of them sees it. */
const liveBrokers = async (port: number): Promise<ReadonlyArray<number>> => {
  const connection = await BrokerConnection.open(clientConfig({ brokers: [`${host}:${port}`] }), { host, port })
  try {
    const metadata = await connection.request(metadataRequest("none", connection.versionMax(metadataKey)))
    return [...metadata.brokers.keys()]
  } finally {
    connection.close()
  }
}

/** Written when the nodes' storage is formatted. */
const portsFile = "ports.json"

const keptPorts = async (folder: string): Promise<ReadonlyArray<number> | undefined> => {
  const text = await readFile(join(folder, portsFile), "utf8").catch(() => undefined)
  return text === undefined ? undefined : JSON.parse(text) as ReadonlyArray<number>
}

/** What runs a node: fetched when it is not there, or a word on what to install. */
export const kafkaServer = async () => ({
  command: await java(17),
  jars: await download("kafka.pom.xml", copyDependencies)
})

/** Maven's goal that puts the jars of a pom into a folder. */
export const copyDependencies = (folder: string): ReadonlyArray<string> => [
  "dependency:copy-dependencies",
  "-DincludeScope=runtime",
  `-DoutputDirectory=${folder}`
]

/** All are open at once, so that none is given twice. */
export const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const servers = await Promise.all(Array.from(
    { length: count },
    () =>
      new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
        const server = createServer().once("error", reject)
        server.listen(0, host, () => resolve(server))
      })
  ))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}

/** Sixteen bytes as Kafka writes them. One of 64 such ids would begin with "-", which its tool takes for an option: these do not. */
export const makeClusterId = (bytes: Buffer): string =>
  Buffer.from([bytes[0]! & 0x7f, ...bytes.subarray(1)]).toString("base64url")
