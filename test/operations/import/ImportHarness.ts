/** Runs an import in a folder of its own, with events as JSON instead of Avro. */
import { Effect, Stream } from "effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ClickEvent } from "../../../src/domain/ClickEvent.ts"
import type { NewRecord } from "../../../src/log/EventLog.ts"
import type { ImportOptions } from "../../../src/operations/import/Import.ts"
import { openImport } from "../../../src/operations/import/Import.ts"

export const encode = (event: ClickEvent): Uint8Array => Buffer.from(JSON.stringify(event))

export const isDeadLetter = (record: NewRecord) => record.headers?.["guardian-dead-letter"] !== undefined

export const eventOf = (record: NewRecord) => JSON.parse(Buffer.from(record.value).toString()) as ClickEvent

export const withFolder = async <A>(use: (folder: string) => Promise<A>): Promise<A> => {
  const folder = await mkdtemp(join(tmpdir(), "guardian-import-test-"))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

type Options = Partial<Omit<ImportOptions, "encode">> & { readonly files: ReadonlyArray<string> }

/** Everything at once: for files that fit into memory. */
export const importAll = (options: Options) =>
  Effect.gen(function*() {
    const opened = yield* openImport({ format: "auto", temporaryFolder: tmpdir(), ...options, encode })
    const { records, summary } = yield* opened.read
    const batches = yield* Stream.runCollect(records)
    const all = batches.flat()
    return {
      plans: opened.files,
      summary,
      records: all,
      events: all.filter((record) => !isDeadLetter(record)).map((record) => eventOf(record)),
      deadLetters: all.filter((record) => isDeadLetter(record))
    }
  }).pipe(Effect.scoped)

/** The same for one file of this content. */
export const importText = (content: string | Uint8Array, options: Omit<Options, "files"> = {}) =>
  withFolder(async (folder) => {
    const file = join(folder, "file")
    await writeFile(file, content)
    return Effect.runPromise(importAll({ ...options, files: [file] }))
  })
