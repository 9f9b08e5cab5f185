/**
 * Rows for one table, by columns: what the flush hands to the warehouse. The adapter over ClickHouse turns it into one Native
 * block; the simulator's warehouse reads the same columns.
 */

import type { TextColumn } from "../sessionizer/TextColumn.ts"
import type { WordColumn } from "../sessionizer/WordColumn.ts"

/** The column types the encoder writes. Money is in ten-thousandths; times in epoch ms; Date in days since 1970-01-01. */
export type Column =
  | {
    readonly name: string
    readonly type: "String" | "LowCardinality(String)"
    readonly values: ReadonlyArray<string>
  }
  /** A String column, already in its encoding, in parts: one after the other they are the column. */
  | { readonly name: string; readonly type: "Texts"; readonly values: ReadonlyArray<TextColumn> }
  /** The same for LowCardinality(String). */
  | { readonly name: string; readonly type: "Words"; readonly values: ReadonlyArray<WordColumn> }
  | { readonly name: string; readonly type: "Bytes"; readonly values: ReadonlyArray<Uint8Array> }
  | {
    readonly name: string
    readonly type:
      | "UInt8"
      | "UInt16"
      | "UInt32"
      | "UInt64"
      | "Int64"
      | "Float64"
      | "Date"
      | "DateTime64(3, 'UTC')"
      | "Decimal(18, 4)"
    readonly values: ArrayLike<number>
  }
  | { readonly name: string; readonly type: "Bool"; readonly values: ReadonlyArray<boolean> }
  | { readonly name: string; readonly type: "UInt64" | "Decimal(38, 4)"; readonly values: ReadonlyArray<bigint> }
  | {
    readonly name: string
    readonly type: "Map(String, String)"
    readonly values: ReadonlyArray<Readonly<Record<string, string>>>
  }
  | {
    readonly name: string
    readonly type: "Map(String, Decimal(38, 4))" | "Map(String, UInt64)"
    readonly values: ReadonlyArray<ReadonlyMap<string, bigint>>
  }

/** How many rows a column has. */
export const rowsOf = (column: Column): number =>
  column.type === "Texts" || column.type === "Words" ?
    column.values.reduce((sum, { count }) => sum + count, 0) :
    column.values.length

/** The column's values one by one, whatever its form. */
export const valuesOf = (column: Column): ArrayLike<unknown> => {
  switch (column.type) {
    case "Texts":
      return column.values.flatMap((part) => [...part])
    case "Words":
      return column.values.flatMap((part) => {
        const keys = [...part.keys]
        return Array.from(part.indexes, (index) => keys[index]!)
      })
    default:
      return column.values
  }
}

export interface TableBlock {
  /** Without the database: `events_raw`. */
  readonly table: string
  readonly rows: number
  readonly columns: ReadonlyArray<Column>
}
