/**
 * The port of the warehouse: ClickHouse over HTTP, embedded or a server. An address is the only seam.
 */
import { Context, Schema } from "effect"
import type { Effect, Redacted } from "effect"
import type { TableBlock } from "./TableBlock.ts"

/** Where a ClickHouse listens and who we are there. */
export interface WarehouseAddress {
  /** e.g. http://127.0.0.1:8123 */
  readonly url: string
  readonly database: string
  readonly username: string
  readonly password: Redacted.Redacted
}

/**
 * The warehouse refused or did not answer. `retryable`: it is away, starting, overloaded or out of disk and may come back
 * (wait); otherwise the statement itself is wrong (a bug or a schema that does not fit: stop). `code` is ClickHouse's, or 0.
 */
export class WarehouseError extends Schema.TaggedError<WarehouseError>()("WarehouseError", {
  message: Schema.String,
  code: Schema.Number,
  retryable: Schema.Boolean,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** Rows in RowBinary, one behind the other. Only good during the visit. */
export type VisitRows = (rows: Buffer) => void

/**
 * What is written or asked twice changes nothing, so "one attempt" includes that a request whose kept socket turns out to be closed
 * is sent once more; nothing is waited out here.
 */
export class Warehouse extends Context.Service<Warehouse, {
  /** Writes one block, synchronously and fsynced; when it returns the rows survive a crash of the server. One attempt. */
  insert(block: TableBlock): Effect.Effect<void, WarehouseError>
  /** Rows of a SELECT as objects. 64-bit integers and decimals are strings, times as ClickHouse prints them. One attempt. */
  query(
    sql: string,
    params?: Readonly<Record<string, unknown>>
  ): Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, WarehouseError>
  /**
   * Shows the rows of a SELECT as they come, as RowBinary, when all of them are `rowBytes` long: for answers that are too large to
   * be held. One attempt: after a failure some rows have been shown.
   */
  queryRows(sql: string, rowBytes: number, visit: VisitRows): Effect.Effect<void, WarehouseError>
  /** A SELECT's answer as RowBinary bytes, for the large reads of recovery. One attempt. */
  queryBytes(
    sql: string,
    params?: Readonly<Record<string, unknown>>
  ): Effect.Effect<Buffer, WarehouseError>
  /** A statement without an answer: DDL, SYSTEM, an INSERT of a SELECT. One attempt. */
  command(sql: string, params?: Readonly<Record<string, unknown>>): Effect.Effect<void, WarehouseError>
  readonly database: string
}>()("guardian/warehouse/Warehouse") {}
