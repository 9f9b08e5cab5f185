/** Where the log's brokers are and how to talk to them; and the kafkajs client that all parts of the adapter share. */
import { Redacted } from "effect"
import kafkajs from "kafkajs"
import type { KafkaConfig, SASLOptions } from "kafkajs"
import { promisify } from "node:util"
import { constants, zstdCompress, zstdDecompress } from "node:zlib"

const { CompressionCodecs, CompressionTypes, logLevel } = kafkajs

export interface KafkaSasl {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512"
  readonly username: string
  readonly password: Redacted.Redacted
}

export interface KafkaTls {
  /** PEM of the authorities to trust; absent: those of Node. */
  readonly ca?: string | undefined
  /** PEM of our own certificate and its key, where brokers ask for one. */
  readonly certificate?: string | undefined
  readonly key?: Redacted.Redacted | undefined
}

export interface KafkaAddress {
  /** "host:port" of some brokers of the cluster. */
  readonly brokers: ReadonlyArray<string>
  readonly clientId?: string | undefined
  readonly tls?: KafkaTls | undefined
  readonly sasl?: KafkaSasl | undefined
}

/** How long a frozen broker can hold one request, ms. */
export const requestTimeoutMs = 3_000

/** Fast enough to follow a failover, capped low so that nothing idles once the new leader is there. */
export const retry = { initialRetryTime: 100, multiplier: 2, factor: 0.2, maxRetryTime: 500 }

/** The settings of kafkajs; reasons are in `shared/reference/kafka/facts.md` of the design. */
export const clientConfig = ({ brokers, clientId = "guardian", sasl, tls }: KafkaAddress): KafkaConfig => ({
  brokers: [...brokers],
  clientId,
  // What goes wrong is told by the adapter itself, once and in words.
  logLevel: logLevel.NOTHING,
  connectionTimeout: 1_000,
  requestTimeout: requestTimeoutMs,
  retry: { ...retry, retries: 30 },
  ...(tls === undefined ? {} : { ssl: tlsOptions(tls) }),
  ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) })
})

const tlsOptions = ({ ca, certificate, key }: KafkaTls) => ({
  ...(ca === undefined ? {} : { ca: [ca] }),
  ...(certificate === undefined ? {} : { cert: certificate }),
  ...(key === undefined ? {} : { key: Redacted.value(key) })
})

const saslOptions = ({ mechanism, password, username }: KafkaSasl): SASLOptions => ({
  mechanism,
  username,
  password: Redacted.value(password)
} as SASLOptions)

/** Zstandard is part of Node; kafkajs only has to be told. */
export const registerZstd = (): void => {
  const compress = promisify(zstdCompress)
  const decompress = promisify(zstdDecompress)
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: (encoder: { readonly buffer: Buffer }) =>
      compress(encoder.buffer, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
    decompress: (buffer: Buffer) => decompress(buffer)
  })
}
