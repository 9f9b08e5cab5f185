/**
 * One log of messy traffic, drained three times: undisturbed, by a pipeline that is killed again and again, and into a warehouse
 * whose engine is killed again and again. All three databases must say the same, and account for every record at each restart.
 *
 * The moments of the kills come from a seed (a number of records to wait for, then some milliseconds); what the operating system
 * does in these milliseconds does not, so a seed repeats the log and the plan, not the very instant.
 */
import { Duration, Effect } from "effect"
import { cp, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isConserved } from "../../src/domain/Outcome.ts"
import { commonPlaces, differences } from "../../src/operations/chaos/Content.ts"
import type { Content } from "../../src/operations/chaos/Content.ts"
import { Random } from "../../src/operations/traffic/Random.ts"
import { logEnds, messyLog } from "../support/MessyLog.ts"
import type { Line, PipelineProcess, StoredCheckpoint } from "../support/PipelineProcess.ts"
import { pipelineProcess } from "../support/PipelineProcess.ts"

export interface CrashOptions {
  readonly events: number
  readonly kills: number
  readonly seed: number
  /** Records of a flush: few, so that there is much to interrupt. */
  readonly flushRecords: number
  readonly print: (text: string) => void
}

/** Event time that every log covers, s: bridges come a gap later, late repeats 11 min. */
const eventSeconds = 5_000
/** At 100 events/s and more the bots of the traffic are found as they are; in a smaller log everyone is a bot now and then. */
const settingsOf = (eventsPerSecond: number): Readonly<Record<string, string>> =>
  eventsPerSecond >= 100 ? {} : {
    GUARDIAN_HIGH_FREQUENCY_CLICKS: "2",
    GUARDIAN_BOT_LIKE_CLICKS: "4",
    GUARDIAN_BOT_LIKE_DIVERSITY: "0.8"
  }

/** One of the three drains. */
export interface Drain {
  readonly name: string
  readonly dataDirectory: string
  readonly content: Content
  /** Where the kills hit: what the process had last said, or how full the database was. */
  readonly hits: ReadonlyArray<string>
  /** Broken promises, in words. */
  readonly violations: ReadonlyArray<string>
  readonly seconds: number
  /** How often checkpoints were read and their counts added up. */
  readonly checks: number
}

export interface CrashReport {
  readonly drains: ReadonlyArray<Drain>
  readonly violations: ReadonlyArray<string>
}

