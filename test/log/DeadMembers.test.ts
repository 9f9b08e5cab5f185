import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { readdirSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { MemberNotes } from "../../src/log/kafka/DeadMembers.ts"
import { testFolder } from "./TestFolder.ts"

describe("the notes of members", () => {
  it.live("say who died on this machine, and leave members of other machines and containers alone", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      // Its number is nobody's any more.
      const { pid } = spawnSync(process.execPath, ["--version"])
      writeFileSync(join(folder, `${hostname()}.${pid}.member`), "dead")
      // In its container it lives, under a number that is ours, or nobody's, here.
      writeFileSync(join(folder, `other-container.${process.pid}.member`), "lives")
      writeFileSync(join(folder, `other-container.${pid}.member`), "lives")
      const notes = new MemberNotes(folder)
      assert.deepStrictEqual(yield* Effect.promise(() => notes.takeDead()), ["dead"])
      yield* Effect.promise(() => notes.write("mine"))
      assert.deepStrictEqual(
        readdirSync(folder).toSorted(),
        [
          `${hostname()}.${process.pid}.member`,
          `other-container.${process.pid}.member`,
          `other-container.${pid}.member`
        ].toSorted()
      )
      yield* Effect.promise(() => notes.remove())
      assert.strictEqual(readdirSync(folder).length, 2)
    }))
})
