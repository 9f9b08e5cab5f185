/** Makes a fault under traffic, measures what it costs, and proves that nothing was lost or counted twice. */
import { Clock, Deferred, Effect, Fiber, Layer, References } from "effect"
import { randomUUID } from "node:crypto"
import { avroSchema } from "../../domain/ClickEvent.ts"
import { defaultCoreSettings } from "../../domain/Settings.ts"
import { EventLog } from "../../log/EventLog.ts"
import { SchemaRegistry } from "../../log/SchemaRegistry.ts"
import { encodeEvent } from "../../log/WireFormat.ts"
import { differences, readContent } from "../../operations/chaos/Content.ts"
import type { Fault } from "../../operations/chaos/Faults.ts"
import { Ledger } from "../../operations/chaos/Ledger.ts"
import { prove } from "../../operations/chaos/Proof.ts"
import { appendFigures, recoveryOf, rowAgeP95Ms } from "../../operations/chaos/Recovery.ts"
import type { Sight } from "../../operations/chaos/Recovery.ts"
import type { FaultReport } from "../../operations/chaos/Report.ts"
import { sendTraffic } from "../../operations/chaos/Sender.ts"
import { showsUpTo, watchCheckpoints } from "../../operations/chaos/Sights.ts"
import { run } from "../../pipeline/Pipeline.ts"
import { PipelineStatus } from "../../pipeline/PipelineStatus.ts"
import * as ClickHouseStateStore from "../../warehouse/ClickHouseStateStore.ts"
import * as ClickHouseWarehouse from "../../warehouse/ClickHouseWarehouse.ts"
import { migrate } from "../../warehouse/Migrations.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { InstallationError } from "../Installation.ts"
import type { ChaosPlace, ChaosStage } from "./ChaosStage.ts"
import { chaosPartitions, chaosPlace } from "./ChaosStage.ts"

export interface ChaosOptions {
  readonly recordsPerSecond: number
  /** How long the traffic goes on from the fault on. */
  readonly seconds: number
  readonly seed: number
  readonly say: (text: string) => Effect.Effect<void>
}

/** Steady traffic before the fault, ms. */
const steadyMs = 10_000
/** After a fault is mended the traffic goes on for at least so long, ms. */
const afterMs = 10_000
const lookEvery = "100 millis"
/** In the middle of the registry's absence. */
const killAfterMs = 5_000
const processedWithin = "3 minutes"

export const makeFault = Effect.fnUntraced(function*(stage: ChaosStage, fault: Fault, options: ChaosOptions) {
  const place = yield* chaosPlace(stage, `chaos-${fault.name}-${randomUUID().slice(0, 8)}`)
  return yield* Effect.provide(underTraffic(stage, place, fault, options), place.services)
}, Effect.scoped)

const underTraffic = Effect.fnUntraced(
  function*(stage: ChaosStage, place: ChaosPlace, fault: Fault, options: ChaosOptions) {
    const { recordsPerSecond, say, seconds, seed } = options
    const schemaId = yield* (yield* SchemaRegistry).register(`${place.topic}-value`, avroSchema)
    for (let i = 0; i < fault.pipelines; i++) place.pipelines.start()
    const ledger = new Ledger(chaosPartitions)
    const sights: Array<Sight> = []
    const watching = yield* Effect.forkScoped(watchCheckpoints(sights, chaosPartitions, lookEvery))
    const stop = yield* Deferred.make<void>()
    const sending = yield* Effect.forkScoped(sendTraffic({
      ledger,
      recordsPerSecond,
      seed,
      mode: "messy",
      encode: (event) => encodeEvent(schemaId, event),
      submit: (yield* EventLog).append,
      stop
    }))
    yield* say(`${fault.name}: ${recordsPerSecond.toLocaleString("en")} events/s, waiting for a steady state`)
    yield* seen(sights, place)
    yield* Effect.sleep(steadyMs)
    const faultAt = yield* Clock.currentTimeMillis
    yield* say(`${fault.name}: ${fault.what}`)
    yield* breakAndMend(stage, place, fault)
    const endAt = yield* Clock.currentTimeMillis
    yield* Effect.sleep(Math.max(afterMs, faultAt + seconds * 1_000 - endAt))
    yield* Deferred.succeed(stop, undefined)
    yield* Fiber.join(sending)
    const sentTo = yield* Clock.currentTimeMillis
    yield* say(`${fault.name}: ${ledger.records.toLocaleString("en")} events acknowledged; proving`)
    yield* processed(sights, place)
    yield* Effect.promise(() => place.pipelines.end())
    yield* Fiber.interrupt(watching)
    const from = fault.countedFrom === "fault" ? faultAt : endAt
    const recovery = recoveryOf(ledger, sights, { from, recordsPerSecond })
    const overAt = from + Math.max(0, recovery.allPartitionsMs ?? sentTo - from)
    const before = appendFigures(ledger.appends, faultAt - steadyMs / 2, faultAt)
    const during = appendFigures(ledger.appends, faultAt, Math.max(overAt, endAt))
    return {
      fault: fault.name,
      what: fault.what,
      recordsPerSecond,
      seconds,
      ...yield* prove(ledger),
      ...recovery,
      appendP95Before: before.p95Ms,
      appendP95During: during.p95Ms,
      appendMaxDuring: during.maxMs,
      rowAgeP95Before: rowAgeP95Ms(ledger, sights, faultAt - steadyMs / 2, faultAt),
      differences: yield* differencesFromReplay(place)
    } satisfies FaultReport
  }
)

