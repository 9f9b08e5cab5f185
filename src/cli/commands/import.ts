import { Clock, Effect, Layer, Option, Schema, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { mkdir } from "node:fs/promises"
import type { EpochMillis } from "../../domain/Identifiers.ts"
import type { OutcomeCounts } from "../../domain/Outcome.ts"
import { eventTsMin } from "../../domain/Settings.ts"
import { endMarkers } from "../../log/ControlRecords.ts"
import { EventLog } from "../../log/EventLog.ts"
import type { NewRecord } from "../../log/EventLog.ts"
import { partitionOf } from "../../log/Partitioner.ts"
import { exists as logExists } from "../../log/sqlite/SqliteEventLog.ts"
import { encodeEvent } from "../../log/WireFormat.ts"
import { openImport } from "../../operations/import/Import.ts"
import type { ImportProgress, ImportSummary, OpenImport } from "../../operations/import/Import.ts"
import { parseMapping } from "../../operations/import/Mapping.ts"
import { PipelineStatus } from "../../pipeline/PipelineStatus.ts"
import { waitedOut } from "../../pipeline/WaitingOut.ts"
import { StateStore } from "../../warehouse/StateStore.ts"
import { checkpointsOf } from "../Checkpoints.ts"
import { coreSettings } from "../Environment.ts"
import { dataDir, json, partitions, print, printJson } from "../Flags.ts"
import type { ImportEntry } from "../ImportHistory.ts"
import { readHistory, recordImport, sameContent } from "../ImportHistory.ts"
import { outcomesOf, uncountedTypes } from "../ImportOutcome.ts"
import {
  eventSchemaId,
  InstallationError,
  logLayer,
  paths,
  registryLayer,
  stateStoreLayer,
  warehouseLayer
} from "../Installation.ts"
import { logKind } from "../LogChoice.ts"
import { endProgress, progressBar, progressLine } from "../Progress.ts"
import { finishing } from "../RunMain.ts"
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

const strict = Flag.Boolean("strict").pipe(
  Flag.withDescription(
    "Exit code 1 when any line was dead-lettered or any event rejected; the rest is imported all the same"
  ),
  Flag.withDefault(false)
)

/** All is imported that can be, and --strict wanted more. */
export class NotAllAccepted
  extends Schema.TaggedError<NotAllAccepted>()("NotAllAccepted", { message: Schema.String })
{}

/** Appends history to the log in event-time order, then processes it. */
export const importCommand = Command.make(
  "import",
  { files, format, map, noHeader, asIs, moreFollows, noDrain, strict, partitions, dataDir, json },
  Effect.fn(function*(options) {
    const status = new PipelineStatus()
    const { entry, summary, typeColumn } = yield* finishing(imported(options, status))
    const { counts } = status
    yield* options.json ?
      printJson({ ...summary, ...(options.noDrain ? {} : { drained: counts }) }) :
      told(summary, options.noDrain ? undefined : counts)
    const uncounted = uncountedTypes(summary, typeColumn)
    if (uncounted !== undefined) process.stderr.write(`guardian: ${uncounted}\n`)
    const outcomes = options.noDrain ? undefined : yield* ownOutcomes(options.dataDir, entry, counts)
    if (outcomes?.accepted === 0 && summary.events + summary.deadLettered > 0) {
      process.stderr.write(
        "guardian: no event was accepted: check --map, above all the unit of event_ts (epoch_s, epoch_ms, ...). The same file may be " +
          "imported again with another --map; the records of this attempt stay counted for what they are\n"
      )
    }
    const rejected = outcomes?.rejected ?? 0
    if (options.strict && summary.deadLettered + rejected > 0) {
      return yield* new NotAllAccepted({
        message: `${summary.deadLettered} lines were dead-lettered and ${rejected} events rejected (--strict)`
      })
    }
  })
).pipe(Command.withDescription("Append history from files to the log, in event-time order, and process it"))

const imported = Effect.fnUntraced(
  function*(options: ImportFlags & { readonly noDrain: boolean }, status: PipelineStatus) {
    yield* refuseLostLog(options.dataDir)
    const done = yield* appended(options)
    if (!options.noDrain) yield* drained(options.dataDir, status)
    // Only now: an import that was killed before its records were processed goes on when it is run again.
    yield* recordImport(options.dataDir, { ...done.entry, done: true })
    return done
  }
)

/** A database whose log was deleted takes no other one: nothing is made beside it. */
const refuseLostLog = Effect.fnUntraced(function*(dataDirectory: string) {
  const { log, root } = paths(dataDirectory)
  if ((yield* logKind) !== "sqlite" || logExists(log) || (yield* checkpointsOf(dataDirectory)).length === 0) return
  return yield* new InstallationError({
    message: `The database in ${root} was made from a log that is gone. Restore ${log}, or name another --data-dir. ` +
      "Nothing was appended."
  })
})

const told = (summary: ImportSummary, counts: OutcomeCounts | undefined) =>
  Effect.gen(function*() {
    const reasons = Object.entries(summary.deadLetters).map(([reason, count]) => `${count} ${reason}`)
    yield* print(
      `${summary.lines.toLocaleString("en")} lines read: ${summary.events.toLocaleString("en")} events, ` +
        `${summary.deadLettered} dead-lettered${reasons.length === 0 ? "" : ` (${reasons.join(", ")})`}` +
        (summary.eventTsMin === undefined ? "" : `; ${day(summary.eventTsMin)} to ${day(summary.eventTsMax!)}`)
    )
    if (counts === undefined) return yield* print("appended; process it with guardian drain or guardian serve")
    yield* print(
      `processed: ${
        counts.accepted.toLocaleString("en")
      } accepted, ${counts.duplicate} duplicate, ${counts.late} late, ` +
        `${counts.rejected} rejected, ${counts.deadLettered} dead-lettered`
    )
  })

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
      eventTsBounds: { min: eventTsMin, max: (yield* Clock.currentTimeMillis) + (yield* coreSettings).futureMaxMs },
      temporaryFolder: temporary,
      encode: (event) => encodeEvent(schemaId, event),
      onProgress: reading()
    })
    if (flags.map === undefined) {
      for (const plan of opened.files) {
        const unread = plan.unread.length === 0 ? "" : `; not read: ${plan.unread.join(", ")}`
        process.stderr.write(
          `${plan.file}: ${plan.mapping === "" ? "no lines" : `${plan.format}, reading ${plan.mapping}${unread}`}\n`
        )
      }
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
    // Times that the log rejects must not move time: only what may be accepted decides where history ends.
    if (!flags.moreFollows && summary.plausibleTsMax !== undefined) {
      const { gapMs, latenessMs } = yield* coreSettings
      yield* log.append(endMarkers(log.partitions, (summary.plausibleTsMax + gapMs + latenessMs + 1) as EpochMillis))
    }
    const endedAt = (yield* log.ranges).map(({ end }) => end)
    const typeColumn = typeColumnOf(opened.files[0]?.mapping ?? "")
    return { entry: { ...(begun ?? entry), endedAt }, summary, typeColumn }
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(logLayer(flags.dataDir, flags.partitions), registryLayer(flags.dataDir)))
  )

