import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { messyLog } from "../support/MessyLog.ts"
import type { PipelineProcess, Progress } from "../support/PipelineProcess.ts"
import { pipelineProcess } from "../support/PipelineProcess.ts"
import { eventually } from "../warehouse/embedded/eventually.ts"
import { isAlive } from "../warehouse/embedded/ownerProcess.ts"
import { temporaryDirectory } from "../warehouse/embedded/temporaryDirectory.ts"

it.live("SIGTERM: what was read is flushed, and the next start goes on from there; the engine ends too", () =>
  Effect.gen(function*() {
    const { dataDirectory, log } = yield* installation
    yield* log.append(3_000)
    const serving = yield* pipelineProcess(dataDirectory, "stopped", { flushRecords: 300 })
    // Appends go on while it stops.
    const appending = yield* Effect.forkScoped(Effect.forever(log.append(100)))
    yield* reached(serving, (progress) => progress.flushes > 1)
    const engine = serving.enginePid()!
    yield* serving.signal("SIGTERM")
    assert.deepStrictEqual(yield* serving.ended, { code: 0, signal: null }, serving.stderr())
    appending.interruptUnsafe()
    const last = progressOf(serving)
    assert.strictEqual(last.state, "stopped")
    assert.strictEqual(last.flushed, last.received)
    yield* eventually("the engine has ended", Effect.sync(() => !isAlive(engine)))

    const again = yield* pipelineProcess(dataDirectory, "drained")
    const checkpoints = yield* again.next((line) => line.kind === "checkpoints" ? line.checkpoints : undefined)
    assert.strictEqual(checkpoints!.reduce((sum, { counts }) => sum + counts.received, 0), last.received)
    assert.strictEqual((yield* again.ended).code, 0, again.stderr())
    assert.isAbove(progressOf(again).received, last.received)

    const refused = yield* pipelineProcess(dataDirectory, "drained", { environment: { GUARDIAN_GAP_MS: "60000" } })
    assert.strictEqual((yield* refused.ended).code, 1)
    assert.match(
      refused.stderr(),
      /^guardian: The database was made with other settings: gapMs was 1800000 and is 60000/m
    )
  }))

for (
  const [name, signals, code] of [["ends in time all the same", 1, 0], [
    "ends at once at the second one",
    2,
    130
  ]] as const
) {
  it.live(`SIGTERM while the warehouse hangs: ${name}`, () =>
    Effect.gen(function*() {
      const { dataDirectory, log } = yield* installation
      yield* log.append(300)
      const serving = yield* pipelineProcess(dataDirectory, "stopped")
      yield* reached(serving, ({ flushed }) => flushed === 300)
      const engine = serving.enginePid()!
      yield* Effect.acquireRelease(signalled(engine, "SIGSTOP"), () => signalled(engine, "SIGKILL"))
      yield* log.append(300)
      yield* reached(serving, ({ received }) => received === 600)
      yield* serving.signal("SIGTERM")
      yield* reached(serving, ({ state }) => state === "stopping")
      if (signals === 2) yield* serving.signal("SIGTERM")
      assert.deepStrictEqual(yield* serving.ended, { code, signal: null })
      if (signals === 1) assert.include(serving.stderr(), "not done in time")
      yield* signalled(engine, "SIGCONT")
      yield* eventually("the engine has ended", Effect.sync(() => !isAlive(engine)))
    }))
}

it.live("SIGKILL: the engine does not outlive its pipeline", () =>
  Effect.gen(function*() {
    const { dataDirectory } = yield* installation
    const serving = yield* pipelineProcess(dataDirectory, "stopped")
    yield* serving.next((line) => line.kind === "checkpoints" ? line : undefined)
    const engine = serving.enginePid()!
    assert.isTrue(isAlive(engine))
    yield* serving.signal("SIGKILL")
    assert.strictEqual((yield* serving.ended).signal, "SIGKILL")
    yield* eventually("the engine has ended", Effect.sync(() => !isAlive(engine)))
  }))

const installation = Effect.gen(function*() {
  const dataDirectory = yield* temporaryDirectory
  const log = yield* messyLog({ dataDirectory, partitions: 2, seed: 5, eventsPerSecond: 1 })
  return { dataDirectory, log }
})

/** Waits for progress; fails when the process ended before. */
const reached = Effect.fnUntraced(function*(child: PipelineProcess, condition: (progress: Progress) => boolean) {
  const line = yield* child.next((each) => each.kind === "progress" && condition(each) ? each : undefined)
  if (line === undefined) return yield* Effect.die(new Error(`it ended before: ${child.stderr()}`))
  return line
})

/** The newest progress it has told. */
const progressOf = (child: PipelineProcess): Progress =>
  child.lines.findLast((line) => line.kind === "progress") as Progress

/** To a process that may be gone already. */
const signalled = (pid: number, signal: NodeJS.Signals) =>
  Effect.sync(() => {
    try {
      process.kill(pid, signal)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause
    }
  })
