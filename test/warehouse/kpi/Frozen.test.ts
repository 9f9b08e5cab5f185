/** The engine stands still for 20 s in the midst of a refresh and of a flush: no day is lost, and nothing counts twice. */
import { layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { EmbeddedWarehouse } from "../../../src/warehouse/embedded/EmbeddedWarehouse.ts"
import type { StateStore } from "../../../src/warehouse/StateStore.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import { eventually } from "../embedded/eventually.ts"
import { agreesWithTruth, eventsOf, isUp, refreshUnderWay } from "./EngineFaults.ts"
import { kpiPlace } from "./KpiPlace.ts"

const frozenMs = 20_000
/** Records of a flush: small, so that there are many. */
const batch = 40
/** A write of the second flush or of the third, between its first and its last. */
const frozenWrite = 8

/** How long the fault lasts; nothing is waited for. */
const freeze = (pid: number) =>
  Effect.acquireUseRelease(
    Effect.sync(() => process.kill(pid, "SIGSTOP")),
    () => Effect.sleep(frozenMs),
    () => Effect.sync(() => process.kill(pid, "SIGCONT"))
  )

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("KPIs of an engine that is frozen", (it) => {
  it.effect("in a refresh lose no day", () =>
    Effect.gen(function*() {
      const place = yield* kpiPlace({ timeZone: "UTC" })
      const pid = yield* (yield* EmbeddedWarehouse).pid
      yield* place.append(eventsOf(0))
      const drain = yield* Effect.forkScoped(place.drain({ batch }))
      yield* refreshUnderWay(place)
      yield* freeze(pid)
      yield* Fiber.join(drain)
      yield* eventually("the engine", isUp(place.warehouse.query("SELECT 1")))
      yield* agreesWithTruth(place)
    }), 180_000)

  it.effect("in a flush lose no day", () =>
    Effect.gen(function*() {
      const place = yield* kpiPlace({ timeZone: "UTC" })
      const pid = yield* (yield* EmbeddedWarehouse).pid
      let writes = 0
      // The insert is sent to an engine that stands still already, after other inserts of its flush were acknowledged.
      const around = (store: StateStore["Service"]): StateStore["Service"] => ({
        ...store,
        write: (block) =>
          Effect.suspend(() => {
            if (++writes !== frozenWrite) return store.write(block)
            process.kill(pid, "SIGSTOP")
            return Effect.all([store.write(block), freeze(pid)], { concurrency: 2, discard: true })
          })
      })
      yield* place.append(eventsOf(0))
      yield* place.drain({ batch, around })
      yield* eventually("the engine", isUp(place.warehouse.query("SELECT 1")))
      yield* agreesWithTruth(place)
    }), 180_000)
})
