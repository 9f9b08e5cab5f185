/** A folder of its own for a test, gone with the scope. */
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const testFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "guardian-log-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
