/** Flags that several commands share. */
import { Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"

export const dataDir = Flag.String("data-dir").pipe(
  Flag.withDescription("Folder of the installation"),
  Flag.withDefault(".guardian")
)

export const json = Flag.Boolean("json").pipe(Flag.withDescription("Print JSON"), Flag.withDefault(false))

/** The call makes no sense; the message says how it would. Exit code 2. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { message: Schema.String }) {}

/** A day of the reporting time zone. */
export const dayFlag = Flag.String("day").pipe(
  Flag.filter(
    (day) => /^\d{4}-\d{2}-\d{2}$/.test(day) && isDate(day),
    () => "a day, as 2026-03-01"
  )
)

/** Whether the calendar has it: Date itself takes the 31st of February for the 3rd of March. */
const isDate = (day: string): boolean => {
  const date = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day)
}

/** A port to listen on. */
export const portFlag = (name: string) =>
  Flag.Int(name).pipe(
    Flag.filter((port) => port >= 0 && port <= 65_535, () => "a port, 0 to 65535")
  )

export const httpPort = portFlag("http-port").pipe(
  Flag.withDescription(
    "Port of the embedded ClickHouse (else GUARDIAN_CLICKHOUSE_HTTP_PORT, the last one, or a free one)"
  ),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

export const tcpPort = portFlag("tcp-port").pipe(
  Flag.withDescription("Also speak ClickHouse's native protocol on this port; 0: any free one"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

export const apiPort = portFlag("api-port").pipe(
  Flag.withDescription("Port of API and dashboard (else GUARDIAN_API_PORT, or 8080)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

/** Events per second to make up. */
export const rateFlag = Flag.Finite("rate").pipe(
  Flag.filter(
    (rate) => rate > 0 && rate <= 1_000_000,
    () => "a number above 0, at most 1000000"
  )
)

export const partitions = Flag.Int("partitions").pipe(
  Flag.filter((count) => count >= 1 && count <= 1_024, () => "1 to 1024"),
  Flag.withDescription("Partitions of a new log (default 6)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

/** Prints a line to standard output. */
export const print = (text: string): Effect.Effect<void> => Effect.sync(() => process.stdout.write(`${text}\n`))

/** Prints a value as one line of JSON; 64-bit values as strings. */
export const printJson = (value: unknown): Effect.Effect<void> =>
  print(JSON.stringify(value, (_, each) => typeof each === "bigint" ? String(each) : each))

/** A table for people: columns padded, numbers to the right. */
export const table = (rows: ReadonlyArray<Readonly<Record<string, unknown>>>): string => {
  const names = Object.keys(rows[0] ?? {})
  const cells = [names, ...rows.map((row) => names.map((name) => text(row[name])))]
  const widths = names.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return cells.map((row, line) =>
    row.map((cell, column) =>
      line > 0 && typeof rows[line - 1]![names[column]!] === "number" ?
        cell.padStart(widths[column]!) :
        cell.padEnd(widths[column]!)
    ).join("  ").trimEnd()
  ).join("\n")
}

const text = (value: unknown): string => typeof value === "number" ? value.toLocaleString("en") : String(value ?? "")
