import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import type { AuditReport } from "../../../src/operations/audit/Audit.ts"
import { nightly } from "../../../src/operations/audit/Nightly.ts"

const report = (differences: number): AuditReport => ({
  auditId: "an-audit",
  scope: "all",
  startedAt: 0,
  finishedAt: 0,
  checkpoint: {},
  checks: [{ name: "sessions", promise: "", examined: 9, differences, sample: [] }],
  failed: differences > 0 ? 1 : 0
})

describe("the nightly audit", () => {
  it.effect("runs once every day at its hour, UTC, whatever came of the last one", () =>
    Effect.gen(function*() {
      const ran: Array<string> = []
      const told: Array<string> = []
      const outcomes = [
        Effect.succeed(report(0)),
        Effect.fail(new Error("the warehouse is away")),
        Effect.die(new Error("a bug")),
        Effect.succeed(report(2))
      ]
      yield* TestClock.setTime(Date.UTC(2026, 2, 1, 22, 30))
      const running = yield* Effect.forkChild(
        nightly(
          3,
          Effect.clockWith((clock) =>
            Effect.suspend(() => {
              ran.push(new Date(clock.currentTimeMillisUnsafe()).toISOString())
              return outcomes[ran.length - 1] ?? Effect.succeed(report(0))
            })
          )
        ).pipe(
          Effect.provide(
            Logger.layer([Logger.make(({ logLevel, message }) => told.push(`${logLevel} ${String(message)}`))])
          ),
          Effect.provideService(References.MinimumLogLevel, "Info")
        )
      )
      yield* TestClock.adjust("4 hours")
      assert.deepStrictEqual(ran, [])
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(ran, ["2026-03-02T03:00:00.000Z"])
      yield* TestClock.adjust("3 days")
      assert.deepStrictEqual(ran, [2, 3, 4, 5].map((day) => `2026-03-0${day}T03:00:00.000Z`))
      assert.deepStrictEqual(told.map((line) => line.split(",")[0]!.replace(/:.*/, "")), [
        "Info nightly audit an-audit",
        "Warn the nightly audit could not be made",
        "Warn the nightly audit could not be made",
        "Error nightly audit an-audit"
      ])
      assert.include(told.at(-1)!, "sessions: 2 differences")
      yield* Fiber.interrupt(running)
      yield* TestClock.adjust("2 days")
      assert.strictEqual(ran.length, 4)
    }))

  it.effect("is made by one of the processes that share a warehouse, and passes on with its partitions", () =>
    Effect.gen(function*() {
      let audits = 0
      let isOurs = false
      yield* TestClock.setTime(Date.UTC(2026, 2, 1, 22, 30))
      yield* Effect.forkChild(
        nightly(
          3,
          Effect.sync(() => {
            audits++
            return report(0)
          }),
          Effect.sync(() => isOurs)
        ).pipe(
          Effect.provideService(References.MinimumLogLevel, "None")
        )
      )
      yield* TestClock.adjust("2 days")
      assert.strictEqual(audits, 0)
      isOurs = true
      yield* TestClock.adjust("1 day")
      assert.strictEqual(audits, 1)
    }))
})
