/** Writes the server's files beside this one: node docker/clickhouse/write.ts */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { analystLimits } from "../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { serverConfigFile, serverUsersFile } from "../../src/warehouse/embedded/ServerFiles.ts"

/** What ClickHouse may use of the memory limit that compose.yaml sets, bytes. */
export const serverMemoryBytes = 1_200_000_000

/** By path below this folder. */
export const files: Readonly<Record<string, string>> = {
  "config.d/guardian.xml": serverConfigFile(),
  "users.d/guardian.xml": serverUsersFile(analystLimits(serverMemoryBytes))
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(files)) writeFileSync(join(import.meta.dirname, path), text)
}
