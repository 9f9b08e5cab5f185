/** Which log and which schema registry a command uses: `--log`, or what the environment says. */
import { Config, Effect, Option, Redacted } from "effect"
import { Flag, GlobalFlag } from "effect/cli"
import { readFile } from "node:fs/promises"
import type { GroupOptions } from "../log/kafka/GroupMembership.ts"
import type { KafkaEventLogOptions } from "../log/kafka/KafkaEventLog.ts"
import type { KafkaSasl, KafkaTls } from "../log/kafka/KafkaSettings.ts"
import type { Compression } from "../log/kafka/Lanes.ts"
import type { HttpSchemaRegistryOptions } from "../log/registry/HttpSchemaRegistry.ts"
import type { Variable } from "./Environment.ts"
import { logVariables, SettingsError } from "./Environment.ts"

const kinds = ["sqlite", "kafka"] as const
export type LogKind = typeof kinds[number]

/** Of every command. */
export const LogFlag = GlobalFlag.Setting("log")({
  flag: Flag.Literals("log", kinds).pipe(
    Flag.withDescription("Where the log is (else GUARDIAN_LOG, or sqlite)"),
    Flag.optional
  )
})

const text = (variable: Variable): Effect.Effect<string, SettingsError> =>
  Config.String(variable.name).pipe(
    Config.withDefault(""),
    Effect.mapError((error) => new SettingsError({ message: error.message }))
  )

const secret = (variable: Variable): Effect.Effect<Redacted.Redacted, SettingsError> =>
  Config.Redacted(variable.name).pipe(
    Config.withDefault(Redacted.make("")),
    Effect.mapError((error) => new SettingsError({ message: error.message }))
  )

/** One of some words, or what holds when the variable is not set. */
const choice = <const Word extends string>(
  variable: Variable,
  words: ReadonlyArray<Word>
): Effect.Effect<Word, SettingsError> =>
  Effect.flatMap(text(variable), (found) => {
    const word = words.find((each) => each === (found === "" ? variable.fallback : found))
    return word === undefined ?
      Effect.fail(new SettingsError({ message: `${variable.name} must be ${words.join(" or ")}, not "${found}"` })) :
      Effect.succeed(word)
  })

const number = (variable: Variable): Effect.Effect<number, SettingsError> =>
  Effect.flatMap(text(variable), (found) => {
    const value = found === "" ? Number(variable.fallback) : /^\d+$/.test(found) ? Number(found) : Number.NaN
    return Number.isSafeInteger(value) && value > 0 ?
      Effect.succeed(value) :
      Effect.fail(new SettingsError({ message: `${variable.name} must be a whole number above 0, not "${found}"` }))
  })

export const logKind: Effect.Effect<LogKind, SettingsError> = Effect.gen(function*() {
  const flag = Option.flatten(yield* Effect.serviceOption(LogFlag))
  return Option.isSome(flag) ? flag.value : yield* choice(logVariables.log, kinds)
})

const file = (variable: Variable): Effect.Effect<string | undefined, SettingsError> =>
  Effect.flatMap(text(variable), (path) =>
    path === "" ? Effect.succeed(undefined) : Effect.tryPromise({
      try: () => readFile(path, "utf8"),
      catch: (cause) => new SettingsError({ message: `${variable.name}: ${(cause as Error).message}` })
    }))

const tls: Effect.Effect<KafkaTls | undefined, SettingsError> = Effect.gen(function*() {
  if ((yield* choice(logVariables.tls, ["off", "on"])) === "off") return undefined
  const key = yield* file(logVariables.tlsKey)
  return {
    ca: yield* file(logVariables.tlsCa),
    certificate: yield* file(logVariables.tlsCertificate),
    key: key === undefined ? undefined : Redacted.make(key)
  }
})

const sasl: Effect.Effect<KafkaSasl | undefined, SettingsError> = Effect.gen(function*() {
  const mechanism = yield* choice(logVariables.sasl, ["off", "plain", "scram-sha-256", "scram-sha-512"])
  if (mechanism === "off") return undefined
  const username = yield* text(logVariables.username)
  const password = yield* secret(logVariables.password)
  if (username === "" || Redacted.value(password) === "") {
    return yield* new SettingsError({
      message:
        `${logVariables.sasl.name}=${mechanism} needs ${logVariables.username.name} and ${logVariables.password.name}`
    })
  }
  return { mechanism, username, password }
})

const address = Effect.gen(function*() {
  const named = (yield* text(logVariables.brokers)) || logVariables.brokers.fallback
  const brokers = named.split(",").map((broker) => broker.trim()).filter((broker) => broker !== "")
  const wrong = brokers.find((broker) => !isAddress(broker))
  if (wrong !== undefined || brokers.length === 0) {
    return yield* new SettingsError({
      message: `${logVariables.brokers.name} must be HOST:PORT, separated by commas, not "${wrong ?? named}"`
    })
  }
  return {
    brokers,
    topic: (yield* text(logVariables.topic)) || logVariables.topic.fallback,
    tls: yield* tls,
    sasl: yield* sasl
  }
})

const isAddress = (broker: string): boolean => {
  const port = /^(?:[^\s:[\]]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(broker)?.[1]
  return port !== undefined && Number(port) > 0 && Number(port) <= 65_535
}

/** What topic and group are called. */
export const kafkaNames = Effect.gen(function*() {
  return {
    topic: (yield* text(logVariables.topic)) || logVariables.topic.fallback,
    group: (yield* text(logVariables.group)) || logVariables.group.fallback
  }
})

/** The log on Kafka. Null partitions: a missing topic is an error, none is made. */
export const kafkaLog = Effect.fnUntraced(function*(
  partitions: number | undefined | null
): Effect.fn.Return<KafkaEventLogOptions, SettingsError> {
  const compression: Compression = yield* choice(logVariables.compression, ["zstd", "gzip", "none"])
  const create = {
    partitions: partitions ?? undefined,
    replicationFactor: yield* number(logVariables.replication),
    minInsyncReplicas: yield* number(logVariables.minInsync),
    retentionMs: yield* number(logVariables.retentionMs)
  }
  return { ...yield* address, compression, create: partitions === null ? null : create }
})

export const kafkaGroup: Effect.Effect<GroupOptions, SettingsError> = Effect.gen(function*() {
  return { ...yield* address, groupId: (yield* text(logVariables.group)) || logVariables.group.fallback }
})

/** The registry to ask over HTTP; undefined: the one in the data directory. */
export const httpRegistry: Effect.Effect<HttpSchemaRegistryOptions | undefined, SettingsError> = Effect.gen(
  function*() {
    const url = yield* text(logVariables.registryUrl)
    if (url === "") return undefined
    const username = yield* text(logVariables.registryUsername)
    return {
      url,
      username: username === "" ? undefined : username,
      password: yield* secret(logVariables.registryPassword)
    }
  }
)