const breakAndMend = Effect.fnUntraced(function*({ cluster, registry }: ChaosStage, place: ChaosPlace, fault: Fault) {
  const { pipelines } = place
  switch (fault.name) {
    case "kill-broker": {
      const leader = yield* place.leader
      yield* Effect.promise(() => cluster.kill(leader))
      yield* Effect.sleep(fault.lastsMs)
      yield* Effect.promise(() => cluster.restart(leader))
      return
    }
    case "pause-broker": {
      const leader = yield* place.leader
      cluster.pause(leader)
      yield* Effect.ensuring(Effect.sleep(fault.lastsMs), Effect.sync(() => cluster.resume(leader)))
      return
    }
    case "kill-pipeline":
      return pipelines.signal("SIGKILL")
    case "pause-pipeline":
    case "zombie":
      pipelines.signal("SIGSTOP")
      yield* Effect.sleep(fault.lastsMs)
      return pipelines.signal("SIGCONT")
    case "kill-warehouse":
      return yield* place.engine.kill
    case "registry-down":
      registry.pause()
      yield* Effect.sleep(killAfterMs)
      pipelines.signal("SIGKILL")
      yield* Effect.ensuring(Effect.sleep(fault.lastsMs - killAfterMs), Effect.sync(() => registry.resume()))
  }
})

/** Every partition is processed. */
const seen = (sights: ReadonlyArray<Sight>, place: ChaosPlace) =>
  until(() => showsUpTo(sights, Array.from({ length: chaosPartitions }, () => 1)), "no steady state", place)

const processed = Effect.fnUntraced(function*(sights: ReadonlyArray<Sight>, place: ChaosPlace) {
  const ends = (yield* (yield* EventLog).ranges).map(({ end }) => end)
  yield* until(() => showsUpTo(sights, ends), "not everything was processed", place)
})

const until = (holds: () => boolean, otherwise: string, place: ChaosPlace) =>
  Effect.sleep(lookEvery).pipe(
    Effect.repeat({ until: holds }),
    Effect.timeoutOrElse({ duration: processedWithin, orElse: () => stuck(otherwise, place) })
  )

const stuck = (what: string, { pipelines }: ChaosPlace) =>
  Effect.fail(
    new InstallationError({ message: `${what} within ${processedWithin}. The pipelines said:\n${pipelines.output}` })
  )

/** Drains the same log into another database, with nobody disturbing, and compares all that the two say. */
const differencesFromReplay = Effect.fnUntraced(function*(place: ChaosPlace) {
  const warehouse = yield* Warehouse
  const address = place.addressOf(`${warehouse.database}_undisturbed`)
  yield* migrate(address)
  const undisturbed = yield* ClickHouseWarehouse.make(address)
  yield* run({
    settings: defaultCoreSettings,
    runId: randomUUID(),
    status: new PipelineStatus(),
    until: "drained",
    stop: yield* Deferred.make<void>()
  }).pipe(
    Effect.provide(
      ClickHouseStateStore.layer(defaultCoreSettings).pipe(Layer.provide(Layer.succeed(Warehouse, undisturbed)))
    ),
    Effect.provideService(References.MinimumLogLevel, "None")
  )
  return differences(yield* readContent(warehouse), yield* readContent(undisturbed))
}, Effect.scoped)