/** A folder that is gone with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "guardian-crash-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
)

export const crashRun = Effect.fnUntraced(function*(folder: string, options: CrashOptions) {
  const { events, kills, print, seed } = options
  const original = join(folder, "undisturbed")
  yield* Effect.scoped(Effect.gen(function*() {
    const { append, log } = yield* messyLog({
      dataDirectory: original,
      partitions: 6,
      seed,
      eventsPerSecond: events / eventSeconds
    })
    yield* append(events)
    print(`log of ${events.toLocaleString("en")} records: ${(yield* logEnds(log)).map(([, end]) => end).join(", ")}`)
  }))
  const copies = { pipeline: join(folder, "pipeline-killed"), engine: join(folder, "engine-killed") }
  for (const copy of Object.values(copies)) yield* Effect.promise(() => cp(original, copy, { recursive: true }))
  const drains = [
    yield* timed(undisturbed(original, options)),
    yield* timed(pipelineKilled(copies.pipeline, options)),
    yield* timed(engineKilled(copies.engine, options))
  ]
  for (const { checks, hits, name, seconds } of drains) {
    print(
      `${name}: ${seconds.toFixed(1)} s, ${hits.length} of ${
        name === "undisturbed" ? 0 : kills
      } kills, ${checks} checks`
    )
  }
  const [truth, ...others] = drains as [Drain, Drain, Drain]
  const violations = [
    ...drains.flatMap((drain) => drain.violations.map((violation) => `${drain.name}: ${violation}`)),
    ...others.filter(({ hits }) => hits.length < kills).map(({ hits, name }) =>
      `${name}: only ${hits.length} of ${kills} kills came before the end: use more --events`
    ),
    ...others.flatMap((drain) => differences(truth.content, drain.content).map((each) => `${drain.name}: ${each}`)),
    ...others.filter((drain) => commonPlaces(truth.content, drain.content).length < 6).map(({ name }) =>
      `${name}: no decision hashes to compare`
    )
  ]
  return { drains, violations } satisfies CrashReport
})

const timed = <E, R>(drain: Effect.Effect<Omit<Drain, "seconds">, E, R>): Effect.Effect<Drain, E, R> =>
  Effect.map(Effect.timed(drain), ([duration, done]) => ({ ...done, seconds: Duration.toSeconds(duration) }))

const drainProcess = (dataDirectory: string, { events, flushRecords }: CrashOptions) =>
  pipelineProcess(dataDirectory, "drained", { flushRecords, environment: settingsOf(events / eventSeconds) })

const undisturbed = Effect.fnUntraced(function*(dataDirectory: string, options: CrashOptions) {
  const account = new Account(options.events)
  const content = yield* finish(yield* drainProcess(dataDirectory, options), account)
  return {
    name: "undisturbed",
    dataDirectory,
    content,
    hits: [],
    violations: account.violations,
    checks: account.checks
  }
}, Effect.scoped)

const pipelineKilled = Effect.fnUntraced(function*(dataDirectory: string, options: CrashOptions) {
  const random = new Random(options.seed)
  const account = new Account(options.events)
  const hits: Array<string> = []
  while (hits.length < options.kills) {
    const hit = yield* Effect.scoped(Effect.gen(function*() {
      const child = yield* drainProcess(dataDirectory, options)
      const left = options.kills - hits.length
      yield* nextKill(child, account, random, { events: options.events, left, atStart: random.below(5) === 0 })
      yield* child.signal("SIGKILL")
      const { signal } = yield* child.ended
      account.read(child.lines)
      return signal === "SIGKILL" ? whereabouts(child.lines) : undefined
    }))
    if (hit === undefined) break
    hits.push(hit)
    options.print(`  pipeline killed ${hits.length}: ${hit}`)
  }
  const content = yield* Effect.scoped(
    Effect.flatMap(drainProcess(dataDirectory, options), (child) => finish(child, account))
  )
  const { checks, violations } = account
  return { name: "pipeline killed", dataDirectory, content, hits, violations, checks }
})

const engineKilled = Effect.fnUntraced(function*(dataDirectory: string, options: CrashOptions) {
  const random = new Random(options.seed + 1)
  const account = new Account(options.events)
  const hits: Array<string> = []
  const child = yield* drainProcess(dataDirectory, options)
  let killed: number | undefined
  while (hits.length < options.kills) {
    // A kill in five hits the engine as soon as its process is there again.
    const atStart = killed !== undefined && random.below(5) === 0
    const left = options.kills - hits.length
    const from = child.lines.length
    if (!atStart) yield* nextKill(child, account, random, { events: options.events, left, atStart: false, from })
    const pid = yield* engineOf(child, killed)
    if (pid === undefined) break
    yield* Effect.sleep(random.below(atStart ? 300 : 40))
    if (!kill(pid)) continue
    killed = pid
    hits.push(whereabouts(child.lines))
    options.print(`  engine killed ${hits.length}: ${hits.at(-1)}`)
  }
  const content = yield* finish(child, account)
  const { checks, violations } = account
  return { name: "engine killed", dataDirectory, content, hits, violations, checks }
}, Effect.scoped)

interface Plan {
  readonly events: number
  /** Kills to come, this one too. */
  readonly left: number
  /** As soon as the process runs, instead of somewhere in the work. */
  readonly atStart: boolean
  /** The number of the first line that tells of what is now. */
  readonly from?: number
}

