import { Effect } from "effect"
import * as SqliteEventLog from "../../src/log/sqlite/SqliteEventLog.ts"
import { eventLogConformance } from "./conformance.ts"
import { testFolder } from "./TestFolder.ts"

eventLogConformance(
  "SqliteEventLog",
  (partitions) => Effect.map(testFolder, (directory) => SqliteEventLog.layer({ directory, partitions }))
)
