import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { text } from "node:stream/consumers"
import { make } from "../../warehouse/ClickHouseWarehouse.ts"
import { StatementRefused, streamAnswer } from "../AnswerStream.ts"
import { existingWarehouseLayer, noTablesYet } from "../ExistingWarehouse.ts"
import { dataDir, json } from "../Flags.ts"
import { RunningWarehouse } from "../Installation.ts"

const statement = Argument.String("statement").pipe(
  Argument.withDescription("A ClickHouse statement; - reads it from standard input")
)
const format = Flag.String("format").pipe(
  Flag.withDescription("Any ClickHouse format (default: a table on a terminal, else TabSeparatedWithNames)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

/** Asks the database, whether or not a server is running. */
export const sql = Command.make(
  "sql",
  { statement, dataDir, json, format },
  Effect.fn(function*({ dataDir, format, json, statement }) {
    const asked = statement === "-" ? yield* Effect.promise(() => text(process.stdin)) : statement
    yield* answer(asked, format ?? defaultFormat(json)).pipe(Effect.provide(existingWarehouseLayer(dataDir)))
  })
).pipe(Command.withDescription("Run a statement in the database and print its answer"))

const defaultFormat = (json: boolean): string => {
  if (json) return "JSONEachRow"
  return process.stdout.isTTY ? "PrettyCompactMonoBlock" : "TabSeparatedWithNames"
}

const answer = Effect.fnUntraced(function*(statement: string, format: string) {
  const address = (yield* RunningWarehouse).address("reader")
  yield* streamAnswer(address, statement, { format, write }).pipe(
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
