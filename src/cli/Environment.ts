/** Every environment variable that Guardian reads: one table, from which settings are read and `doctor` prints. */
import { Config, Effect, Schema } from "effect"
import { keyPattern } from "../api/Keys.ts"
import { CoreSettings, defaultCoreSettings, defaultReportingSettings, ReportingSettings } from "../domain/Settings.ts"

export interface Variable {
  readonly name: string
  readonly meaning: string
  /** What holds when it is not set, as text. */
  readonly fallback: string
  /** Never shown. */
  readonly secret?: boolean
  /** What it can be; absent: any text. */
  readonly takes?: Takes
}

/** A whole number within bounds (`max` absent: any), one of some words, or names and hashes of keys. */
export type Takes =
  | { readonly kind: "whole"; readonly min: number; readonly max?: number }
  | { readonly kind: "word"; readonly words: ReadonlyArray<string> }
  | { readonly kind: "keys" }

const whole = (min: number, max?: number): Takes => ({ kind: "whole", min, ...(max !== undefined && { max }) })
const word = (...words: ReadonlyArray<string>): Takes => ({ kind: "word", words })
const port = whole(0, 65_535)

type CoreVariable = Variable & { readonly setting: keyof CoreSettings }

/** They decide results: a database belongs to one set of them. */
export const coreVariables: ReadonlyArray<CoreVariable> = ([
  ["GUARDIAN_GAP_MS", "gapMs", "Neighbours of a session are at most this far apart, ms"],
  ["GUARDIAN_LATENESS_MS", "latenessMs", "A record is late when it is further behind the watermark, ms"],
  ["GUARDIAN_FUTURE_MAX_MS", "futureMaxMs", "A record is rejected when it is further ahead of its append time, ms"],
  ["GUARDIAN_REPORTING_CURRENCY", "reportingCurrency", "ISO 4217; revenue sums this currency"],
  ["GUARDIAN_HIGH_FREQUENCY_CLICKS", "highFrequencyClicks", "HIGH_FREQUENCY: more clicks than this in a window"],
  ["GUARDIAN_HIGH_FREQUENCY_WINDOW_MS", "highFrequencyWindowMs", "HIGH_FREQUENCY: tumbling window, ms"],
  ["GUARDIAN_BOT_LIKE_CLICKS", "botLikeClicks", "BOT_LIKE: more clicks than this in a window"],
  ["GUARDIAN_BOT_LIKE_WINDOW_MS", "botLikeWindowMs", "BOT_LIKE: window, ms"],
  ["GUARDIAN_BOT_LIKE_SLIDE_MS", "botLikeSlideMs", "BOT_LIKE: a window begins every so many ms"],
  ["GUARDIAN_BOT_LIKE_DIVERSITY", "botLikeDiversity", "BOT_LIKE: unique items / clicks must be below this"]
] as const).map(([name, setting, meaning]) => ({
  name,
  setting,
  meaning,
  fallback: String(defaultCoreSettings[setting])
}))

/** They decide how figures are reported; they may change. */
export const reportingVariables = {
  timeZone: {
    name: "GUARDIAN_REPORTING_TIME_ZONE",
    meaning: "IANA time zone; the days of KPIs are its days",
    fallback: defaultReportingSettings.timeZone
  }
} as const satisfies Readonly<Record<string, Variable>>

/** They decide who may ask the API. They are text, not numbers. */
export const accessVariables = {
  apiHost: {
    name: "GUARDIAN_API_HOST",
    meaning: "Address that API and dashboard listen on; one that others can reach needs read keys",
    fallback: "127.0.0.1"
  },
  apiReadKeys: {
    name: "GUARDIAN_API_READ_KEYS",
    takes: { kind: "keys" },
    meaning: "Who may read: name=SHA-256 of the key in hex, commas between",
    fallback: "none"
  },
  apiAdminKeys: {
    name: "GUARDIAN_API_ADMIN_KEYS",
    takes: { kind: "keys" },
    meaning: "Who may set verdicts too, in the same form",
    fallback: "none"
  }
} as const satisfies Readonly<Record<string, Variable>>

