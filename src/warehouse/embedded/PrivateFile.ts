import { randomUUID } from "node:crypto"
import { rename, rm, writeFile } from "node:fs/promises"

/** Writes a file with mode 0600, whole or not at all: readers see the old content or the new. */
export const writePrivateFile = async (path: string, content: string): Promise<void> => {
  const draft = `${path}.${randomUUID()}`
  try {
    await writeFile(draft, content, { mode: 0o600, flag: "wx", flush: true })
    await rename(draft, path)
  } catch (cause) {
    await rm(draft, { force: true })
    throw cause
  }
}
