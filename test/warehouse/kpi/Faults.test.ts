/** The engine is killed or frozen in the midst of refreshes and flushes: no day is lost, and nothing counts twice. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { EmbeddedWarehouse } from "../../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { refreshKpis } from "../../../src/warehouse/KpiBacklog.ts"
import type { WarehouseError } from "../../../src/warehouse/Warehouse.ts"
import { readKpis } from "../../support/KpiReading.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { eventually } from "../embedded/eventually.ts"
import { click, kpiPlace } from "./KpiPlace.ts"

const minute = 60_000
const start = Date.UTC(2026, 0, 2, 22)
const frozenMs = 3_000
/** Records of a flush: small, so that there are many. */
const batch = 40

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 60_000 })("KPIs of an engine that fails", (it) => {
  const disturbed = (title: string, disturb: (pid: number, round: number) => Effect.Effect<void>) =>
    it.effect(title, () =>
      Effect.gen(function*() {
        const place = yield* kpiPlace({ timeZone: "UTC" })
        const { pid } = yield* EmbeddedWarehouse
        const ready = eventually("the engine", isUp(place.warehouse.query("SELECT 1")))
        for (let round = 0; round < rounds; round++) {
          yield* place.append(eventsOf(round))
          // The pipeline waits for an engine that is away, and writes its flush again.
          const drain = yield* Effect.forkScoped(place.drain({ batch }))
          yield* eventually(
            "a refresh under way",
            Effect.map(
              place.warehouse.query("SELECT count() AS n FROM system.view_refreshes WHERE status = 'Running'"),
              ([row]) => Number(row!["n"]) > 0
            )
          )
          yield* disturb(yield* pid, round)
          yield* Fiber.join(drain)
          yield* ready
        }
        const truth = yield* place.truth({ timeZone: "UTC", verdicts: [], isCrawler: () => false })
        yield* refreshKpis.pipe(
          Effect.retry({
            while: ({ retryable }: WarehouseError) => retryable,
            schedule: Schedule.spaced("100 millis")
          }),
          Effect.timeout("60 seconds"),
          place.inWarehouse
        )
        assert.deepStrictEqual(yield* readKpis(place.warehouse), truth)
      }), 180_000)

  disturbed("lose no day when it is killed again and again", (pid) => Effect.sync(() => process.kill(pid, "SIGKILL")))

  disturbed("lose no day when it is frozen in a refresh and a flush", (pid) =>
    Effect.gen(function*() {
      process.kill(pid, "SIGSTOP")
      // How long the fault lasts; nothing is waited for.
      yield* Effect.sleep(frozenMs)
      process.kill(pid, "SIGCONT")
    }))
})

const rounds = 4

/** Two visitors' hours around midnight, each round over all of them again, with events out of order. */
const eventsOf = (round: number) =>
  Array.from(
    { length: 240 },
    (_, i) =>
      click(`visitor-${i % 2}-${i % 5}`, start + round * 45 * minute + i * 20_000 - (i % 7) * minute, {
        eventType: i % 6 === 0 ? "purchase" : "view",
        itemId: `item-${i % 9}`,
        price: i * 1_000
      })
  )

const isUp = (query: Effect.Effect<unknown, WarehouseError>) =>
  query.pipe(Effect.as(true), Effect.catchIf(({ retryable }) => retryable, () => Effect.succeed(false)))
