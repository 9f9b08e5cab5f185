/**
 * Why there is no embedded warehouse. No error carries a password.
 */
import { Schema } from "effect"

/**
 * The warehouse did not start, or could not be started again.
 * - `port-taken`: another program listens on `port`
 * - `engine`: the engine ended or did not answer in time; `stderr` has the end of what it said
 * - `directory`, `credentials`: files that cannot be used
 */
export class WarehouseStartError extends Schema.TaggedError<WarehouseStartError>()("WarehouseStartError", {
  message: Schema.String,
  reason: Schema.Literals(["port-taken", "engine", "directory", "credentials"]),
  port: Schema.optionalKey(Schema.Number),
  stderr: Schema.optionalKey(Schema.String),
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** Another process runs the warehouse of this directory: use `EmbeddedWarehouse.attach`, or stop that process. */
export class WarehouseOwned extends Schema.TaggedError<WarehouseOwned>()("WarehouseOwned", {
  message: Schema.String,
  directory: Schema.String,
  /** Absent while the owner is still starting and has not said. */
  pid: Schema.optionalKey(Schema.Number),
  url: Schema.optionalKey(Schema.String)
}) {}
