/**
 * Builds the page into `dist`: `npm ci` runs it, so that a fresh clone has the dashboard without a network or a wait at the start.
 * An installation without development dependencies has nothing to build it with; then the server says so at `/`.
 */
import { createRequire } from "node:module"
import { join } from "node:path"

const isInstalled = (name: string): boolean => {
  try {
    createRequire(import.meta.url).resolve(name)
    return true
  } catch {
    return false
  }
}

if (isInstalled("vite")) {
  const { build } = await import("vite")
  await build({ configFile: join(import.meta.dirname, "vite.config.ts") })
} else console.log("The dashboard was not built: development dependencies are not installed.")
