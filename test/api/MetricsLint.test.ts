import { assert, describe, it } from "@effect/vitest"
import { metricsFaults } from "./MetricsLint.ts"

const good = `# HELP a_requests_total Requests
# TYPE a_requests_total counter
a_requests_total{path="/x",status="200"} 3
a_requests_total{path="a \\"b\\" \\\\ c",status="200"} 4
# HELP a_seconds Time
# TYPE a_seconds histogram
a_seconds_bucket{le="0.1"} 1
a_seconds_bucket{le="+Inf"} 2
a_seconds_sum 1.5
a_seconds_count 2
`

describe("the lint of metrics", () => {
  it("lets good metrics pass", () => assert.deepStrictEqual(metricsFaults(good), []))

  const bad: ReadonlyArray<readonly [what: string, text: string, says: RegExp]> = [
    ["a counter by another name", good.replaceAll("_requests_total", "_requests"), /without _total/],
    ["a gauge called total", good.replace("total counter", "total gauge"), /is no counter/],
    ["a quantile of a gauge", '# HELP a b\n# TYPE a gauge\na{quantile="0.5"} 1\n', /no summary/],
    ["milliseconds", good.replaceAll("a_seconds", "a_milliseconds"), /base unit/],
    ["no help", good.replace("# HELP a_seconds Time\n", ""), /no help/],
    ["no type", good.replace("# TYPE a_seconds histogram\n", ""), /no type/],
    ["a label that is not escaped", good.replace("/x", 'x"y'), /do not parse/],
    ["a sample twice", `${good}a_seconds_count 2\n`, /twice/],
    ["text", `${good}hello world again\n`, /no sample/],
    ["no number", `${good}a_seconds_count{x="y"} z\n`, /no number/],
    ["no end", good.trimEnd(), /no end/]
  ]
  for (const [what, text, says] of bad) {
    it(`finds ${what}`, () =>
      assert.isTrue(metricsFaults(text).some((fault) => says.test(fault)), metricsFaults(text).join()))
  }
})
