import { Effect, Layer, Option, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { mkdir } from "node:fs/promises"
import type { EpochMillis } from "../../domain/Identifiers.ts"
import { endMarkers } from "../../log/ControlRecords.ts"
import { EventLog } from "../../log/EventLog.ts"
import type { NewRecord } from "../../log/EventLog.ts"
import { partitionOf } from "../../log/Partitioner.ts"
import { encodeEvent } from "../../log/WireFormat.ts"
import { openImport } from "../../operations/import/Import.ts"
import type { ImportProgress, ImportSummary, OpenImport } from "../../operations/import/Import.ts"
import { PipelineStatus } from "../../pipeline/PipelineStatus.ts"
import { StateStore } from "../../warehouse/StateStore.ts"
import { coreSettings } from "../Environment.ts"
import { dataDir, json, partitions, print, printJson } from "../Flags.ts"
import type { ImportEntry } from "../ImportHistory.ts"
import { readHistory, recordImport, sameContent } from "../ImportHistory.ts"
import {
  eventSchemaId,
  InstallationError,
  logLayer,
  paths,
  registryLayer,
  stateStoreLayer,
  warehouseLayer
} from "../Installation.ts"
import { drained } from "./drain.ts"
import { migrated } from "./migrate.ts"

const files = Argument.String("file").pipe(
  Argument.withDescription("Files, also gzipped; - for standard input"),
  Argument.variadic({ min: 1 })
)
const format = Flag.Literals("format", ["auto", "csv", "jsonl", "apache"]).pipe(Flag.withDefault("auto"))
const map = Flag.String("map").pipe(
  Flag.withDescription("visitor_id=uuid,event_ts=timestamp:epoch_s,event_type=const:view,url=url; without it guessed"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const noHeader = Flag.Boolean("no-header").pipe(
  Flag.withDescription("CSV without a line of names: columns by number, visitor_id=1"),
  Flag.withDefault(false)
)
const asIs = Flag.Boolean("as-is").pipe(
  Flag.withDescription("Keep the order of the file instead of that of event time"),
  Flag.withDefault(false)
)
const moreFollows = Flag.Boolean("more-follows").pipe(
  Flag.withDescription("Later history will be imported too: leave sessions open and days unfinished at the end"),
  Flag.withDefault(false)
)
const noDrain = Flag.Boolean("no-drain").pipe(Flag.withDescription("Only append"), Flag.withDefault(false))

/** Appends history to the log in event-time order, then processes it. */
export const importCommand = Command.make(
  "import",
  { files, format, map, noHeader, asIs, moreFollows, noDrain, partitions, dataDir, json },
  Effect.fn(function*(options) {
    const { entry, summary } = yield* appended(options)
    const status = new PipelineStatus()
    if (!options.noDrain) yield* drained(options.dataDir, status)
    // Only now: an import that was killed before its records were processed goes on when it is run again.
    yield* recordImport(options.dataDir, { ...entry, done: true })
    const { counts } = status
    if (options.json) return yield* printJson({ ...summary, ...(options.noDrain ? {} : { drained: counts }) })
    const reasons = Object.entries(summary.deadLetters).map(([reason, count]) => `${count} ${reason}`)
    yield* print(
      `${summary.lines.toLocaleString("en")} lines read: ${summary.events.toLocaleString("en")} events, ` +
        `${summary.deadLettered} dead-lettered${reasons.length === 0 ? "" : ` (${reasons.join(", ")})`}` +
        (summary.eventTsMin === undefined ? "" : `; ${day(summary.eventTsMin)} to ${day(summary.eventTsMax!)}`)
    )
    if (!options.noDrain && counts.accepted === 0 && counts.rejected > 0) {
      process.stderr.write(
        "guardian: no event was accepted: check the unit of event_ts in --map (epoch_s, epoch_ms, ...), and import into another --data-dir\n"
      )
    }
    if (options.noDrain) return yield* print("appended; process it with guardian drain or guardian serve")
    yield* print(
      `processed: ${
        counts.accepted.toLocaleString("en")
      } accepted, ${counts.duplicate} duplicate, ${counts.late} late, ` +
        `${counts.rejected} rejected, ${counts.deadLettered} dead-lettered`
    )
  })
).pipe(Command.withDescription("Append history from files to the log, in event-time order, and process it"))

interface ImportFlags {
  readonly files: ReadonlyArray<string>
  readonly format: "auto" | "csv" | "jsonl" | "apache"
  readonly map: string | undefined
  readonly noHeader: boolean
  readonly asIs: boolean
  readonly moreFollows: boolean
  readonly partitions: number | undefined
  readonly dataDir: string
}

const appended = (flags: ImportFlags) =>
  Effect.gen(function*() {
    const log = yield* EventLog
    const schemaId = yield* eventSchemaId
    const { temporary } = paths(flags.dataDir)
    yield* Effect.promise(() => mkdir(temporary, { recursive: true }))
    const opened: OpenImport = yield* openImport({
      files: flags.files,
      format: flags.format,
      map: flags.map,
      header: !flags.noHeader,
      asIs: flags.asIs,
      temporaryFolder: temporary,
      encode: (event) => encodeEvent(schemaId, event),
      ...(process.stderr.isTTY && { onProgress: showProgress })
    })
    if (flags.map === undefined) {
      for (const plan of opened.files) process.stderr.write(`${plan.file}: ${plan.format}, reading ${plan.mapping}\n`)
    }
    const { records, summary } = yield* opened.read
    endProgress()
    const entry: ImportEntry = {
      fingerprints: summary.files.map(({ fingerprint }) => fingerprint),
      files: summary.files.map(({ file }) => file),
      logId: log.logId,
      options: JSON.stringify(
        opened.files.map(({ format, mapping }) => [format, mapping]).concat([[String(flags.asIs)]] as never)
      ),
      startedAt: (yield* log.ranges).map(({ end }) => end),
      done: false
    }
    const begun = yield* refuseAgain(flags.dataDir, entry)
    if (begun === undefined && entry.startedAt.some((end) => end > 0)) yield* refuseOlder(flags.dataDir, summary)
    yield* recordImport(flags.dataDir, begun ?? entry)
    const skip = entry.startedAt.map((end, partition) => end - (begun ?? entry).startedAt[partition]!)
    yield* records.pipe(
      Stream.map((batch) => notYetAppended(batch, skip, log.partitions)),
      Stream.runForEach((batch) => batch.length === 0 ? Effect.void : log.append(batch))
    )
    if (!flags.moreFollows && summary.eventTsMax !== undefined) {
      const { gapMs, latenessMs } = yield* coreSettings
      yield* log.append(endMarkers(log.partitions, (summary.eventTsMax + gapMs + latenessMs) as EpochMillis))
    }
    return { entry: begun ?? entry, summary }
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(logLayer(flags.dataDir, flags.partitions), registryLayer(flags.dataDir)))
  )

/** The import that was begun and did not end, if this is its second attempt. */
const refuseAgain = Effect.fnUntraced(function*(dataDirectory: string, entry: ImportEntry) {
  const history = yield* readHistory(dataDirectory)
  const same = history.find((other) => sameContent(other, entry))
  if (same !== undefined && !same.done && same.options === entry.options) return same
  const known = history.filter((other) => other.logId === entry.logId)
    .flatMap(({ files, fingerprints }) => files.map((file, i) => [fingerprints[i]!, file] as const))
  const again = entry.fingerprints.findIndex((fingerprint) => known.some(([other]) => other === fingerprint))
  if (again < 0) return undefined
  const before = known.find(([other]) => other === entry.fingerprints[again])![1]
  return yield* new InstallationError({
    message:
      `${entry.files[again]} was imported into ${paths(dataDirectory).root} already (as ${before}): its events would ` +
      "be late or duplicates. Nothing was appended. To import it anew, name another --data-dir."
  })
})

/** History that is older than what the log has been processed to would be late. */
const refuseOlder = Effect.fnUntraced(function*(dataDirectory: string, summary: ImportSummary) {
  if (summary.eventTsMin === undefined) return
  const { eventTsMin } = summary
  yield* drained(dataDirectory, new PipelineStatus()).pipe(
    // Somebody else is processing this directory: good as well.
    Effect.catchTag("InstallationError", () => Effect.void)
  )
  const settings = yield* coreSettings
  const watermark = yield* Effect.gen(function*() {
    yield* migrated
    const checkpoints = yield* (yield* StateStore).checkpoints
    return Math.max(-Infinity, ...checkpoints.map(({ position }) => position.watermark))
  }).pipe(Effect.provide(stateStoreLayer.pipe(Layer.provideMerge(warehouseLayer(dataDirectory)))))
  if (eventTsMin >= watermark - settings.latenessMs) return
  return yield* new InstallationError({
    message:
      `The file begins at ${new Date(eventTsMin).toISOString()}, but the log in ${
        paths(dataDirectory).root
      } has been ` +
      `processed up to ${new Date(watermark).toISOString()}: older events would be late. Nothing was appended. ` +
      "Import it into another --data-dir, or all files in one command, or each but the last with --more-follows."
  })
})

/** Takes away what an earlier attempt has appended; `skip` counts down per partition. */
const notYetAppended = (
  batch: ReadonlyArray<NewRecord>,
  skip: Array<number>,
  partitions: number
): ReadonlyArray<NewRecord> =>
  skip.every((count) => count <= 0) ? batch : batch.filter(({ key }) => skip[partitionOf(key, partitions)]!-- <= 0)

const barWidth = 30

const showProgress = ({ bytesRead, bytesTotal, lines }: ImportProgress): void => {
  const share = bytesTotal === undefined || bytesTotal === 0 ? undefined : bytesRead / bytesTotal
  const bar = share === undefined ?
    "" :
    `[${"#".repeat(Math.round(share * barWidth)).padEnd(barWidth, ".")}] ${Math.round(share * 100)} % `
  process.stderr.write(`\r${bar}${lines.toLocaleString("en")} lines\u001b[K`)
}

const endProgress = (): void => {
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K")
}

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace("T", " ")