/** They decide where and how fast, never what. */
export const processVariables = {
  httpPort: {
    name: "GUARDIAN_CLICKHOUSE_HTTP_PORT",
    takes: port,
    meaning: "Port of the embedded ClickHouse",
    fallback: "the last one, or a free one"
  },
  tcpPort: {
    name: "GUARDIAN_CLICKHOUSE_TCP_PORT",
    takes: port,
    meaning: "Port of its native protocol",
    fallback: "none"
  },
  memoryBytesMax: {
    name: "GUARDIAN_CLICKHOUSE_MEMORY_BYTES",
    takes: whole(500_000_000),
    meaning: "Memory that the embedded ClickHouse may use",
    fallback: "40 % of the machine's, 1 to 4 GB"
  },
  analystSecondsMax: {
    name: "GUARDIAN_ANALYST_SECONDS",
    takes: whole(1, 86_400),
    meaning: "A statement of the user analyst may run so long, s",
    fallback: "20"
  },
  analystMemoryBytesMax: {
    name: "GUARDIAN_ANALYST_MEMORY_BYTES",
    takes: whole(10_000_000),
    meaning: "All statements of analysts together may use so much memory",
    fallback: "40 % of ClickHouse's"
  },
  analystQueriesMax: {
    name: "GUARDIAN_ANALYST_QUERIES",
    takes: whole(1, 1_000),
    meaning: "Statements of analysts at a time",
    fallback: "4"
  },
  apiPort: {
    name: "GUARDIAN_API_PORT",
    takes: port,
    meaning: "Port of API and dashboard",
    fallback: "8080"
  },
  visitorsInMemoryMax: {
    name: "GUARDIAN_VISITORS_IN_MEMORY",
    takes: whole(1),
    meaning:
      "Visitors the pipeline keeps in memory, besides those whose changes are not yet written; others are read back on sight",
    fallback: "750000"
  },
  collectorPort: {
    name: "GUARDIAN_COLLECTOR_PORT",
    takes: port,
    meaning: "Port of the collector; 0: any free one",
    fallback: "8081"
  },
  collectorKeyRate: {
    name: "GUARDIAN_COLLECTOR_KEY_RATE",
    takes: whole(1),
    meaning: "Events per second that a write key may send, unless it has a rate of its own",
    fallback: "5000"
  },
  collectorProxies: {
    name: "GUARDIAN_COLLECTOR_PROXIES",
    takes: whole(0, 10),
    meaning: "Proxies in front of the collector that append to X-Forwarded-For",
    fallback: "0"
  },
  healthPort: {
    name: "GUARDIAN_HEALTH_PORT",
    takes: port,
    meaning:
      "Port on 127.0.0.1 where the roles pipeline and collector answer /livez, /readyz and /metrics; 0: any free one",
    fallback: "none"
  },
  auditHour: {
    name: "GUARDIAN_AUDIT_HOUR",
    takes: whole(0, 24),
    meaning: "Hour of the nightly audit in serve, 0 to 23, UTC; 24: none",
    fallback: "3"
  }
} as const satisfies Readonly<Record<string, Variable>>

/** Of the collector: texts. */
export const collectorVariables = {
  host: {
    name: "GUARDIAN_COLLECTOR_HOST",
    meaning: "Address that the collector listens on; one that strangers reach needs write keys",
    fallback: "127.0.0.1"
  },
  keys: {
    name: "GUARDIAN_COLLECTOR_KEYS",
    takes: word("auto", "required", "off"),
    meaning:
      "required, off, or auto: write keys are asked for unless it listens on loopback without a proxy; where there are any, those that come are checked",
    fallback: "auto"
  },
  writeKeys: {
    name: "GUARDIAN_COLLECTOR_WRITE_KEYS",
    takes: { kind: "keys" },
    meaning: "Write keys besides those of guardian keys: name=SHA-256 of the key in hex, commas between",
    fallback: "none"
  },
  origins: {
    name: "GUARDIAN_COLLECTOR_ORIGINS",
    meaning: "Origins whose pages may send, comma-separated; empty: any",
    fallback: ""
  }
} as const satisfies Readonly<Record<string, Variable>>

/** They say where a ClickHouse server is that somebody else runs, and how its users log in: in place of the embedded one. */
export const serverVariables = {
  url: {
    name: "GUARDIAN_CLICKHOUSE_URL",
    meaning:
      "HTTP address of a ClickHouse server to use, such as http://clickhouse:8123; without it the embedded one runs",
    fallback: "none"
  },
  writerPassword: {
    name: "GUARDIAN_CLICKHOUSE_WRITER_PASSWORD",
    meaning: "Password of guardian_writer there",
    fallback: "none",
    secret: true
  },
  readerPassword: {
    name: "GUARDIAN_CLICKHOUSE_READER_PASSWORD",
    meaning: "Password of guardian_reader there",
    fallback: "none",
    secret: true
  },
  analystPassword: {
    name: "GUARDIAN_CLICKHOUSE_ANALYST_PASSWORD",
    meaning: "Password of analyst there",
    fallback: "none",
    secret: true
  }
} as const satisfies Readonly<Record<string, Variable>>

