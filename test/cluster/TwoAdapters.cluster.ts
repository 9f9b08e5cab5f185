/** One log in two adapters: what the pipeline makes of it must be the same to the last byte. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { KafkaCluster } from "../../src/cli/cluster/KafkaCluster.ts"
import { avroSchema } from "../../src/domain/ClickEvent.ts"
import type { Partition } from "../../src/domain/Identifiers.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { heartbeats } from "../../src/log/ControlRecords.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import type { NewRecord } from "../../src/log/EventLog.ts"
import * as KafkaEventLog from "../../src/log/kafka/KafkaEventLog.ts"
import { readSection } from "../../src/log/LogSection.ts"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"
import { encodeEvent, eventSubject } from "../../src/log/WireFormat.ts"
import { commonPlaces, differences, readContent } from "../../src/operations/chaos/Content.ts"
import { ShopTraffic } from "../../src/operations/traffic/ShopTraffic.ts"
import { deadLetterHeaders } from "../../src/pipeline/DeadLetters.ts"
import { testFolder } from "../log/TestFolder.ts"
import { openRegistry } from "../support/MessyLog.ts"
import { runPipeline } from "../support/PipelineRun.ts"
import { freshWarehouse, TemporaryWarehouse } from "../support/TemporaryWarehouse.ts"

const events = 500_000
const partitions = 6
const eventsPerSecond = 100

let cluster: KafkaCluster

beforeAll(async () => {
  cluster = await KafkaCluster.start({ nodes: 1, heapMb: 512 })
})

afterAll(() => cluster?.stop())

const openKafka = (topic: string) =>
  KafkaEventLog.make({ brokers: cluster.brokers, topic, create: { partitions, replicationFactor: 1 } })

const registryWithSchema = Effect.gen(function*() {
  const registry = yield* openRegistry(yield* testFolder)
  return { registry, schemaId: yield* registry.register(eventSubject, avroSchema) }
})

interface Group {
  readonly partition: number
  readonly appendedAt: number
  readonly records: Array<NewRecord>
}

/** All records, those of one partition that were appended together as one group, by append time. */
const groupsOf = Effect.fnUntraced(function*(log: EventLog["Service"]) {
  const groups: Array<Group> = []
  for (const [partition, { end, start }] of (yield* log.ranges).entries()) {
    let group: Group | undefined
    const section = readSection({ partition: partition as Partition, from: start, to: end }, 5_000)
    yield* section.pipe(
      Stream.runForEach((batch) =>
        Effect.sync(() => {
          for (let i = 0; i < batch.count; i++) {
            const appendedAt = batch.appendedAt(i)
            if (group?.appendedAt !== appendedAt) groups.push(group = { partition, appendedAt, records: [] })
            group.records.push({
              key: batch.key(i).toString(),
              value: Buffer.from(batch.value(i)),
              headers: batch.headers(i)
            })
          }
        })
      ),
      Effect.provideService(EventLog, log)
    )
  }
  return groups.sort((a, b) => a.appendedAt - b.appendedAt)
})

describe("one log in Kafka and in SQLite", () => {
  it.live(
    `of ${events.toLocaleString("en")} messy events gives the same content and the same decisions`,
    () =>
      Effect.gen(function*() {
        const { registry, schemaId } = yield* registryWithSchema
        const kafka = yield* openKafka(`log-${randomUUID()}`)
        const shop = new ShopTraffic({
          seed: 11,
          startMs: Date.now() - events / eventsPerSecond * 1_000,
          eventsPerSecond,
          mode: "messy"
        })
        for (let i = 0; i < events; i += 5_000) {
          yield* kafka.append(shop.nextRecords(5_000, (event) => encodeEvent(schemaId, event)))
        }
        yield* kafka.append(heartbeats(partitions))
        let now = 0
        const sqlite = yield* SqliteEventLog.make({ directory: yield* testFolder, partitions, now: () => now })
        for (const { appendedAt, records } of yield* groupsOf(kafka)) {
          now = appendedAt
          yield* sqlite.append(records)
        }
        assert.deepStrictEqual(yield* sqlite.ranges, yield* kafka.ranges)
        const contents = []
        for (const log of [kafka, sqlite]) {
          const warehouse = yield* freshWarehouse
          const started = performance.now()
          const { counts } = yield* runPipeline({ log, registry, warehouse, settings: defaultCoreSettings })
          assert.strictEqual(counts.received, events)
          for (const outcome of ["duplicate", "late", "rejected", "deadLettered"] as const) {
            assert.isAbove(counts[outcome], 0, outcome)
          }
          console.log(
            `${log === kafka ? "Kafka" : "SQLite"}: ${Math.round(events / (performance.now() - started) * 1e3)}/s`
          )
          contents.push(yield* readContent(warehouse))
        }
        assert.deepStrictEqual(differences(contents[0]!, contents[1]!), [])
        assert.isAtLeast(commonPlaces(contents[0]!, contents[1]!).length, partitions)
      }).pipe(Effect.scoped, Effect.provide(TemporaryWarehouse)),
    600_000
  )

  it.live("puts dead letters into a topic of their own, with their bytes, where they come from and why", () =>
    Effect.gen(function*() {
      const { registry, schemaId } = yield* registryWithSchema
      const topic = `log-${randomUUID()}`
      const log = yield* openKafka(topic)
      const letters = yield* openKafka(`${topic}.dlq`)
      const [event] = new ShopTraffic({ seed: 1, startMs: Date.now() - 60_000, eventsPerSecond: 1 }).next(1)
      const junk = Buffer.from([255, 0, 1, 2])
      const unknown = Buffer.from([0, 0, 9, 9, 9, 1])
      const receipts = yield* log.append([
        { key: "a", value: junk, headers: { sender: "app" } },
        { key: event!.visitorId, value: encodeEvent(schemaId, event!) },
        { key: "b", value: unknown }
      ])
      const warehouse = yield* freshWarehouse
      const place = { log, registry, warehouse, settings: defaultCoreSettings }
      const { counts } = yield* runPipeline(place, { deadLetters: { source: topic, append: letters.append } })
      assert.deepInclude(counts, { received: 3, accepted: 1, deadLettered: 2 })
      const found = (yield* groupsOf(letters)).flatMap(({ records }) => records)
      assert.deepStrictEqual(found.map(({ key, value }) => [key, value]).sort(), [["a", junk], ["b", unknown]])
      const { headers } = found.find(({ key }) => key === "a")!
      assert.deepInclude(headers, {
        sender: "app",
        [deadLetterHeaders.id]: `${topic}/${receipts[0]!.partition}/${receipts[0]!.offset}`,
        [deadLetterHeaders.source]: topic,
        [deadLetterHeaders.partition]: String(receipts[0]!.partition),
        [deadLetterHeaders.offset]: String(receipts[0]!.offset),
        [deadLetterHeaders.reason]: "undecodable",
        [deadLetterHeaders.firstSeen]: new Date(receipts[0]!.appendedAt).toISOString()
      })
    }).pipe(Effect.scoped, Effect.provide(TemporaryWarehouse)))
})
