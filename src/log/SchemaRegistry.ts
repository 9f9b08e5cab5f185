/**
 * The port of the schema registry: ids for Avro schemas, given once and valid for ever. Adapters: `FileSchemaRegistry.ts`
 * (embedded). A subject's versions are BACKWARD compatible: the newest reads what the one before it wrote.
 */
import avro from "avsc"
import { Context, Schema } from "effect"
import type { Effect } from "effect"
import { wholeMaps } from "./AvroMaps.ts"

/** An Avro schema as JSON: an object, a union's array, or the name of a primitive. */
export type AvroSchemaJson = string | object

/** The registry cannot answer now. `retryable` says whether waiting can heal it. */
export class RegistryError extends Schema.TaggedError<RegistryError>()("RegistryError", {
  message: Schema.String,
  retryable: Schema.Boolean,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** The schema is none, or cannot read what the subject's newest version wrote. */
export class SchemaRefused extends Schema.TaggedError<SchemaRefused>()("SchemaRefused", {
  subject: Schema.String,
  message: Schema.String
}) {}

export class SchemaRegistry extends Context.Service<SchemaRegistry, {
  /** The schema's id: the same for the same schema, whatever the subject and however often. */
  register(subject: string, schema: AvroSchemaJson): Effect.Effect<number, RegistryError | SchemaRefused>
  /** The schema of an id, or undefined when the registry has none. */
  byId(id: number): Effect.Effect<AvroSchemaJson | undefined, RegistryError>
}>()("guardian/log/SchemaRegistry") {}

/** An Avro schema as a type of the library. Throws when it is none. Every call has its own names, so two versions may meet. */
export const avroType = (schema: AvroSchemaJson): avro.Type =>
  avro.Type.forSchema(schema as avro.Schema, { registry: {}, wrapUnions: false, typeHook: wholeMaps })

/** Why `reader` cannot read what `writer` wrote; undefined when it can. */
export const incompatibility = (reader: AvroSchemaJson, writer: AvroSchemaJson): string | undefined => {
  try {
    avroType(reader).createResolver(avroType(writer))
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
