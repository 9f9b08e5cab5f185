/**
 * One connection to one broker, for requests that kafkajs cannot make or decodes too dearly. It stands on kafkajs's own
 * connection, which brings TLS, SASL, the queue of requests and their timeouts; the version is pinned because this is not its
 * public face.
 */
import type { KafkaConfig } from "kafkajs"
import { createRequire } from "node:module"
import { requestTimeoutMs } from "./KafkaSettings.ts"

export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** A request as bytes (what follows the client's id in the header) and how to read its answer (what follows the correlation id). */
export interface WireRequest<Answer> {
  readonly apiKey: number
  readonly apiName: string
  readonly apiVersion: number
  readonly body: Buffer
  readonly decode: (answer: Buffer) => Answer
}

interface Connection {
  send(request: object): Promise<unknown>
  rejectRequests(error: Error): void
  disconnect(): Promise<unknown>
  readonly socket?: { destroy(): void }
}

interface Pool {
  getConnection(index: number): Promise<Connection>
  destroy(): Promise<unknown>
}

interface Broker {
  connect(): Promise<void>
  readonly versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>
}

const require = createRequire(import.meta.url)
const BrokerClass = require("kafkajs/src/broker") as new(options: object) => Broker
const poolBuilder = require("kafkajs/src/cluster/connectionPoolBuilder") as (
  options: object
) => { build(address: BrokerAddress): Promise<Pool> }
const Encoder = require("kafkajs/src/protocol/encoder") as new() => { writeBuffer(bytes: Buffer): object }
const { createLogger } = require("kafkajs/src/loggers") as { createLogger(options: object): object }
const defaultSocketFactory = require("kafkajs/src/network/socketFactory") as () => object

/** Nothing is logged: see `KafkaSettings.ts`. */
const logger = createLogger({ level: 0, logCreator: () => () => undefined })

export class BrokerConnection {
  readonly #connection: Connection
  readonly #broker: Broker

  private constructor(connection: Connection, broker: Broker) {
    this.#connection = connection
    this.#broker = broker
  }

  /** Connects and authenticates. */
  static async open(config: KafkaConfig, address: BrokerAddress): Promise<BrokerConnection> {
    const pool = await poolBuilder({ ...config, socketFactory: defaultSocketFactory(), logger }).build(address)
    const broker = new BrokerClass({ connectionPool: pool, logger, authenticationTimeout: 10_000 })
    try {
      await broker.connect()
      return new BrokerConnection(await pool.getConnection(0), broker)
    } catch (error) {
      void pool.destroy().catch(() => undefined)
      throw error
    }
  }

  /** The newest version of a request that the broker takes; -1 when it knows none. */
  versionMax(apiKey: number): number {
    return this.#broker.versions[apiKey]?.maxVersion ?? -1
  }

  /** Rejects when the connection breaks or the answer takes longer than `timeoutMs`. */
  async request<Answer>(request: WireRequest<Answer>, timeoutMs: number = requestTimeoutMs): Promise<Answer> {
    const { apiKey, apiName, apiVersion, body, decode } = request
    return await this.#connection.send({
      request: { apiKey, apiName, apiVersion, encode: async () => new Encoder().writeBuffer(body) },
      response: {
        decode: async (answer: Buffer) => ({ clientSideThrottleTime: 0, answer }),
        parse: async ({ answer }: { readonly answer: Buffer }) => decode(answer)
      },
      requestTimeout: timeoutMs,
      logResponseError: false
    }) as Answer
  }

  /** Ends it now; what is under way is rejected. */
  close(): void {
    this.#connection.rejectRequests(new Error("the connection was closed"))
    void this.#connection.disconnect().catch(() => undefined)
    this.#connection.socket?.destroy()
  }
}
