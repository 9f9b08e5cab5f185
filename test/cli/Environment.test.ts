import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { auditHour, coreSettings, variables } from "../../src/cli/Environment.ts"
import { environmentFaults, unknownVariables } from "../../src/cli/EnvironmentCheck.ts"

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

const coreOf = (environment: Record<string, string>) =>
  Effect.provideService(coreSettings, ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(environment))

describe("the environment", () => {
  it.effect("names a setting that cannot be as it was set, with its value", () =>
    Effect.gen(function*() {
      const { message } = yield* Effect.flip(coreOf({ GUARDIAN_GAP_MS: "0" }))
      assert.include(message, 'GUARDIAN_GAP_MS cannot be "0"')
      assert.include((yield* Effect.flip(coreOf({ GUARDIAN_GAP_MS: "soon" }))).message, '"soon"')
      const together = yield* Effect.flip(coreOf({ GUARDIAN_BOT_LIKE_SLIDE_MS: "7" }))
      assert.include(together.message, "GUARDIAN_BOT_LIKE_WINDOW_MS must be a multiple of GUARDIAN_BOT_LIKE_SLIDE_MS")
      assert.strictEqual((yield* coreOf({ GUARDIAN_GAP_MS: "60000" })).gapMs, 60_000)
    }))

  it("is refused where a value cannot be, before any command begins", () => {
    const faults = environmentFaults({
      GUARDIAN_API_PORT: "99999",
      GUARDIAN_COLLECTOR_KEYS: "maybe",
      GUARDIAN_API_READ_KEYS: "name=short",
      GUARDIAN_VISITORS_IN_MEMORY: "0",
      GUARDIAN_CLICKHOUSE_MEMORY_BYTES: "5",
      GUARDIAN_KAFKA_PASSWORD: "anything"
    })
    assert.deepStrictEqual(faults.map((fault) => fault.slice(0, fault.indexOf(" "))).toSorted(), [
      "GUARDIAN_API_PORT",
      "GUARDIAN_API_READ_KEYS",
      "GUARDIAN_CLICKHOUSE_MEMORY_BYTES",
      "GUARDIAN_COLLECTOR_KEYS",
      "GUARDIAN_VISITORS_IN_MEMORY"
    ])
    assert.notInclude(faults.join(), "short")
  })

  it("takes every default", () => {
    for (const variable of variables.filter(({ takes }) => takes !== undefined)) {
      if (!/^[\w-]+$/.test(variable.fallback) || variable.fallback === "none") continue
      assert.deepStrictEqual(environmentFaults({ [variable.name]: variable.fallback }), [], variable.name)
    }
  })

  it("is warned of names that nothing reads", () => {
    const [text, ...more] = unknownVariables({ GUARDIAN_COLECTOR_PORT: "1", GUARDIAN_API_PORT: "1", PATH: "x" })
    assert.include(text, "is GUARDIAN_COLLECTOR_PORT meant?")
    assert.deepStrictEqual(more, [])
    assert.include(unknownVariables({ GUARDIAN_SOMETHING_ELSE: "" })[0], "nothing reads GUARDIAN_SOMETHING_ELSE (")
  })
})
