import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { crashRun, temporaryFolder } from "./CrashRun.ts"

it.live(
  "stores the same, whether the pipeline, the engine or nothing is killed during a drain",
  () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const report = yield* crashRun(yield* temporaryFolder, {
        events: 20_000,
        kills: 4,
        seed: 20_260_101,
        flushRecords: 1_000,
        print: (text) => said.push(text)
      })
      const [undisturbed] = report.drains
      assert.deepStrictEqual(report.violations, [], said.join("\n"))
      // What never happened proves nothing.
      for (const [name, { rows }] of Object.entries(undisturbed!.content.tables)) assert.isAbove(rows, 0, name)
    }),
  120_000
)
