/** Child processes that run `pipelineMain.ts`: started, listened to, killed. */
import { Deferred, Effect } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { OutcomeCounts } from "../../src/domain/Outcome.ts"
import type { Content } from "../../src/operations/chaos/Content.ts"
import type { PipelineState } from "../../src/pipeline/PipelineStatus.ts"
import { childPids } from "../bench/processes.ts"

export interface Progress {
  readonly kind: "progress"
  readonly state: PipelineState
  readonly waitingFor: string
  /** Records stepped since the log began. */
  readonly received: number
  /** Records flushed since the process began. */
  readonly flushed: number
  readonly flushes: number
  readonly visitorsLoaded: number
}

export interface StoredCheckpoint {
  readonly partition: number
  readonly offset: number
  readonly counts: OutcomeCounts
}

/** What the process says, in this order; checkpoints again whenever the warehouse is back. */
export type Line =
  | { readonly kind: "started" }
  | { readonly kind: "warehouse"; readonly url: string }
  | { readonly kind: "checkpoints"; readonly checkpoints: ReadonlyArray<StoredCheckpoint> }
  | Progress
  | { readonly kind: "content"; readonly content: Content }

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface PipelineProcess {
  readonly pid: number
  readonly lines: ReadonlyArray<Line>
  readonly stderr: () => string
  /** Waits for a line, from line number `from` on, that `pick` takes; undefined when the process ended without it. */
  next<A>(pick: (line: Line) => A | undefined, from?: number): Effect.Effect<A | undefined>
  readonly ended: Effect.Effect<Ended>
  /** Whether it has done its work, or ended without. */
  readonly isOver: () => boolean
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Of its engine now, if it has one. */
  readonly enginePid: () => number | undefined
}

/** A process that says nothing for so long is stuck. */
const silenceMsMax = 60_000

/** Starts the process; killed with the scope, with its engine, if it still runs. */
export const pipelineProcess = Effect.fnUntraced(function*(
  dataDirectory: string,
  until: "drained" | "stopped",
  options: { readonly flushRecords?: number; readonly environment?: Readonly<Record<string, string>> } = {}
): Effect.fn.Return<PipelineProcess, never, Scope.Scope> {
  const ended = Deferred.makeUnsafe<Ended>()
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        process.execPath,
        [
          fileURLToPath(new URL("./pipelineMain.ts", import.meta.url)),
          dataDirectory,
          until,
          String(options.flushRecords ?? 0)
        ],
        {
          stdio: ["ignore", "pipe", "pipe"],
          env: { ...process.env, ...options.environment, NODE_OPTIONS: "", NODE_NO_WARNINGS: "1" }
        }
      )
    ),
    (child) => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
  )
  const lines: Array<Line> = []
  const listeners = new Set<() => void>()
  const tell = () => {
    for (const listener of listeners) listener()
  }
  let stderr = ""
  let isOver = false
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-8_000)
  })
  createInterface({ input: child.stdout }).on("line", (line) => {
    // Its log is on standard output as well.
    if (!line.startsWith('{"kind"')) return
    lines.push(JSON.parse(line) as Line)
    tell()
  })
  child.once("close", (code, signal) => {
    isOver = true
    Deferred.doneUnsafe(ended, Effect.succeed({ code, signal }))
    tell()
  })
  const next = <A>(pick: (line: Line) => A | undefined, from = 0): Effect.Effect<A | undefined> =>
    Effect.callback<A | undefined>((resume) => {
      let at = from
      const done = (outcome: Effect.Effect<A | undefined>): void => {
        clearTimeout(silence)
        listeners.delete(look)
        resume(outcome)
      }
      const silence = setTimeout(() =>
        done(Effect.die(
          new Error(`silent for ${silenceMsMax} ms; last said: ${JSON.stringify(lines.at(-1))}\n${stderr}`)
        )), silenceMsMax)
      const look = (): void => {
        silence.refresh()
        for (; at < lines.length; at++) {
          const picked = pick(lines[at]!)
          if (picked !== undefined) return done(Effect.succeed(picked))
        }
        if (isOver) done(Effect.undefined)
      }
      listeners.add(look)
      look()
      return Effect.sync(() => {
        clearTimeout(silence)
        listeners.delete(look)
      })
    })
  return {
    pid: child.pid!,
    lines,
    stderr: () => stderr,
    next,
    ended: Deferred.await(ended),
    isOver: () => isOver || lines.at(-1)?.kind === "content",
    signal: (signal) => Effect.sync(() => child.kill(signal)),
    enginePid: () => isOver ? undefined : childPids(child.pid!)[0]
  }
})
