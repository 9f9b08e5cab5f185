/** The built page: small, nothing inline, nothing from elsewhere, names that may be kept for ever. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { globSync, mkdtempSync, readFileSync } from "node:fs"
import { rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { build } from "vite"

/** All scripts together, gzipped. */
const scriptBytesMax = 60_000

const outDir = mkdtempSync(join(tmpdir(), "guardian-page-"))

beforeAll(async () => {
  const configFile = join(import.meta.dirname, "../../src/dashboard/vite.config.ts")
  await build({ configFile, build: { outDir } })
  return () => rm(outDir, { recursive: true, force: true })
})

const files = (pattern: string) => globSync(pattern, { cwd: outDir })
const text = (file: string) => readFileSync(join(outDir, file), "utf8")

describe("the built dashboard", () => {
  it(`has less than ${scriptBytesMax / 1_000} KB of script, gzipped`, () => {
    const scripts = files("**/*.js")
    assert.isAbove(scripts.length, 0)
    assert.isBelow(scripts.reduce((sum, file) => sum + gzipSync(text(file)).length, 0), scriptBytesMax)
  })

  it("keeps to the policy: no inline script or style, nothing loaded from elsewhere", () => {
    const page = text("index.html")
    assert.notMatch(page, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/i)
    const loaded = [...page.matchAll(/<(?:script|link)[^>]+(?:src|href)="([^"]+)"/g)].map((match) => match[1]!)
    assert.isAbove(loaded.length, 1)
    for (const address of loaded) assert.match(address, /^\.\/assets\//)
    for (const file of files("assets/*.css")) assert.notMatch(text(file), /url\((?!["']?data:)|@import/)
    for (const file of files("assets/*.js")) assert.notMatch(text(file), /\beval\(|new Function\(|\bimport\("https?:/)
  })

  it("names its assets by their content, as the server's long caching wants them", () => {
    const assets = files("assets/*")
    assert.isAbove(assets.length, 1)
    for (const file of assets) assert.match(`/${file}`, /^\/assets\/.+-[\w-]{8,}\.\w+$/)
  })
})
