import { defineConfig } from "vitest/config"

/** Tests over real brokers that they start themselves: one file at a time, each has several processes. */
export default defineConfig({
  test: {
    include: ["test/cluster/**/*.cluster.ts"],
    globalSetup: ["test/support/cluster/globalSetup.ts"],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000
  }
})
