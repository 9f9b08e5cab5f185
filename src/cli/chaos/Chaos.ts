/** Makes a fault under traffic, measures what it costs, and proves that nothing was lost or counted twice. */
import { Clock, Deferred, Effect, Exit, Fiber } from "effect"
import { randomInt, randomUUID } from "node:crypto"
import { avroSchema } from "../../domain/ClickEvent.ts"
import { EventLog } from "../../log/EventLog.ts"
import { SchemaRegistry } from "../../log/SchemaRegistry.ts"
import { encodeEvent } from "../../log/WireFormat.ts"
import type { Fault } from "../../operations/chaos/Faults.ts"
import { Ledger } from "../../operations/chaos/Ledger.ts"
import { positions, prove, runHeader } from "../../operations/chaos/Proof.ts"
import { appendFigures, recoveryOf, rowAgeP95Ms } from "../../operations/chaos/Recovery.ts"
import type { Sight } from "../../operations/chaos/Recovery.ts"
import type { FaultReport } from "../../operations/chaos/Report.ts"
import { sendTraffic } from "../../operations/chaos/Sender.ts"
import { isSteady, showsUpTo, watchCheckpoints } from "../../operations/chaos/Sights.ts"
import { InstallationError } from "../Installation.ts"
import type { ChaosPlace, ChaosStage } from "./ChaosStage.ts"
import { compareWithReplay, notComparedFor, whyNotReplayed } from "./Replay.ts"

export interface ChaosOptions {
  readonly recordsPerSecond: number
  /** How long the traffic goes on from the fault on. */
  readonly seconds: number
  /** Of the traffic; in a log that holds other traffic a number of its own comes to it, since ids must be new there. */
  readonly seed: number
  readonly say: (text: string) => Effect.Effect<void>
}

/** Steady traffic before the fault, ms. */
export const steadyMs = 10_000
/** What was just started compiles its code first, and works off what came meanwhile. A machine that is too slow never is steady. */
const steadyWithin = "90 seconds"
/** After a fault is mended the traffic goes on for at least so long, ms. */
const afterMs = 10_000
const lookEvery = "100 millis"
/** In the middle of the registry's absence. */
const killAfterMs = 5_000
const processedWithin = "3 minutes"

export const makeFault = Effect.fnUntraced(function*(stage: ChaosStage, fault: Fault, options: ChaosOptions) {
  const place = yield* stage.place(fault)
  return yield* Effect.provide(underTraffic(stage, place, fault, options), place.services)
}, Effect.scoped)

const underTraffic = Effect.fnUntraced(
  function*(stage: ChaosStage, place: ChaosPlace, fault: Fault, options: ChaosOptions) {
    const { recordsPerSecond, say, seconds } = options
    const { append, partitions, ranges } = yield* EventLog
    yield* place.ready
    const schemaId = yield* (yield* SchemaRegistry).register(place.subject, avroSchema)
    const from = yield* positions
    const notReplayed = yield* whyNotReplayed(from)
    const before = (yield* ranges).map(({ end }) => end)
    const ledger = new Ledger(partitions)
    const sights: Array<Sight> = []
    const watching = yield* Effect.forkScoped(watchCheckpoints(sights, partitions, lookEvery))
    const stop = yield* Deferred.make<void>()
    const runId = randomUUID()
    const headers = { [runHeader]: runId }
    const sending = yield* Effect.forkScoped(sendTraffic({
      ledger,
      recordsPerSecond,
      seed: place.isOurs ? options.seed : options.seed + randomInt(seedsMax),
      mode: "messy",
      encode: (event) => encodeEvent(schemaId, event),
      submit: (records) => append(records.map((record) => ({ ...record, headers }))),
      stop
    }))
    yield* say(`${fault.name}: ${recordsPerSecond.toLocaleString("en")} events/s, waiting for a steady state`)
    yield* until(() => showsUpTo(sights, before.map((end) => end + 1)), "no steady state", place)
    yield* Effect.sleep(lookEvery).pipe(
      Effect.repeat({ until: () => isSteady(ledger, sights, { forMs: steadyMs, recordsPerSecond }) }),
      Effect.timeoutOption(steadyWithin)
    )
    yield* say(`${fault.name}: ${stage.what(fault)}`)
    const brokenAt = yield* breakAndMend(place, fault)
    const mendedAt = yield* Clock.currentTimeMillis
    yield* Effect.sleep(Math.max(afterMs, brokenAt + seconds * 1_000 - mendedAt))
    yield* Deferred.succeed(stop, undefined)
    yield* Fiber.join(sending)
    const sentTo = yield* Clock.currentTimeMillis
    yield* say(`${fault.name}: ${ledger.records.toLocaleString("en")} events acknowledged; proving`)
    const ends = (yield* ranges).map(({ end }) => end)
    yield* until(() => showsUpTo(sights, ends), "not everything was processed", place)
    yield* Fiber.interrupt(watching)
    const countedFrom = fault.countedFrom === "fault" ? brokenAt : mendedAt
    const recovery = recoveryOf(ledger, sights, {
      from: countedFrom,
      recordsPerSecond,
      isOver: fault.countedFrom === "end"
    })
    const overAt = countedFrom + Math.max(0, recovery.allPartitionsMs ?? sentTo - countedFrom)
    const steady = appendFigures(ledger.appends, brokenAt - steadyMs / 2, brokenAt)
    const during = appendFigures(ledger.appends, brokenAt, Math.max(overAt, mendedAt))
    const proof = yield* place.whileStill(Effect.gen(function*() {
      const to = yield* positions
      return {
        ...yield* prove(ledger, { from, to, runId }),
        ...notReplayed === undefined ? yield* compareWithReplay(place, to) : notComparedFor(notReplayed)
      }
    }))
    return {
      fault: fault.name,
      what: stage.what(fault),
      recordsPerSecond,
      seconds,
      ...proof,
      ...recovery,
      appendP95Before: steady.p95Ms,
      appendP95During: during.p95Ms,
      appendMaxDuring: during.maxMs,
      rowAgeP95Before: rowAgeP95Ms(ledger, sights, brokenAt - steadyMs / 2, brokenAt)
    } satisfies FaultReport
  },
  Effect.scoped
)