/** Of guardian smoke: the keys themselves, not their hashes. */
export const smokeVariables = {
  writeKey: {
    name: "GUARDIAN_SMOKE_WRITE_KEY",
    meaning: "Write key that guardian smoke sends with",
    fallback: "none",
    secret: true
  },
  readKey: {
    name: "GUARDIAN_SMOKE_READ_KEY",
    meaning: "Read key that guardian smoke asks the API with",
    fallback: "none",
    secret: true
  }
} as const satisfies Readonly<Record<string, Variable>>

/** They say where the log and the schema registry are. */
export const logVariables = {
  log: {
    name: "GUARDIAN_LOG",
    takes: word("sqlite", "kafka"),
    meaning: "Where the log is: sqlite (in the data directory) or kafka",
    fallback: "sqlite"
  },
  brokers: { name: "GUARDIAN_KAFKA_BROKERS", meaning: "host:port, some of them, by comma", fallback: "localhost:9092" },
  topic: { name: "GUARDIAN_KAFKA_TOPIC", meaning: "The log's topic", fallback: "clickstream" },
  group: { name: "GUARDIAN_KAFKA_GROUP", meaning: "Consumer group that spreads partitions", fallback: "guardian" },
  replication: {
    name: "GUARDIAN_KAFKA_REPLICATION",
    takes: whole(1, 32_767),
    meaning: "Replicas of a topic that is made",
    fallback: "3"
  },
  minInsync: {
    name: "GUARDIAN_KAFKA_MIN_INSYNC",
    takes: whole(1, 32_767),
    meaning: "Replicas of a topic that is made which must have a record before it is acknowledged",
    fallback: "2"
  },
  retentionMs: {
    name: "GUARDIAN_KAFKA_RETENTION_MS",
    takes: whole(1),
    meaning: "How long a topic that is made keeps records, ms",
    fallback: "604800000"
  },
  compression: {
    name: "GUARDIAN_KAFKA_COMPRESSION",
    takes: word("zstd", "gzip", "none"),
    meaning: "zstd, gzip or none",
    fallback: "zstd"
  },
  tls: {
    name: "GUARDIAN_KAFKA_TLS",
    takes: word("on", "off"),
    meaning: "Talk to brokers by TLS: on or off",
    fallback: "off"
  },
  tlsCa: {
    name: "GUARDIAN_KAFKA_TLS_CA",
    meaning: "File with the PEM of the authorities to trust",
    fallback: "Node's"
  },
  tlsCertificate: { name: "GUARDIAN_KAFKA_TLS_CERT", meaning: "File with our certificate, PEM", fallback: "none" },
  tlsKey: { name: "GUARDIAN_KAFKA_TLS_KEY", meaning: "File with its key, PEM", fallback: "none" },
  sasl: {
    name: "GUARDIAN_KAFKA_SASL",
    takes: word("off", "plain", "scram-sha-256", "scram-sha-512"),
    meaning: "plain, scram-sha-256 or scram-sha-512; off: no log-in",
    fallback: "off"
  },
  username: { name: "GUARDIAN_KAFKA_USERNAME", meaning: "Who logs in at brokers", fallback: "none" },
  password: { name: "GUARDIAN_KAFKA_PASSWORD", meaning: "Its password", fallback: "none", secret: true },
  registryUrl: {
    name: "GUARDIAN_REGISTRY_URL",
    meaning: "Schema registry with Confluent's API; without it schemas are kept in the data directory",
    fallback: "none"
  },
  clusterCache: {
    name: "GUARDIAN_CLUSTER_CACHE",
    meaning: "Where the servers of private clusters are kept (demo --log kafka, chaos, cluster tests)",
    fallback: "~/.cache/guardian-cluster"
  },
  registryUsername: { name: "GUARDIAN_REGISTRY_USERNAME", meaning: "Who logs in at the registry", fallback: "none" },
  registryPassword: { name: "GUARDIAN_REGISTRY_PASSWORD", meaning: "Its password", fallback: "none", secret: true }
} as const satisfies Readonly<Record<string, Variable>>

/** They say how the process tells about itself. The names of OpenTelemetry are its own. */
export const telemetryVariables = {
  logFormat: {
    name: "GUARDIAN_LOG_FORMAT",
    takes: word("text", "json"),
    meaning: "Log lines as text, or as JSON on standard error",
    fallback: "text"
  },
  otlpEndpoint: {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    meaning: "Where traces go, by OTLP over HTTP, such as http://localhost:4318; empty: nowhere",
    fallback: "none"
  },
  otlpHeaders: {
    name: "OTEL_EXPORTER_OTLP_HEADERS",
    meaning: "Headers to send there: name=value, commas between",
    fallback: "none",
    secret: true
  }
} as const satisfies Readonly<Record<string, Variable>>

