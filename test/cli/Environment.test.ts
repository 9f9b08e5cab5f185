import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { auditHour } from "../../src/cli/Environment.ts"

const hourOf = (value: string | undefined) =>
  Effect.provideService(
    auditHour,
    ConfigProvider.ConfigProvider,
    ConfigProvider.fromUnknown(value === undefined ? {} : { GUARDIAN_AUDIT_HOUR: value })
  )

describe("the hour of the nightly audit", () => {
  it.effect("is 3 unless set, 24 turns it off, and no other hours are taken", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* hourOf(undefined), 3)
      assert.strictEqual(yield* hourOf("0"), 0)
      assert.strictEqual(yield* hourOf("23"), 23)
      assert.strictEqual(yield* hourOf("24"), undefined)
      for (const value of ["25", "-1", "noon"]) {
        assert.include((yield* Effect.flip(hourOf(value))).message, "GUARDIAN_AUDIT_HOUR")
      }
    }))
})
