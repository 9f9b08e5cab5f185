/** Finds the highest rate that an installation holds, step by step, each in an installation of its own. */
import { Clock, Deferred, Effect, Fiber } from "effect"
import { toJson } from "../../domain/ClickEvent.ts"
import type { ClickEvent } from "../../domain/ClickEvent.ts"
import { EventLog } from "../../log/EventLog.ts"
import { encodeEvent } from "../../log/WireFormat.ts"
import { Ledger } from "../../operations/chaos/Ledger.ts"
import type { Sight } from "../../operations/chaos/Recovery.ts"
import type { Submit } from "../../operations/chaos/Sender.ts"
import { sendTraffic } from "../../operations/chaos/Sender.ts"
import { showsUpTo, watchCheckpoints } from "../../operations/chaos/Sights.ts"
import type { MemorySample } from "../../operations/load/Memory.ts"
import { nextRate } from "../../operations/load/Search.ts"
import type { LoadStep } from "../../operations/load/Step.ts"
import { stepOf } from "../../operations/load/Step.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { eventSchemaId, InstallationError } from "../Installation.ts"
import type { LogKind } from "../LogChoice.ts"
import { probeApi } from "./ApiProbe.ts"
import { loadPartitions, loadPlace } from "./LoadPlace.ts"
import { probeMemory } from "./MemoryProbe.ts"

export interface LoadOptions {
  readonly log: LogKind
  readonly through: "log" | "collector"
  readonly recordsPerSecond: number
  /** Before a step is measured: caches fill, and brokers, pipeline and ClickHouse compile or load their code. */
  readonly warmSeconds: number
  /** Measured part of a step. */
  readonly seconds: number
  readonly seed: number
  readonly onStep: (step: LoadStep) => Effect.Effect<void>
  /** Only the rate that was named, no search. */
  readonly only: boolean
}

const steadyWithin = "1 minute"
/** After it the records that were on their way may still come to be seen, ms. */
const afterMs = 2_000
const lookEvery = "50 millis"
/** Events of one request. */
const requestEvents = 200

export const findHeldRate = Effect.fnUntraced(function*(options: LoadOptions) {
  const steps: Array<LoadStep> = []
  for (;;) {
    const rate = nextRate(options.recordsPerSecond, steps)
    if (rate === undefined || (options.only && steps.length > 0)) return steps
    const step = yield* Effect.scoped(makeStep(options, rate))
    steps.push(step)
    yield* options.onStep(step)
  }
})

const makeStep = Effect.fnUntraced(function*(
  { log, seconds, seed, through, warmSeconds }: LoadOptions,
  recordsPerSecond: number
) {
  const place = yield* loadPlace({ log, collector: through === "collector" })
  const ledger = new Ledger(loadPartitions, { withChecksums: false })
  const sights: Array<Sight> = []
  yield* Effect.forkScoped(
    Effect.provideService(watchCheckpoints(sights, loadPartitions, lookEvery), Warehouse, place.warehouse)
  )
  const stop = yield* Deferred.make<void>()
  const traffic = { ledger, recordsPerSecond, seed, mode: "usual", stop } as const
  const sending = yield* Effect.forkScoped(
    Effect.provideContext(
      through === "collector" ?
        sendTraffic({ ...traffic, encode: asJson, submit: place.collect, recordsMax: requestEvents }) :
        toLog(traffic),
      place.services
    )
  )
  const memory: Array<MemorySample> = []
  yield* Effect.forkScoped(probeMemory(place.metrics, memory))
  yield* seen(sights, sending)
  yield* Effect.sleep(warmSeconds * 1_000)
  const from = yield* Clock.currentTimeMillis
  const shown: Array<number> = []
  const asking = through === "collector" ? probeApi(place, (ms) => shown.push(ms)) : Effect.never
  yield* Effect.raceFirst(Effect.sleep(seconds * 1_000), Effect.raceFirst(Fiber.join(sending), asking))
  const to = yield* Clock.currentTimeMillis
  yield* Effect.sleep(afterMs)
  yield* Deferred.succeed(stop, undefined)
  yield* Fiber.interrupt(sending)
  return stepOf(ledger, sights, { from, to, recordsPerSecond, shown, memory })
})

const oneEach = Array.from({ length: loadPartitions }, () => 1)

/** Every partition is processed; or the traffic has ended with an error. */
const seen = <E>(sights: ReadonlyArray<Sight>, sending: Fiber.Fiber<void, E>) =>
  Effect.raceFirst(
    Effect.repeat(Effect.sleep(lookEvery), { until: () => showsUpTo(sights, oneEach) }),
    Fiber.join(sending)
  ).pipe(
    Effect.timeoutOrElse({
      duration: steadyWithin,
      orElse: () => Effect.fail(new InstallationError({ message: `nothing was processed within ${steadyWithin}` }))
    })
  )

type Traffic = Omit<Parameters<typeof sendTraffic>[0], "encode" | "submit">

const toLog = Effect.fnUntraced(function*(traffic: Traffic) {
  const schemaId = yield* eventSchemaId
  const submit: Submit<unknown, never> = (yield* EventLog).append
  yield* sendTraffic({ ...traffic, encode: (event) => encodeEvent(schemaId, event), submit })
})

const asJson = (event: ClickEvent): Uint8Array => Buffer.from(JSON.stringify(toJson(event)))
