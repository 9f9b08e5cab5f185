/**
 * Turns files into records for the log, in two steps so that the caller can refuse before anything is appended:
 *
 * 1. `openImport` looks at the start of each file: format, columns, mapping. What it guessed is in `files`.
 * 2. `read` reads everything, sorts it by event time (stable; `asIs` keeps the files' order) and tells what it found: counts,
 *    fingerprints, first and last time. Only then `records` gives the records, batch by batch: dead letters first, in the order of the
 *    files, then the events; with `asIs` all in place. A file that cannot be read to its end gives no records at all.
 *
 * Memory stays bounded; what does not fit is spilled to a folder that goes with the scope, also after a failure or an interrupt.
 * Nothing comes out before the end of the input, so an endless standard input cannot be imported.
 *
 * @example
 * const program = Effect.gen(function*() {
 *   const opened = yield* openImport({ files: ["clicks.csv.gz"], format: "auto", encode, temporaryFolder })
 *   const { records, summary } = yield* opened.read
 *   yield* Stream.runForEach(records, (batch) => log.append(batch))
 *   return summary
 * }).pipe(Effect.scoped)
 */
import { Effect, Stream } from "effect"
import type { Scope } from "effect"
import { createHash } from "node:crypto"
import type { Readable } from "node:stream"
import type { ClickEvent } from "../../domain/ClickEvent.ts"
import type { NewRecord } from "../../log/EventLog.ts"
import type { FaultReason } from "./Fault.ts"
import type { EventTsBounds, FileSummary } from "./FileImport.ts"
import { importFile } from "./FileImport.ts"
import type { FilePlan } from "./FilePlan.ts"
import { planFile } from "./FilePlan.ts"
import type { ImportError } from "./ImportError.ts"
import { ImportFileError, MappingError } from "./ImportError.ts"
import { RecordSort } from "./RecordSort.ts"
import type { FileFormat } from "./Sample.ts"
import { Source } from "./Source.ts"

export interface ImportOptions {
  /** Paths, or "-" for standard input; gzip is recognised. */
  readonly files: ReadonlyArray<string>
  readonly format: "auto" | FileFormat
  /** As in `Mapping.ts`; without one it is guessed (CSV with a header, JSON) or the usual one (access logs). */
  readonly map?: string | undefined
  /** CSV: whether the first line names the columns; default true. */
  readonly header?: boolean
  /** Keeps the order of the files instead of that of event time. */
  readonly asIs?: boolean
  /** Event times that the log will take; default all. */
  readonly eventTsBounds?: EventTsBounds
  /** The event as the log stores it; the bytes are copied before the next call. */
  readonly encode: (event: ClickEvent) => Uint8Array
  /** An existing folder for what does not fit into memory. */
  readonly temporaryFolder: string
  readonly standardInput?: Readable
  /** Bytes and records in memory; default 256 MiB and 500,000. */
  readonly memoryBytesMax?: number
  readonly recordsMax?: number
  /** Called often, so it should be cheap. */
  readonly onProgress?: (progress: ImportProgress) => void
}

export interface ImportProgress {
  readonly file: string
  /** As stored, over all files; the total is undefined when a pipe is among them. */
  readonly bytesRead: number
  readonly bytesTotal: number | undefined
  /** Lines of all files so far. */
  readonly lines: number
}

export interface OpenImport {
  readonly files: ReadonlyArray<FilePlan>
  /** Once. */
  readonly read: Effect.Effect<ReadImport, ImportError, Scope.Scope>
}

export interface ReadImport {
  readonly summary: ImportSummary
  /** Batches of at most 5,000 records and about 8 MiB. Once, within the scope of `read`. */
  readonly records: Stream.Stream<ReadonlyArray<NewRecord>, ImportError>
}

/** Sums over the files. */
export interface ImportSummary {
  readonly files: ReadonlyArray<FileSummary>
  readonly lines: number
  readonly events: number
  readonly deadLettered: number
  readonly deadLetters: Readonly<Partial<Record<FaultReason, number>>>
  readonly blankLines: number
  readonly eventTsMin: number | undefined
  readonly eventTsMax: number | undefined
  /** The least and the greatest that lie within `eventTsBounds`. */
  readonly plausibleTsMin: number | undefined
  readonly plausibleTsMax: number | undefined
  readonly eventTypes: Readonly<Record<string, number>>
  readonly bytes: number
}

/** Opens the files and plans how to read them. Fails on a missing file and on a mapping that does not fit. */
export const openImport = (options: ImportOptions): Effect.Effect<OpenImport, ImportError> =>
  Effect.gen(function*() {
    if (options.files.length === 0) return yield* new MappingError({ message: "no file to import was named" })
    const opened: Array<{ plan: FilePlan; source: Source }> = []
    for (const file of options.files) {
      opened.push(yield* attempt(file, () => openFile(file, options)))
    }
    return { files: opened.map(({ plan }) => plan), read: readAll(opened, options) }
  })

/** Hex SHA-256 of a file's content without compression, as in `FileSummary`: to refuse a file before it is read. */
export const fingerprintOf = (file: string): Effect.Effect<string, ImportError> =>
  attempt(file, async (signal) => {
    const source = await Source.open(file, process.stdin)
    await source.head()
    const hash = createHash("sha256")
    for await (const chunk of source.chunks(signal)) hash.update(chunk)
    return hash.digest("hex")
  })

