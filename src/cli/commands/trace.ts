import { Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { trace as traceEvent } from "../../operations/trace/Trace.ts"
import type { Trace, TracedRecord } from "../../operations/trace/Trace.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { checkpoints } from "../Checkpoints.ts"
import { existingWarehouseLayer, hasWarehouse } from "../ExistingWarehouse.ts"
import { dataDir, json, print, printJson } from "../Flags.ts"
import { clientLayer, InstallationError } from "../Installation.ts"
import { logReadingLayer } from "../LogReading.ts"
import { pipelinesRunning } from "../PipelineOwner.ts"
import { spokenTime } from "../Spoken.ts"

const eventId = Argument.String("event-id").pipe(Argument.withDescription("The event_id"))
const visitor = Flag.String("visitor").pipe(
  Flag.withDescription("Only this visitor's records: its partition alone is searched"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

/** Where one event went. */
export const trace = Command.make(
  "trace",
  { eventId, visitor, dataDir, json },
  Effect.fn(function*({ dataDir, eventId, json, visitor }) {
    const found = yield* Effect.gen(function*() {
      return yield* traceEvent({
        eventId,
        visitorId: visitor,
        checkpoints: hasWarehouse(dataDir) ? yield* checkpoints : [],
        onProgress: progress
      })
    }).pipe(Effect.provide(Layer.merge(logReadingLayer(dataDir), databaseLayer(dataDir))))
    if (json) yield* printJson({ eventId, ...found, records: found.records.map(jsonOf) })
    if (found.records.length === 0) return yield* new InstallationError({ message: notFound(eventId, visitor, found) })
    if (json) return
    yield* Effect.forEach(found.records, (record) => print(textOf(record)), { discard: true })
    if (found.cut) yield* print("and more: give --visitor to narrow the search")
    const waits = found.records.some(({ outcome }) => outcome === "not processed yet")
    if (waits && (yield* pipelinesRunning(dataDir)).count === 0) {
      yield* print("no pipeline is running: guardian drain or guardian serve goes on")
    }
  })
).pipe(Command.withDescription("Show what became of an event, and the session it counts in"))

/** Without a database nothing is processed yet, and it is never asked. */
const databaseLayer = (dataDirectory: string) =>
  Layer.unwrap(Effect.sync(() =>
    hasWarehouse(dataDirectory) ?
      clientLayer("reader").pipe(Layer.provide(existingWarehouseLayer(dataDirectory))) :
      Layer.succeed(Warehouse, noDatabase)
  ))

const neverAsked = Effect.die(new Error("a database that does not exist was asked"))
const noDatabase = Warehouse.of({
  database: "",
  insert: () => neverAsked,
  query: () => neverAsked,
  queryBytes: () => neverAsked,
  queryRows: () => neverAsked,
  command: () => neverAsked
})

/** Scans that take longer than a blink are shown on a terminal. */
const progressRecordsMin = 500_000

const progress = (scanned: number, total: number): void => {
  if (!process.stderr.isTTY || total < progressRecordsMin) return
  process.stderr.write(
    scanned >= total ? "\r\u001b[K" : `\rsearching the log: ${Math.floor(scanned / total * 100)} % of ${total} records`
  )
}

const notFound = (eventId: string, visitor: string | undefined, { partitionsScanned, scanned }: Trace): string =>
  `No record with event_id ${eventId}${
    visitor === undefined ? "" : ` of visitor ${visitor}`
  }: not among the accepted, late, ` +
  `rejected and dead-lettered ones, nor among the ${scanned} records ` +
  (partitionsScanned.length === 0 ? "of the log." : `that the log holds in partition ${partitionsScanned.join(", ")}.`)

const jsonOf = (record: TracedRecord) => ({ ...record, appendedAt: spokenTime(record.appendedAt) })

const textOf = ({ appendedAt, event, offset, outcome, partition, session, why }: TracedRecord): string => {
  const lines = [
    `partition ${partition}, offset ${offset}, appended ${spokenTime(appendedAt)}`,
    `  outcome  ${outcome}: ${why}`
  ]
  if (outcome === "dead-lettered") lines.push("           found because its bytes mention the id: it has no fields")
  if (event !== undefined) lines.push(`  event    ${JSON.stringify(event)}`)
  if (session !== undefined) {
    lines.push(
      `  session  ${session.sessionId}: ${session.startedAt} to ${session.endedAt}, ${session.events} events, ` +
        (session.isOpen ? "open" : "closed")
    )
    if (session.acceptedAs !== undefined) {
      lines.push(`           accepted into ${session.acceptedAs}, which this one absorbed`)
    }
  }
  return lines.join("\n")
}