/** Seeds that a log with other traffic adds to ours. */
const seedsMax = 2 ** 31

/** What can be broken of a place. */
export type Parts = Pick<ChaosPlace, "isOurs" | "leader" | "pipelines" | "registry" | "warehouse" | "zombie">

/** Answers when it was broken, epoch ms. What is not ours is mended in any case, however this ends. */
export const breakAndMend = Effect.fnUntraced(function*(place: Parts, fault: Fault) {
  const { pipelines, registry, warehouse, zombie } = place
  /** While something is broken something else is done; then it is mended. */
  const broken = <E, R>(
    breaking: Effect.Effect<void, InstallationError>,
    mend: Effect.Effect<void, InstallationError>,
    meanwhile: Effect.Effect<unknown, E, R>
  ) =>
    breaking.pipe(
      Effect.andThen(Clock.currentTimeMillis),
      Effect.tap(meanwhile),
      Effect.onExit((exit) => place.isOurs && Exit.isFailure(exit) ? Effect.void : mend)
    )
  switch (fault.name) {
    case "kill-broker": {
      const { kill, mend } = yield* place.leader
      return yield* broken(kill, mend, Effect.sleep(fault.lastsMs))
    }
    case "pause-broker": {
      const { mend, pause } = yield* place.leader
      return yield* broken(pause, mend, Effect.sleep(fault.lastsMs))
    }
    case "kill-pipeline":
      return yield* broken(pipelines.kill, pipelines.mend, Effect.void)
    case "pause-pipeline":
      return yield* broken(pipelines.pause, pipelines.mend, Effect.sleep(fault.lastsMs))
    case "zombie":
      return yield* broken(zombie.pause, zombie.mend, Effect.sleep(fault.lastsMs))
    case "kill-warehouse":
      return yield* broken(warehouse.kill, warehouse.mend, Effect.void)
    case "registry-down":
      return yield* broken(
        registry.pause,
        registry.mend,
        Effect.sleep(killAfterMs).pipe(
          Effect.andThen(broken(pipelines.kill, pipelines.mend, Effect.void)),
          Effect.andThen(Effect.sleep(fault.lastsMs - killAfterMs))
        )
      )
  }
})

const until = (holds: () => boolean, otherwise: string, place: ChaosPlace) =>
  Effect.sleep(lookEvery).pipe(
    Effect.repeat({ until: holds }),
    Effect.timeoutOrElse({
      duration: processedWithin,
      orElse: () =>
        Effect.fail(new InstallationError({ message: `${otherwise} within ${processedWithin}. ${place.said()}` }))
    })
  )