const openFile = async (file: string, options: ImportOptions) => {
  const source = await Source.open(file, options.standardInput ?? process.stdin)
  const plan = planFile(file, await source.head(), {
    format: options.format,
    map: options.map,
    header: options.header ?? true
  })
  return { plan, source }
}

const readAll = (
  opened: ReadonlyArray<{ readonly plan: FilePlan; readonly source: Source }>,
  options: ImportOptions
): Effect.Effect<ReadImport, ImportError, Scope.Scope> =>
  Effect.gen(function*() {
    const sort = new RecordSort({
      temporaryFolder: options.temporaryFolder,
      ...(options.memoryBytesMax !== undefined && { memoryBytesMax: options.memoryBytesMax }),
      ...(options.recordsMax !== undefined && { recordsMax: options.recordsMax })
    })
    const stop = new AbortController()
    let reading: Promise<unknown> = Promise.resolve()
    yield* Effect.addFinalizer(() =>
      Effect.promise(async () => {
        stop.abort()
        await reading.catch(() => {})
        await sort.close()
      })
    )
    const progress = progressOf(opened.map(({ source }) => source), options)
    const files: Array<FileSummary> = []
    for (const { plan, source } of opened) {
      const summary = yield* attempt(plan.file, () => {
        const { asIs = false, encode, eventTsBounds = { min: -Infinity, max: Infinity } } = options
        const job = importFile({
          plan,
          source,
          sort,
          asIs,
          eventTsBounds,
          encode,
          signal: stop.signal,
          onChunk: progress(plan.file, files)
        })
        reading = job
        return job
      })
      const twin = files.find(({ bytes, fingerprint }) => bytes > 0 && fingerprint === summary.fingerprint)
      if (twin !== undefined) {
        return yield* new MappingError({ message: `${plan.file} has the same content as ${twin.file}: name it once` })
      }
      files.push(summary)
    }
    const records = Stream.fromAsyncIterable(sort.batches(), (cause) => cause).pipe(
      Stream.catch((cause) => Stream.fromEffect(failure(options.temporaryFolder, cause)))
    )
    return { summary: sumOf(files), records }
  })

const progressOf = (sources: ReadonlyArray<Source>, options: ImportOptions) => {
  const known = sources.every(({ bytesTotal }) => bytesTotal !== undefined)
  const bytesTotal = known ? sources.reduce((sum, source) => sum + source.bytesTotal!, 0) : undefined
  return (file: string, before: ReadonlyArray<FileSummary>) => {
    const linesBefore = before.reduce((sum, { lines }) => sum + lines, 0)
    return (lines: number) =>
      options.onProgress?.({
        file,
        bytesRead: sources.reduce((sum, source) => sum + source.bytesRead, 0),
        bytesTotal,
        lines: linesBefore + lines
      })
  }
}

const sumOf = (files: ReadonlyArray<FileSummary>): ImportSummary => {
  const sum = (of: (file: FileSummary) => number) => files.reduce((total, file) => total + of(file), 0)
  const deadLetters: Partial<Record<FaultReason, number>> = {}
  const eventTypes: Record<string, number> = {}
  for (const file of files) {
    for (const [reason, count] of Object.entries(file.deadLetters) as Array<[FaultReason, number]>) {
      deadLetters[reason] = (deadLetters[reason] ?? 0) + count
    }
    for (const [type, count] of Object.entries(file.eventTypes)) eventTypes[type] = (eventTypes[type] ?? 0) + count
  }
  const some = files.filter(({ events }) => events > 0)
  const plausible = files.flatMap(({ plausibleTsMax }) => plausibleTsMax ?? [])
  const plausibleMins = files.flatMap(({ plausibleTsMin }) => plausibleTsMin ?? [])
  return {
    files,
    lines: sum(({ lines }) => lines),
    events: sum(({ events }) => events),
    deadLettered: sum(({ deadLettered }) => deadLettered),
    deadLetters,
    blankLines: sum(({ blankLines }) => blankLines),
    eventTsMin: some.length > 0 ? Math.min(...some.map(({ eventTsMin }) => eventTsMin!)) : undefined,
    eventTsMax: some.length > 0 ? Math.max(...some.map(({ eventTsMax }) => eventTsMax!)) : undefined,
    plausibleTsMin: plausibleMins.length > 0 ? Math.min(...plausibleMins) : undefined,
    plausibleTsMax: plausible.length > 0 ? Math.max(...plausible) : undefined,
    eventTypes,
    bytes: sum(({ bytes }) => bytes)
  }
}

/** Runs plain code; what the system refuses is an error with the file's name, anything else a defect. */
const attempt = <A>(file: string, run: (signal: AbortSignal) => Promise<A>): Effect.Effect<A, ImportError> =>
  Effect.tryPromise({ try: run, catch: (cause) => cause }).pipe(Effect.catch((cause) => failure(file, cause)))

const failure = (file: string, cause: unknown): Effect.Effect<never, ImportError> => {
  if (cause instanceof MappingError || cause instanceof ImportFileError) return Effect.fail(cause)
  if (!(cause instanceof Error && "code" in cause && typeof cause.code === "string")) return Effect.die(cause)
  const why = reasons[cause.code] ?? cause.message
  return Effect.fail(new ImportFileError({ file, message: `${file}: ${why}`, cause }))
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "it may not be read",
  ENOSPC: "the disk is full",
  Z_DATA_ERROR: "the gzip data is damaged; nothing was imported",
  Z_BUF_ERROR: "the gzip data is cut off; nothing was imported"
}