/** All of them. */
export const variables: ReadonlyArray<Variable> = [
  ...coreVariables,
  ...Object.values(reportingVariables),
  ...Object.values(processVariables),
  ...Object.values<Variable>(accessVariables),
  ...Object.values<Variable>(collectorVariables),
  ...Object.values<Variable>(serverVariables),
  ...Object.values<Variable>(smokeVariables),
  ...Object.values<Variable>(logVariables),
  ...Object.values<Variable>(telemetryVariables)
]

/** A variable has a value that cannot be. */
export class SettingsError extends Schema.TaggedError<SettingsError>()("SettingsError", { message: Schema.String }) {}

/** The core's settings from the environment. */
export const coreSettings: Effect.Effect<CoreSettings, SettingsError> = Effect.gen(function*() {
  const chosen: Record<string, unknown> = { ...defaultCoreSettings }
  for (const { name, setting } of coreVariables) {
    const text = yield* Config.String(name).pipe(Config.withDefault(""))
    if (text === "") continue
    const value = typeof defaultCoreSettings[setting] === "number" ? numberOf(text) : text
    yield* Schema.decodeUnknownEffect(CoreSettings.fields[setting] as Schema.Codec<unknown>)(value).pipe(
      Effect.mapError((error) =>
        new SettingsError({ message: `${name} cannot be "${text}": ${oneLine(error.message)}` })
      )
    )
    chosen[setting] = value
  }
  return yield* Schema.decodeUnknownEffect(CoreSettings)(chosen)
}).pipe(Effect.mapError((error) => error instanceof SettingsError ? error : impossible(error)))

/** How figures are reported, from the environment. */
export const reportingSettings: Effect.Effect<ReportingSettings, SettingsError> = Config.String(
  reportingVariables.timeZone.name
).pipe(
  Config.withDefault(""),
  Effect.flatMap((zone) =>
    Schema.decodeUnknownEffect(ReportingSettings)({ timeZone: zone === "" ? defaultReportingSettings.timeZone : zone })
  ),
  Effect.mapError((error) => impossible(error))
)

const impossible = (error: { readonly message: string }) =>
  new SettingsError({
    message: `Settings of the environment do not fit together (guardian doctor lists them all): ${
      spoken(error.message)
    }`
  })

/** By the names of the environment. */
const spoken = (message: string): string =>
  coreVariables.reduce(
    (text, { name, setting }) => text.replaceAll(new RegExp(`\\b${setting}\\b`, "g"), name),
    oneLine(message)
  )

const oneLine = (text: string): string =>
  text.split("\n").map((line) => line.trim()).filter((line) => line !== "").join(" ")

/** A whole number from the environment, if it is set. */
export const wholeNumber = (variable: Variable): Effect.Effect<number | undefined, SettingsError> =>
  Config.String(variable.name).pipe(
    Config.withDefault(""),
    Effect.mapError((error) => new SettingsError({ message: error.message })),
    Effect.flatMap((text) => {
      if (text === "") return Effect.succeed(undefined)
      const fault = faultOf({ takes: whole(0), ...variable }, text)
      return fault === undefined ? Effect.succeed(numberOf(text)) : Effect.fail(new SettingsError({ message: fault }))
    })
  )

/** What is wrong with this text as the variable's value, if anything. A secret is not repeated. */
export const faultOf = ({ name, takes }: Variable, text: string): string | undefined => {
  if (takes === undefined || text === "") return undefined
  if (takes.kind === "word") {
    return takes.words.includes(text) ? undefined : `${name} must be ${takes.words.join(" or ")}, not "${text}"`
  }
  if (takes.kind === "keys") {
    return text.split(",").map((part) => part.trim()).every((part) => part === "" || keyPattern.test(part)) ?
      undefined :
      `${name} must be name=HASH,..., where HASH is the key's SHA-256 in hex: printf %s "$KEY" | sha256sum`
  }
  const value = numberOf(text)
  const { max = Number.MAX_SAFE_INTEGER, min } = takes
  return Number.isSafeInteger(value) && value >= min && value <= max ?
    undefined :
    `${name} must be a whole number ${
      takes.max === undefined ? `of ${min} or more` : `from ${min} to ${max}`
    }, not "${text}"`
}

/** The hour of the nightly audit; undefined when there is to be none. */
export const auditHour: Effect.Effect<number | undefined, SettingsError> = Effect.map(
  wholeNumber(processVariables.auditHour),
  (hour = Number(processVariables.auditHour.fallback)) => hour === 24 ? undefined : hour
)

const numberOf = (text: string): number => /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
