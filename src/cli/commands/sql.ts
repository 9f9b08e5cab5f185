import { Effect, Option } from "effect"
import { Argument, CliError, Command, Flag } from "effect/cli"
import { readFile } from "node:fs/promises"
import { text } from "node:stream/consumers"
import { make } from "../../warehouse/ClickHouseWarehouse.ts"
import { StatementRefused, streamAnswer } from "../AnswerStream.ts"
import { existingWarehouseLayer, noTablesYet } from "../ExistingWarehouse.ts"
import { dataDir, json, UsageError } from "../Flags.ts"
import { RunningWarehouse } from "../Installation.ts"
import type { StatementFile } from "../StatementFile.ts"
import { parameterValues, parseStatementFile } from "../StatementFile.ts"

const statement = Argument.String("statement").pipe(
  Argument.withDescription("A ClickHouse statement; - reads it from standard input"),
  Argument.optional,
  Argument.map(Option.getOrUndefined)
)
const file = Flag.String("file").pipe(
  Flag.withDescription("A file with the statement, as those in clickhouse/queries"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const parameters = Flag.KeyValuePair("param").pipe(
  Flag.withDescription("name=value of a parameter {name:Type}; may be given again"),
  Flag.withDefault({})
)
const format = Flag.String("format").pipe(
  Flag.withDescription("Any ClickHouse format (default: a table on a terminal, else TabSeparatedWithNames)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

/** Asks the database, whether or not a server is running. */
export const sql = Command.make(
  "sql",
  { statement, file, parameters, dataDir, json, format },
  Effect.fn(function*({ dataDir, file, format, json, parameters, statement }) {
    const asked = yield* statementOf(statement, file)
    const unknown = Object.keys(parameters).filter((name) => !new RegExp(`\\{\\s*${name}\\s*:`).test(asked.statement))
    if (unknown.length > 0) {
      const known = [...new Set([...asked.statement.matchAll(/\{\s*(\w+)\s*:/g)].map(([, name]) => name))]
      return yield* new UsageError({
        message: `the statement has no parameter ${unknown.join(", ")}; ` +
          (known.length === 0 ? "it has none" : `it has ${known.join(", ")}`)
      })
    }
    yield* answer(asked.statement, parameterValues(asked, parameters), format ?? defaultFormat(json)).pipe(
      Effect.provide(existingWarehouseLayer(dataDir))
    )
  })
).pipe(Command.withDescription("Run a statement in the database and print its answer"))

/** Only a file has defaults for its parameters: what is typed in is taken as it is. */
const statementOf = Effect.fnUntraced(function*(
  statement: string | undefined,
  file: string | undefined
): Effect.fn.Return<StatementFile, CliError.CliError | UsageError> {
  if (statement !== undefined && file !== undefined) {
    return yield* new CliError.UnexpectedArgument({ arguments: [statement] })
  }
  if (file !== undefined) {
    return yield* Effect.tryPromise({
      try: async () => parseStatementFile(await readFile(file, "utf8")),
      catch: (cause) => new UsageError({ message: `cannot read the statement: ${(cause as Error).message}` })
    })
  }
  if (statement === undefined) return yield* new CliError.MissingArgument({ argument: "statement (or --file FILE)" })
  return { statement: statement === "-" ? yield* Effect.promise(() => text(process.stdin)) : statement, parameters: [] }
})

const defaultFormat = (json: boolean): string => {
  if (json) return "JSONEachRow"
  return process.stdout.isTTY ? "PrettyCompactMonoBlock" : "TabSeparatedWithNames"
}

const answer = Effect.fnUntraced(function*(
  statement: string,
  parameters: Readonly<Record<string, string>>,
  format: string
) {
  const address = (yield* RunningWarehouse).address("reader")
  yield* streamAnswer(address, statement, { format, parameters, write }).pipe(
    Effect.catchIf(
      ({ code }) => code === unknownTable,
      (refused) =>
        Effect.flatMap(
          isEmpty,
          (empty) =>
            empty ?
              new StatementRefused({ ...refused, message: `The database has no tables yet. ${noTablesYet}` }) :
              refused
        )
    )
  )
})

const unknownTable = 60

const isEmpty = Effect.scoped(Effect.gen(function*() {
  const warehouse = yield* make((yield* RunningWarehouse).address("reader"))
  const rows = yield* warehouse.query(
    "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name != 'migrations' LIMIT 1"
  )
  return rows.length === 0
}))

/** Waits until the reader has taken it. One that has gone away ends the process: see `runMain`. */
const write = (chunk: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.write(chunk, () => resolve())
  })
