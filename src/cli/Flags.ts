/** Flags that several commands share. */
import { Effect, Option } from "effect"
import { Flag } from "effect/cli"

export const dataDir = Flag.String("data-dir").pipe(
  Flag.withDescription("Folder of the installation"),
  Flag.withDefault(".guardian")
)

export const json = Flag.Boolean("json").pipe(Flag.withDescription("Print JSON"), Flag.withDefault(false))

export const httpPort = Flag.Int("http-port").pipe(
  Flag.withDescription(
    "Port of the embedded ClickHouse (else GUARDIAN_CLICKHOUSE_HTTP_PORT, the last one, or a free one)"
  ),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

export const tcpPort = Flag.Int("tcp-port").pipe(
  Flag.withDescription("Also speak ClickHouse's native protocol on this port; 0: any free one"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

export const apiPort = Flag.Int("api-port").pipe(
  Flag.withDescription("Port of API and dashboard (else GUARDIAN_API_PORT, or 8080)"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

export const partitions = Flag.Int("partitions").pipe(
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
