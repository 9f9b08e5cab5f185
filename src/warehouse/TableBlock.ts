/**
 * Rows for one table, by columns: what the flush hands to the warehouse. The adapter over ClickHouse turns it into one Native
 * block; the simulator's warehouse reads the same columns.
 */

/** The column types the encoder writes. Money is in ten-thousandths; times in epoch ms; Date in days since 1970-01-01. */
export type Column =
  | {
    readonly name: string
    readonly type: "String" | "LowCardinality(String)"
    readonly values: ReadonlyArray<string>
  }
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

export interface TableBlock {
  /** Without the database: `events_raw`. */
  readonly table: string
  readonly rows: number
  readonly columns: ReadonlyArray<Column>
}
