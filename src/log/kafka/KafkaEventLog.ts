/**
 * The event log on a topic of Kafka or Redpanda. kafkajs appends and administers; reading is our own Fetch (`FetchCursor.ts`), since a
 * reader that is told where to begin needs neither a group nor an object per record.
 */
import { Effect, Layer, Stream } from "effect"
import type { Scope } from "effect"
import kafkajs from "kafkajs"
import type { Admin } from "kafkajs"
import type { EpochMillis, Offset, Partition } from "../../domain/Identifiers.ts"
import { EventLog, LogError, OffsetOutOfRange } from "../EventLog.ts"
import type { LogBatch, NewRecord, Receipt } from "../EventLog.ts"
import { BrokerRefusal, ClusterView, codes, TopicRecreated } from "./ClusterView.ts"
import { FetchCursor, NotHeld } from "./FetchCursor.ts"
import { clientConfig, registerZstd } from "./KafkaSettings.ts"
import type { KafkaAddress } from "./KafkaSettings.ts"
import { Lanes } from "./Lanes.ts"
import type { Compression } from "./Lanes.ts"
import { Patience } from "./Patience.ts"
import { UnreadableRecords } from "./RecordBatches.ts"
import type { TopicMetadata } from "./Requests.ts"
import { createTopic, topicDefaults, topicFault, valueBytesMax } from "./Topic.ts"
import type { TopicOptions } from "./Topic.ts"

export interface KafkaEventLogOptions extends KafkaAddress {
  readonly topic: string
  /** Of a topic that is made; of an existing one only `partitions` is held against it. Null: a missing topic is an error. */
  readonly create?: { readonly [Name in keyof TopicOptions]?: TopicOptions[Name] | undefined } | null | undefined
  /** Default zstd. */
  readonly compression?: Compression | undefined
  /** Told of outages that are being waited out; default: a line on standard error. */
  readonly tell?: ((trouble: string) => void) | undefined
}

/** Brokers that cannot be reached at the start are waited for so long, ms. */
const openWithinMs = 30_000
/** The same for a question while the log is open: then the caller decides. */
const askWithinMs = 15_000
/** At the end what was appended is waited for so long, ms. */
const closeWithinMs = 30_000

/**
 * The event log in a topic, until the layer's scope ends: then queued appends are finished first.
 *
 * ```ts
 * const Log = KafkaEventLog.layer({ brokers: ["localhost:9092"], topic: "clickstream" })
 * ```
 */
export const layer = (options: KafkaEventLogOptions): Layer.Layer<EventLog, LogError> =>
  Layer.effect(EventLog, make(options))

/** The same as a scoped value. */
export const make = Effect.fnUntraced(
  function*(options: KafkaEventLogOptions): Effect.fn.Return<EventLog["Service"], LogError, Scope.Scope> {
    registerZstd()
    const tell = options.tell ?? ((trouble: string) => void process.stderr.write(`event log: ${trouble}\n`))
    const config = clientConfig(options)
    const kafka = new kafkajs.Kafka(config)
    const view = new ClusterView(config, options.topic)
    const admin = yield* Effect.acquireRelease(
      Effect.sync(() => kafka.admin()),
      (held) => Effect.promise(() => held.disconnect().catch(() => undefined))
    )
    const { clusterId, leaders, topicId } = yield* attempt(
      "open the event log",
      () => patiently(openWithinMs, tell, "opening the event log", () => openTopic(admin, view, options))
    )
    const partitions = leaders.length
    const { compression = "zstd", topic } = options
    const lanes = new Lanes({ kafka, topic, partitions, compression, tell })
    let closed = false
    yield* Effect.addFinalizer(() => {
      closed = true
      return Effect.promise(async () => {
        await within(closeWithinMs, lanes.idle())
        await lanes.close()
      })
    })
    const asking = <A>(doing: string, work: () => Promise<A>) =>
      attempt(doing, () => patiently(askWithinMs, tell, doing, () => refreshing(view, work)))

    return EventLog.of({
      logId: `${clusterId}/${topicId === "" ? topic : topicId}`,
      partitions,
      append: (records) =>
        Effect.suspend(() => {
          if (closed) return Effect.fail(new LogError({ message: "the event log is closed", retryable: false }))
          const largest = records.reduce((most, { key, value }) => Math.max(most, key.length, value.length), 0)
          return largest > valueBytesMax ? Effect.fail(tooLarge(largest)) : appendTo(lanes, records)
        }),
      read: (partition, from, { recordsMax }) => readFrom(view, partition, from, Math.max(1, recordsMax), tell),
      ranges: asking("ask for the log's ranges", () => view.ranges()),
      trim: (before) => asking("trim the event log", () => trim(admin, view, before))
    })
  }
)

/** The topic's metadata, once it is there with a leader for each partition. */
const openTopic = async (admin: Admin, view: ClusterView, options: KafkaEventLogOptions): Promise<TopicMetadata> => {
  const { create = {}, topic } = options
  // First, because it fails at once where kafkajs tries for long.
  const found = await view.refresh()
  await admin.connect()
  if (found.errorCode === codes.unknownTopic) {
    if (create === null) {
      throw new LogError({
        message:
          `there is no topic ${topic}: make it with guardian serve or guardian import, or name another one with ` +
          "GUARDIAN_KAFKA_TOPIC",
        retryable: false
      })
    }
    await createTopic(admin, topic, { ...topicDefaults, ...definedOnly(create) })
    throw new Error(`topic ${topic} was just made`)
  }
  if (found.errorCode !== 0) throw new BrokerRefusal(`metadata of ${topic}`, found.errorCode)
  const wanted = create?.partitions
  if (wanted !== undefined && wanted !== found.leaders.length) {
    throw new LogError({
      message: `topic ${topic} has ${found.leaders.length} partitions, not ${wanted}`,
      retryable: false
    })
  }
  const fault = await topicFault(admin, topic)
  if (fault !== undefined) throw new LogError({ message: fault, retryable: false })
  await view.ranges()
  return found
}

