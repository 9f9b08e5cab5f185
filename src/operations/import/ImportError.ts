/** What stops an import before anything is appended. Bad lines never do: they become dead letters (`Fault.ts`). */
import { Schema } from "effect"

/** The mapping is wrong or does not fit the file: the user must change the command (exit code 2). */
export class MappingError extends Schema.TaggedError<MappingError>()("MappingError", {
  message: Schema.String
}) {}

/** A file cannot be read to its end, or runs cannot be spilled: missing, no permission, damaged gzip, disk full. */
export class ImportFileError extends Schema.TaggedError<ImportFileError>()("ImportFileError", {
  file: Schema.String,
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

export type ImportError = MappingError | ImportFileError