/** The import that was begun and did not end, if this is its second attempt. */
const refuseAgain = Effect.fnUntraced(function*(dataDirectory: string, entry: ImportEntry) {
  const history = yield* readHistory(dataDirectory)
  const same = history.find((other) => sameContent(other, entry))
  if (same !== undefined && !same.done && same.options === entry.options) return same
  const others = history.filter((other) =>
    other.logId === entry.logId && other.fingerprints.some((each) => entry.fingerprints.includes(each))
  )
  if (others.length > 0 && others.every(({ options }) => options !== entry.options)) {
    yield* processed(dataDirectory)
    // Whatever was wrong with its settings, nothing of it counts: it does not stand in the way.
    if ((yield* outcomesOf(dataDirectory, others, entry.startedAt)).accepted === 0) return undefined
  }
  const known = others
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
  if (summary.plausibleTsMin === undefined) return
  const { plausibleTsMin } = summary
  yield* processed(dataDirectory)
  const settings = yield* coreSettings
  const watermark = yield* Effect.gen(function*() {
    yield* migrated
    const checkpoints = yield* (yield* StateStore).checkpoints
    return Math.max(-Infinity, ...checkpoints.map(({ position }) => position.watermark))
  }).pipe(waitedOut, Effect.provide(stateStoreLayer.pipe(Layer.provideMerge(warehouseLayer(dataDirectory)))))
  if (plausibleTsMin >= watermark - settings.latenessMs) return
  return yield* new InstallationError({
    message:
      `The file begins at ${new Date(plausibleTsMin).toISOString()}, but the log in ${
        paths(dataDirectory).root
      } has been ` +
      `processed up to ${new Date(watermark).toISOString()}: older events would be late. Nothing was appended. ` +
      "Import it into another --data-dir, or all files in one command, or each but the last with --more-follows."
  })
})

/** What became of this import's records; in a log that holds nothing else the pipeline has counted them. */
const ownOutcomes = (dataDirectory: string, entry: ImportEntry, counts: OutcomeCounts) =>
  entry.startedAt.every((end) => end === 0) ?
    Effect.succeed(counts) :
    outcomesOf(dataDirectory, [entry], entry.startedAt)

const typeColumnOf = (mapping: string): string | undefined => {
  const source = parseMapping(mapping).find(({ target }) => target === "event_type")?.source
  return source?.kind === "column" ? source.name : undefined
}

/** Everything that is in the log, as far as nobody else does it. */
const processed = (dataDirectory: string) =>
  drained(dataDirectory, new PipelineStatus()).pipe(
    // Somebody else is processing this directory: good as well.
    Effect.catchTag("InstallationError", () => Effect.void)
  )

/** Takes away what an earlier attempt has appended; `skip` counts down per partition. */
const notYetAppended = (
  batch: ReadonlyArray<NewRecord>,
  skip: Array<number>,
  partitions: number
): ReadonlyArray<NewRecord> =>
  skip.every((count) => count <= 0) ? batch : batch.filter(({ key }) => skip[partitionOf(key, partitions)]!-- <= 0)

/** Between two lines about the reading where there is no terminal, ms. */
const pipeEveryMs = 4_000

const reading = () => {
  let next = performance.now() + (process.stderr.isTTY ? 0 : pipeEveryMs)
  return ({ bytesRead, bytesTotal, lines }: ImportProgress): void => {
    const now = performance.now()
    if (!process.stderr.isTTY && now < next) return
    next = now + pipeEveryMs
    const share = bytesTotal === undefined || bytesTotal === 0 ? "" : progressBar(bytesRead / bytesTotal)
    progressLine(`${share}${lines.toLocaleString("en")} lines read`)
  }
}

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace("T", " ")
