/**
 * The data dictionary: what every view, table and column is, as Markdown, from the comments that the schema itself carries. So
 * `DESCRIBE`, any client's catalogue and the page say the same.
 */
import { Effect } from "effect"
import type { WarehouseError } from "./Warehouse.ts"
import { Warehouse } from "./Warehouse.ts"

interface Relation {
  readonly name: string
  readonly engine: string
  readonly comment: string
  readonly partitionKey: string
  readonly sortingKey: string
  /** Of a view that takes parameters: "session_id String". */
  readonly parameters: ReadonlyArray<readonly [name: string, type: string]>
  readonly columns: ReadonlyArray<RelationColumn>
}

interface RelationColumn {
  readonly name: string
  readonly type: string
  readonly comment: string
}

/** The dictionary of the connection's database. It is the same for all databases of one schema version. */
export const dataDictionary: Effect.Effect<string, WarehouseError, Warehouse> = Effect.gen(function*() {
  const relations = yield* readRelations
  const chapters: ReadonlyArray<readonly [title: string, text: string, is: (relation: Relation) => boolean]> = [
    ["Views", "What to read: nothing in them is double, withdrawn or superseded.", ({ engine }) => engine === "View"],
    [
      "Tables",
      "What lies below. Most replace rows by key, so read them with FINAL or not at all.",
      ({ engine }) => !engine.endsWith("View")
    ],
    [
      "Materialized views",
      "What computes tables: their columns are those of the tables that they write to.",
      ({ engine }) => engine === "MaterializedView"
    ]
  ]
  return [
    "# Data dictionary",
    "",
    "Written by `npm run dictionary` from the comments of the schema; a test holds it equal to them. `DESCRIBE TABLE events` says",
    "the same in any client. Times are UTC.",
    ...chapters.flatMap(([title, text, is]) => {
      const found = relations.filter(is)
      return found.length === 0 ?
        [] :
        ["", `## ${title}`, "", text, ...found.flatMap((each) => section(each, relations))]
    }),
    ""
  ].join("\n")
})

const readRelations: Effect.Effect<ReadonlyArray<Relation>, WarehouseError, Warehouse> = Effect.gen(function*() {
  const warehouse = yield* Warehouse
  const tables = yield* warehouse.query(
    `SELECT name, engine, comment, partition_key, sorting_key, parameterized_view_parameters AS parameters FROM system.tables
     WHERE database = currentDatabase() AND NOT startsWith(name, '.inner') ORDER BY name`
  )
  const columns = Map.groupBy(
    yield* warehouse.query(
      "SELECT table, name, type, comment FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
    ),
    (row) => String(row["table"])
  )
  return yield* Effect.forEach(
    tables,
    (row) =>
      Effect.map(columnsOf(row, columns.get(String(row["name"])) ?? []), (columns): Relation => ({
        name: String(row["name"]),
        engine: String(row["engine"]),
        comment: String(row["comment"]),
        partitionKey: String(row["partition_key"]),
        sortingKey: String(row["sorting_key"]),
        parameters: parametersOf(row),
        columns
      }))
  )
})

type Row = Readonly<Record<string, unknown>>

/** Tuples come as arrays or as objects, by the client's settings. */
const parametersOf = (row: Row): ReadonlyArray<readonly [string, string]> =>
  (row["parameters"] as ReadonlyArray<Readonly<Record<string, string>>>).map((pair) => {
    const [name, type] = Object.values(pair)
    return [name!, type!]
  })

/** A view with parameters has no columns in the catalogue: an empty call of it does. */
const columnsOf = Effect.fnUntraced(function*(
  row: Row,
  known: ReadonlyArray<Row>
): Effect.fn.Return<ReadonlyArray<RelationColumn>, WarehouseError, Warehouse> {
  const parameters = parametersOf(row)
  const rows = parameters.length === 0 ? known : yield* (yield* Warehouse).query(
    `DESCRIBE TABLE (SELECT * FROM ${String(row["name"])}(${
      parameters.map(([name, type]) => `${name} = defaultValueOfTypeName('${type.replaceAll("'", "\\'")}')`).join(", ")
    }))`
  )
  return rows.map(({ comment, name, type }) => ({ name: String(name), type: String(type), comment: String(comment) }))
})

const section = (relation: Relation, all: ReadonlyArray<Relation>): ReadonlyArray<string> => {
  const { comment, engine, name, parameters, partitionKey, sortingKey } = relation
  const call = parameters.length === 0 ?
    name :
    `${name}(${parameters.map(([each, type]) => `${each} ${type}`).join(", ")})`
  const keys = [
    ...(sortingKey === "" ? [] : [`ordered by \`${sortingKey}\``]),
    ...(partitionKey === "" ? [] : [`partitioned by \`${partitionKey}\``])
  ]
  return [
    "",
    `### ${call}`,
    "",
    `${comment}.`,
    ...(keys.length === 0 ? [] : ["", `${engine}, ${keys.join(", ")}.`]),
    ...(engine === "MaterializedView" ? [] : ["", ...columnLines(relation, all)])
  ]
}

const columnLines = (relation: Relation, all: ReadonlyArray<Relation>): ReadonlyArray<string> => {
  const source = relation.parameters.length === 0 ?
    undefined :
    all.find(({ columns, name }) =>
      name !== relation.name && relation.columns.every((column) => columns.some((each) => each.name === column.name))
    )
  if (source !== undefined) return [`Columns as in ${source.name}.`]
  return [
    "| column | type | meaning |",
    "| --- | --- | --- |",
    ...relation.columns.map(({ comment, name, type }) => `| ${name} | ${cell(type)} | ${cell(comment)} |`)
  ]
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ")
