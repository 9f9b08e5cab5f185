/**
 * Keeps one engine running on the same port: what crashes is started again at once, what keeps crashing ever more slowly, and
 * what cannot start is given up.
 */
import { Deferred, Effect } from "effect"
import type { Scope } from "effect"
import { WarehouseStartError } from "./EmbeddedWarehouseErrors.ts"
import type { Engine, EngineFailed, EngineOptions } from "./Engine.ts"
import { launch, waitUntilReady } from "./Engine.ts"

export type SupervisorState = "ready" | "restarting" | "failed"

export interface Supervisor {
  readonly engine: Effect.Effect<Engine>
  /** How often an engine had to be started again. */
  readonly restarts: Effect.Effect<number>
  readonly state: Effect.Effect<SupervisorState>
  /** Waits; fails when the supervisor gave up. */
  readonly failed: Effect.Effect<never, WarehouseStartError>
}

/** Failed starts in a row before the supervisor gives up: with the waits between them, 11 s and more. */
const startsMaxDefault = 8
/** An engine that lived this long is not crash-looping, ms. */
const stableMs = 3_000
const backoffFirstMs = 100
const backoffMaxMs = 5_000
/** An engine whose parent was killed ends by itself in about a second; until then it holds the directory. */
const orphanWaitMs = 10_000
const orphanPollMs = 50

/** Returns when the first engine serves. The engine is stopped with the scope. */
export const supervise = Effect.fnUntraced(function*(
  options: EngineOptions,
  startsMax = startsMaxDefault
): Effect.fn.Return<Supervisor, EngineFailed, Scope.Scope> {
  const failed = yield* Deferred.make<never, WarehouseStartError>()
  const run: Run = { options, startsMax, engine: undefined, state: "restarting", restarts: 0 }
  yield* Effect.addFinalizer(() => run.engine?.stop ?? Effect.void)
  yield* startFirst(run)
  run.state = "ready"
  yield* Effect.forkScoped(Effect.catch(keepRunning(run), (error) => Deferred.fail(failed, error)))
  return {
    engine: Effect.sync(() => run.engine!),
    restarts: Effect.sync(() => run.restarts),
    state: Effect.sync(() => run.state),
    failed: Deferred.await(failed)
  }
})

interface Run {
  readonly options: EngineOptions
  readonly startsMax: number
  /** The newest; set as soon as its process exists, so that closing the scope always finds it. */
  engine: Engine | undefined
  state: SupervisorState
  restarts: number
}

const start = (run: Run): Effect.Effect<void, EngineFailed> =>
  Effect.suspend(() => {
    run.engine = launch(run.options)
    return waitUntilReady(run.engine, run.options)
  })

/**
 * As `start`, but waits while an engine whose owner was killed still has the directory, and tries again what was killed. What fails
 * by itself is told at once.
 */
const startFirst = (run: Run): Effect.Effect<void, EngineFailed> =>
  Effect.suspend(() => {
    const deadline = Date.now() + orphanWaitMs
    let killed = 0
    return start(run).pipe(
      Effect.tapError(() => Effect.sleep(orphanPollMs)),
      Effect.retry({
        while: ({ reason }) =>
          (reason === "locked" && Date.now() < deadline) || (reason === "killed" && ++killed < run.startsMax)
      })
    )
  })

/** Waits for the end of the engine and starts it again, for ever; fails when it gives up. */
const keepRunning = Effect.fnUntraced(function*(run: Run): Effect.fn.Return<never, WarehouseStartError> {
  let shortLives = 0
  while (true) {
    const since = Date.now()
    const how = yield* run.engine!.ended
    run.state = "restarting"
    shortLives = Date.now() - since < stableMs ? shortLives + 1 : 0
    yield* Effect.logWarning(`the embedded warehouse ended (${how}), starting it again`, lastLine(run.engine!.stderr()))
    yield* startAgain(run, Math.max(0, shortLives - 1))
    run.restarts++
    run.state = "ready"
  }
})

const startAgain = Effect.fnUntraced(function*(
  run: Run,
  failures: number
): Effect.fn.Return<void, WarehouseStartError> {
  for (let attempt = 1;; attempt++) {
    yield* Effect.sleep(backoffMs(failures + attempt - 1))
    const outcome = yield* Effect.result(start(run))
    if (outcome._tag === "Success") return
    const { message, stderr } = outcome.failure
    yield* Effect.logWarning(`the embedded warehouse did not start: ${message}`, lastLine(stderr))
    if (attempt < run.startsMax) continue
    run.state = "failed"
    yield* Effect.logError(`the embedded warehouse failed to start ${attempt} times in a row: giving up`)
    return yield* startError(outcome.failure, `after ${attempt} attempts, `)
  }
})

export const startError = (failure: EngineFailed, prefix = ""): WarehouseStartError =>
  new WarehouseStartError({
    reason: failure.reason === "port-taken" ? "port-taken" : "engine",
    message: `the embedded warehouse did not start: ${prefix}${failure.message}. ` +
      (failure.reason === "port-taken" ?
        "Stop that program or set another port." :
        lastLine(failure.stderr)),
    ...(failure.port === undefined ? {} : { port: failure.port }),
    stderr: failure.stderr
  })

/** After this many failures before: at once, then ever later up to the cap. */
const backoffMs = (failures: number): number =>
  failures === 0 ? 0 : Math.min(backoffMaxMs, backoffFirstMs * 2 ** (failures - 1))

const lastLine = (text: string): string => text.slice(text.lastIndexOf("\n") + 1)
