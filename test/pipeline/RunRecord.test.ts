import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import { recorded } from "../../src/pipeline/RunRecord.ts"
import type { TableBlock } from "../../src/warehouse/TableBlock.ts"
import { valuesOf } from "../../src/warehouse/TableBlock.ts"
import { WarehouseError } from "../../src/warehouse/Warehouse.ts"

const run = { runId: "run", logId: "log", settings: defaultCoreSettings }
const away = new WarehouseError({ message: "away", code: 0, retryable: true })

const rowOf = (block: TableBlock) =>
  Object.fromEntries(block.columns.map((column) => [column.name, valuesOf(column)[0]]))

/** What is kept when the greatest `changed_at` of a run stays. */
const recorder = (insert: (row: Record<string, unknown>) => Effect.Effect<void, WarehouseError>) => ({
  insert: (block: TableBlock) => insert(rowOf(block)),
  host: "here",
  processId: 7
})

describe("a run's record", () => {
  it.live("is there while it runs, and says afterwards how it ended", () =>
    Effect.gen(function*() {
      const rows: Array<Record<string, unknown>> = []
      const begun = yield* Deferred.make<void>()
      const place = recorder((row) =>
        Effect.andThen(Effect.sync(() => rows.push(row)), Deferred.succeed(begun, undefined))
      )
      yield* recorded(place, run, Deferred.await(begun))
      assert.deepStrictEqual(rows.map(({ state }) => state), ["running", "stopped"])
      assert.isAbove(rows[1]!["changed_at"] as number, rows[0]!["changed_at"] as number)
      assert.strictEqual(rows[0]!["settings"], JSON.stringify(defaultCoreSettings))
      yield* Effect.exit(recorded(place, run, Effect.fail(away)))
      assert.deepInclude(rows.at(-1), { state: "failed", detail: "away" })
      const fiber = yield* Effect.forkChild(recorded(place, run, Effect.never))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(rows.at(-1), { state: "stopped", detail: "interrupted" })
    }))

  it.live("holds nothing up when the warehouse does not take it, or never answers", () =>
    Effect.gen(function*() {
      for (const insert of [Effect.fail(away), Effect.never]) {
        const exit = yield* Effect.exit(recorded(recorder(() => insert), run, Effect.succeed("done")))
        assert.deepStrictEqual(exit, Exit.succeed("done"))
      }
    }))
})
