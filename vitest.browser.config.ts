import { defineConfig } from "vitest/config"

/** A real browser on real servers: one file at a time, each has several processes. */
export default defineConfig({
  test: {
    include: ["test/browser/**/*.browser.ts"],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 300_000
  }
})
