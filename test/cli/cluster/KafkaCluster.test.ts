import { describe, expect, it } from "vitest"
import { makeClusterId } from "../../../src/cli/cluster/KafkaCluster.ts"

describe("a cluster's id", () => {
  it("is never taken for an option of Kafka's tools", () => {
    for (let first = 0; first < 256; first++) {
      expect(makeClusterId(Buffer.from([first, ...Array.from({ length: 15 }, () => 0xfb)]))).toMatch(
        /^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/
      )
    }
  })
})