/** Waits for the moment of the next kill: the work that is left is shared out among the kills that are left, roughly. */
const nextKill = Effect.fnUntraced(
  function*(child: PipelineProcess, account: Account, random: Random, { atStart, events, from = 0, left }: Plan) {
    if (atStart) {
      yield* child.next((line) => line.kind === "started" ? true : undefined)
      return yield* Effect.sleep(random.below(1_000))
    }
    const share = random.between(0.2, 1.8)
    const begun = yield* child.next((line) => line.kind === "progress" && line.flushes > 0 ? line : undefined, from)
    if (begun === undefined) return
    const target = begun.received + Math.floor((events - begun.received) * share / (left + 1))
    yield* child.next((line) => line.kind === "progress" && line.received >= target ? line : undefined, from)
    account.read(child.lines)
    yield* Effect.sleep(random.below(60))
  }
)

/** The engine's process, when it is another than `before`; undefined when its owner is gone. */
const engineOf = Effect.fnUntraced(function*(child: PipelineProcess, before: number | undefined) {
  for (;;) {
    if (child.isOver()) return undefined
    const pid = child.enginePid()
    if (pid !== undefined && pid !== before) return pid
    yield* Effect.sleep(2)
  }
})

const kill = (pid: number): boolean => {
  try {
    return process.kill(pid, "SIGKILL")
  } catch {
    return false
  }
}

/** Lets the drain end, and takes what its database says. */
const finish = Effect.fnUntraced(function*(child: PipelineProcess, account: Account) {
  const content = yield* child.next((line) => line.kind === "content" ? line.content : undefined)
  const { code, signal } = yield* child.ended
  account.read(child.lines)
  account.end()
  if (content === undefined || code !== 0) {
    return yield* Effect.die(new Error(`the drain ended with ${signal ?? code}:\n${child.stderr()}`))
  }
  return content
})

/** What a process was doing, by what it had said last. */
const whereabouts = (lines: ReadonlyArray<Line>): string => {
  const last = lines.at(-1)
  if (last === undefined) return "before its first word"
  if (last.kind === "checkpoints") return "recovering"
  if (last.kind !== "progress") return `starting: ${last.kind}`
  return `${last.state} at ${last.received.toLocaleString("en")} records, ${last.flushes} flushes`
}

/** Adds up checkpoints, whenever they are read: every record below them has one outcome, and they never go back. */
class Account {
  readonly violations: Array<string> = []
  checks = 0
  readonly #events: number
  readonly #offsets = new Map<number, number>()
  readonly #received = new Map<number, number>()
  #seen: ReadonlyArray<Line> = []
  #at = 0

  constructor(events: number) {
    this.#events = events
  }

  /** All lines of a process so far; those of before are skipped. */
  read(lines: ReadonlyArray<Line>): void {
    if (lines !== this.#seen) this.#at = 0
    this.#seen = lines
    for (; this.#at < lines.length; this.#at++) {
      const line = lines[this.#at]!
      if (line.kind === "checkpoints") this.#check(line.checkpoints)
    }
  }

  /** The last checkpoints must cover the whole log. */
  end(): void {
    const received = [...this.#received.values()].reduce((sum, count) => sum + count, 0)
    if (received !== this.#events) this.violations.push(`${received} of ${this.#events} records are accounted for`)
  }

  #check(checkpoints: ReadonlyArray<StoredCheckpoint>): void {
    this.checks++
    for (const { counts, offset, partition } of checkpoints) {
      const place = `partition ${partition} at ${offset}`
      if (!isConserved(counts)) this.violations.push(`${place}: not conserved: ${JSON.stringify(counts)}`)
      // The heartbeat at the end of each partition counts as nothing.
      if (counts.received !== offset && counts.received !== offset - 1) {
        this.violations.push(`${place}: ${counts.received} records received`)
      }
      if (offset < (this.#offsets.get(partition) ?? 0)) this.violations.push(`${place}: the checkpoint went back`)
      this.#offsets.set(partition, offset)
      this.#received.set(partition, counts.received)
    }
  }
}