const definedOnly = (options: object): Partial<TopicOptions> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

const appendTo = (lanes: Lanes, records: ReadonlyArray<NewRecord>): Effect.Effect<ReadonlyArray<Receipt>, LogError> =>
  records.length === 0 ? Effect.succeed([]) : Effect.callback((resume) =>
    lanes.append(records, (result) =>
      resume(
        "receipts" in result ?
          Effect.succeed(result.receipts) :
          Effect.fail(new LogError({ message: result.refused.message, retryable: false, cause: result.refused }))
      ))
  )

const readFrom = (
  view: ClusterView,
  partition: Partition,
  from: Offset,
  recordsMax: number,
  tell: (trouble: string) => void
): Stream.Stream<LogBatch, LogError | OffsetOutOfRange> =>
  Stream.unwrap(Effect.gen(function*() {
    const cursor = new FetchCursor(view, partition, from, recordsMax, tell)
    yield* Effect.addFinalizer(() => Effect.sync(() => cursor.close()))
    const ready = Effect.tryPromise({ try: () => cursor.ready(), catch: (cause) => readError(partition, cause) })
    const next: Effect.Effect<readonly [LogBatch], LogError | OffsetOutOfRange> = Effect.suspend(() => {
      const batch = cursor.take()
      return batch === undefined ? Effect.flatMap(ready, () => next) : Effect.succeed([batch] as const)
    })
    return Stream.fromPull(Effect.succeed(next))
  }))

/** What lies before the first record that is young enough. */
const trim = async (admin: Admin, view: ClusterView, before: EpochMillis): Promise<number> => {
  // The ends first: what is appended after that is young, whatever the answer.
  const ranges = await view.ranges()
  const young = await view.offsets(before)
  const partitions = ranges.flatMap(({ end, start }, partition) => {
    const to = young[partition]! < 0 ? end : Math.min(end, young[partition]!) as Offset
    return to > start ? [{ partition, offset: String(to), records: to - start }] : []
  })
  if (partitions.length === 0) return 0
  // kafkajs finds the leaders only for a topic that the same client has asked about.
  await admin.fetchTopicOffsets(view.topic)
  await admin.deleteTopicRecords({
    topic: view.topic,
    partitions: partitions.map(({ offset, partition }) => ({ partition, offset }))
  })
  return partitions.reduce((sum, { records }) => sum + records, 0)
}

/** One attempt; when it fails the next one knows the leaders of then. */
const refreshing = async <A>(view: ClusterView, work: () => Promise<A>): Promise<A> => {
  try {
    return await work()
  } catch (error) {
    await view.refresh()
    throw error
  }
}

/** Tries again until it works, cannot work, or took too long. */
const patiently = async <A>(
  withinMs: number,
  tell: (trouble: string) => void,
  doing: string,
  work: () => Promise<A>
): Promise<A> => {
  const patience = new Patience(tell)
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isRetryable(error) || performance.now() > deadline) throw error
      await patience.wait(doing, error)
    }
  }
}

const isRetryable = (error: unknown): boolean =>
  error instanceof LogError ? error.retryable : !(error instanceof TopicRecreated) &&
    !(error instanceof UnreadableRecords) && !(error instanceof BrokerRefusal && error.code === codes.unauthorized) &&
    (error as Error).name !== "KafkaJSSASLAuthenticationError" && !isDistrusted(error)

/** The broker's certificate is not one that we trust: OpenSSL's words for it, as Node gives them. */
const isDistrusted = (error: unknown): boolean =>
  /CERT|UNABLE_TO_VERIFY/.test(String((error as { readonly code?: unknown }).code ?? ""))

const within = async (ms: number, work: Promise<void>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([work, new Promise<void>((resolve) => timer = setTimeout(resolve, ms))])
  clearTimeout(timer)
}

const attempt = <A>(doing: string, work: () => Promise<A>): Effect.Effect<A, LogError> =>
  Effect.tryPromise({ try: work, catch: (cause) => logError(doing, cause) })

const logError = (doing: string, cause: unknown): LogError =>
  cause instanceof LogError ?
    cause :
    new LogError({ message: `${doing}: ${(cause as Error).message}`, retryable: isRetryable(cause), cause })

const tooLarge = (bytes: number): LogError =>
  new LogError({ message: `a record has ${bytes} bytes, at most ${valueBytesMax} are possible`, retryable: false })

const readError = (partition: Partition, cause: unknown): LogError | OffsetOutOfRange => {
  if (!(cause instanceof NotHeld)) return logError(`read partition ${partition}`, cause)
  const { offset, range: { end, start } } = cause
  return new OffsetOutOfRange({
    partition,
    offset,
    start,
    end,
    message: `partition ${partition} holds offsets ${start} to ${end} (exclusive); ` +
      (offset < start ?
        `${offset} is no longer there: go on with guardian log reset --to earliest|latest|TIME` :
        `${offset} is beyond the end: is this the log that was read before?`)
  })
}
