/** The engine is killed in the midst of refreshes and flushes: no day is lost, and nothing counts twice. */
import { layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { EmbeddedWarehouse } from "../../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { eventually } from "../embedded/eventually.ts"
import { agreesWithTruth, eventsOf, isUp, refreshUnderWay } from "./EngineFaults.ts"
import { kpiPlace } from "./KpiPlace.ts"

/** Records of a flush: small, so that there are many. */
const batch = 40

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("KPIs of an engine that fails", (it) => {
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
          yield* refreshUnderWay(place)
          yield* disturb(yield* pid, round)
          yield* Fiber.join(drain)
          yield* ready
        }
        yield* agreesWithTruth(place)
      }), 180_000)

  disturbed("lose no day when it is killed again and again", (pid) => Effect.sync(() => process.kill(pid, "SIGKILL")))
})

const rounds = 4
