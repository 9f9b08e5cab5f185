/** A data directory with a log in which everything happens that can happen to a record, and the database drained from it. */
import { Effect, Layer, Schema } from "effect"
import { mkdtempSync } from "node:fs"
import { rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventSchemaId, logLayer, registryLayer, warehouseLayer } from "../../src/cli/Installation.ts"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import { EventJson, fromJson } from "../../src/domain/ClickEvent.ts"
import { EventLog } from "../../src/log/EventLog.ts"
import type { NewRecord, Receipt } from "../../src/log/EventLog.ts"
import { encodeEvent } from "../../src/log/WireFormat.ts"
import { deadLetterHeader, detailHeader } from "../../src/pipeline/Decoding.ts"
import { run } from "./CommandRun.ts"

export interface SampleInstallation {
  readonly dataDir: string
  readonly partitions: number
  /** Records that were drained, and one more that was appended after that. */
  readonly drained: number
  readonly receipts: ReadonlyMap<string, Receipt>
  readonly remove: () => Promise<void>
}

const partitions = 3
const minute = 60_000
/** An hour before now: no event is in the future of its append time. */
const start = Math.floor(Date.now() / minute) * minute - 60 * minute

const event = (visitorId: string, eventId: string, minutes: number): ClickEvent =>
  fromJson(
    Schema.decodeUnknownSync(EventJson)({
      event_id: eventId,
      visitor_id: visitorId,
      event_ts: start + minutes * minute,
      event_type: "view",
      item_id: "item-1"
    })
  )

/** A visitor's ten views, a minute apart: one session. */
const regular = (): ReadonlyArray<ClickEvent> =>
  Array.from(
    { length: 300 },
    (_, i) => event(`visitor-${i % 30}`, `event-${i % 30}-${Math.floor(i / 30)}`, Math.floor(i / 30))
  )

const special: ReadonlyArray<ClickEvent> = [
  event("visitor-3", "event-3-5", 5), // a duplicate
  event("visitor-4", "late-1", -30),
  event("visitor-5", "future-1", 180),
  event("visitor-8", "shared-1", 9),
  event("visitor-9", "shared-1", 9),
  // Two sessions, until the third event comes to lie between them.
  event("merger", "merge-a", 0),
  event("merger", "merge-b", 35),
  event("merger", "merge-c", 28)
]

/** Appends records, named by their event ids or else their keys. */
export const append = (
  dataDir: string,
  records: (schemaId: number) => ReadonlyArray<NewRecord>
): Promise<ReadonlyArray<Receipt>> =>
  Effect.gen(function*() {
    const schemaId = yield* eventSchemaId
    return yield* (yield* EventLog).append(records(schemaId))
  }).pipe(
    Effect.provide(Layer.merge(logLayer(dataDir, partitions), registryLayer(dataDir))),
    Effect.runPromise
  )

export const recordOf = (schemaId: number, event: ClickEvent): NewRecord => ({
  key: event.visitorId,
  value: encodeEvent(schemaId, event)
})

/** An event that no drain has seen. */
export const newEvent = (visitorId: string, eventId: string): ClickEvent => event(visitorId, eventId, 36)

export const sampleLog = async (): Promise<SampleInstallation> => {
  const dataDir = mkdtempSync(join(tmpdir(), "guardian-cli-"))
  const events = [...regular(), ...special]
  const receipts = await append(dataDir, (schemaId) => [
    ...events.map((each) => recordOf(schemaId, each)),
    {
      key: "visitor-6",
      value: Buffer.from('{"event_id": "broken-1", "visitor_id": "visitor-6"'),
      headers: { [deadLetterHeader]: "bad_line", [detailHeader]: "line 7 is no JSON" }
    },
    { key: "visitor-7", value: encodeEvent(schemaId, event("visitor-7", "broken-2", 9)).subarray(0, -2) }
  ])
  const names = [...events.map(({ eventId, visitorId }) => `${visitorId}/${eventId}`), "broken-1", "broken-2"]
  // The first of a name: a duplicate is the second.
  const named = new Map(names.map((name, index): [string, Receipt] => [name, receipts[index]!]).toReversed())
  return {
    dataDir,
    partitions,
    drained: receipts.length,
    receipts: named,
    remove: () => rm(dataDir, { recursive: true, force: true })
  }
}

/** The same, drained, with a warehouse that runs in this process; then one more event is appended. */
export const sampleInstallation = async (): Promise<SampleInstallation & { readonly server: Server }> => {
  const sample = await sampleLog()
  const server = await serveWarehouse(sample.dataDir)
  const { failure } = await run(["drain", "--data-dir", sample.dataDir])
  if (failure !== undefined) throw new Error(`drain failed: ${failure}`)
  const [pending] = await append(
    sample.dataDir,
    (schemaId) => [recordOf(schemaId, newEvent("visitor-7", "pending-1"))]
  )
  return {
    ...sample,
    server,
    receipts: new Map([...sample.receipts, ["visitor-7/pending-1", pending!]]),
    remove: async () => {
      await server.stop()
      await sample.remove()
    }
  }
}

export interface Server {
  readonly stop: () => Promise<void>
}

/** Runs the warehouse of a data directory in this process: the commands find it, and start faster. */
export const serveWarehouse = async (dataDir: string): Promise<Server> => {
  const ended = new AbortController()
  const ready = Promise.withResolvers<void>()
  const running = Effect.runPromiseExit(
    Effect.andThen(Effect.sync(() => ready.resolve()), Effect.never).pipe(Effect.provide(warehouseLayer(dataDir))),
    { signal: ended.signal }
  )
  running.then((exit) => ready.reject(new Error(`no warehouse: ${String(exit)}`)), ready.reject)
  await ready.promise
  return {
    stop: async () => {
      ended.abort()
      await running
    }
  }
}
