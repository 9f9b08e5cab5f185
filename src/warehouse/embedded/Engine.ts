/**
 * One run of the engine: a child process, from its launch over its readiness to its end.
 */
import { Data, Deferred, Effect, Option } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { exchange } from "./Exchange.ts"

export interface EngineOptions {
  readonly directory: string
  readonly configPath: string
  readonly httpPort: number
  readonly tcpPort: number | undefined
  /** What our own server answers as its display name. */
  readonly identity: string
  readonly readyTimeoutMs: number
}

export interface Engine {
  /** -1 when the process could not even be created. */
  readonly pid: number
  /** Waits for the end of the process and says how it came: a signal, an exit code. */
  readonly ended: Effect.Effect<string>
  /** The end of what it wrote to standard error. */
  readonly stderr: () => string
  /** Asks it to end, insists after a while, and waits for it. */
  readonly stop: Effect.Effect<void>
  /** SIGKILL, and waits for it. */
  readonly kill: Effect.Effect<void>
}

/**
 * `locked`: another engine has the data directory. `port-taken`: another program listens on the port. `killed`: by a signal, so that
 * another attempt may go well.
 */
export class EngineFailed extends Data.TaggedError("EngineFailed")<{
  readonly reason: "locked" | "port-taken" | "killed" | "ended" | "timeout"
  readonly message: string
  readonly stderr: string
  readonly port: number | undefined
}> {}

const stderrCharsMax = 8_192
const stopGraceMs = 5_000
const probeEveryMs = 10
const probeTimeoutMs = 1_000

/** Starts the process; `waitUntilReady` says when it serves. */
export const launch = (options: EngineOptions): Engine => {
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL("./engineMain.ts", import.meta.url)),
      options.directory,
      options.configPath,
      String(options.httpPort),
      String(options.tcpPort ?? 0)
    ],
    // Detached: Ctrl-C in a terminal goes to the parent, which stops the engine last. A dead parent is seen by the stdin.
    { stdio: ["pipe", "ignore", "pipe"], detached: true, cwd: options.directory, env: environment() }
  )
  let stderr = ""
  const ended = Deferred.makeUnsafe<string>()
  child.stdin.on("error", () => {}) // the child may be gone before us
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-stderrCharsMax)
  })
  child.once("error", (cause) => Deferred.doneUnsafe(ended, Effect.succeed(cause.message)))
  child.once("close", (code, signal) => Deferred.doneUnsafe(ended, Effect.succeed(signal ?? `exit code ${code}`)))

  const kill = Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
  return {
    pid: child.pid ?? -1,
    ended: Deferred.await(ended),
    stderr: () => stderr.trim(),
    kill,
    stop: Effect.sync(() => child.kill("SIGTERM")).pipe(
      Effect.andThen(Deferred.await(ended)),
      Effect.timeoutOrElse({ duration: stopGraceMs, orElse: () => kill })
    )
  }
}

/** Returns when the process answers under its own name. A process that failed is gone when this fails. */
export const waitUntilReady = (engine: Engine, options: EngineOptions): Effect.Effect<void, EngineFailed> => {
  const answering: Effect.Effect<void, EngineFailed> = Effect.gen(function*() {
    while (true) {
      // The engine says what is wrong at once, but needs seconds to unwind: do not wait for its end.
      const failure = failureIn(engine.stderr(), options)
      if (failure !== undefined) return yield* failure
      const name = yield* displayName(httpUrl(options.httpPort))
      if (Option.contains(name, options.identity)) return
      yield* Effect.sleep(probeEveryMs)
    }
  })
  const ending = Effect.flatMap(engine.ended, (how) =>
    Effect.fail(
      failureIn(engine.stderr(), options) ??
        failed(how.startsWith("SIG") ? "killed" : "ended", `it ended while starting (${how})`, engine.stderr())
    ))
  return Effect.raceFirst(answering, ending).pipe(
    Effect.timeoutOrElse({
      duration: options.readyTimeoutMs,
      orElse: () =>
        Effect.fail(failed("timeout", `it did not answer within ${options.readyTimeoutMs} ms`, engine.stderr()))
    }),
    Effect.tapError(() => engine.kill)
  )
}

export const httpUrl = (port: number): string => `http://127.0.0.1:${port}`

/**
 * The name under which a ClickHouse answers there, if one does. Asked without credentials, since whoever holds the port would
 * get them; /ping will not do, since any ClickHouse says "Ok." to it.
 */
export const displayName = (url: string): Effect.Effect<Option.Option<string>> =>
  Effect.tryPromise((signal) => exchange(`${url}/?query=SELECT%201`, { signal })).pipe(
    Effect.map(({ headers }) => Option.fromUndefinedOr(headers["x-clickhouse-server-display-name"]?.toString())),
    Effect.timeoutOrElse({ duration: probeTimeoutMs, orElse: () => Effect.succeedNone }),
    Effect.orElseSucceed(() => Option.none())
  )

/** The engine's verdict in its own words, e.g. "Code: 76. DB::Exception: Cannot lock file ..". */
const failureIn = (stderr: string, options: EngineOptions): EngineFailed | undefined => {
  const code = /Code: (\d+)\. DB::\w*Exception/.exec(stderr)?.[1]
  if (code === undefined) return undefined
  if (code === "76" && stderr.includes("Cannot lock file")) {
    return failed("locked", `another engine has the directory ${options.directory}`, stderr)
  }
  if (code === "210" && stderr.includes("already in use")) {
    const port = Number(/Listen \[[^\]]*\]:(\d+)/.exec(stderr)?.[1] ?? options.httpPort)
    return failed("port-taken", `another program listens on port ${port}`, stderr, port)
  }
  return failed("ended", `it failed with ClickHouse's code ${code}`, stderr)
}

const failed = (reason: EngineFailed["reason"], message: string, stderr: string, port?: number): EngineFailed =>
  new EngineFailed({ reason, message, stderr, port })

/** Only what a process needs to run: secrets in our environment are none of the engine's business. UTC whatever the machine has. */
const environment = (): NodeJS.ProcessEnv => {
  const names = ["PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "CHDB_LIBCHDB_PATH", "CHDB_LIBCHDB_DIR"]
  const kept = names.flatMap((name) => process.env[name] === undefined ? [] : [[name, process.env[name]]])
  return { ...Object.fromEntries(kept), TZ: "UTC" }
}
