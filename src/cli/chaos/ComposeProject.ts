/**
 * The containers of a docker compose project, found by `docker compose ps`, and what is done to them by `docker kill`, `start`, `pause`,
 * `unpause` and `stop`, each by its container's name. Not by compose's commands of these names: they take whole services only, and
 * its `start` runs again what a service depends on, such as a job that sets up, and waits for it.
 */
import { Effect, Schedule, Schema } from "effect"
import { spawn } from "node:child_process"
import { InstallationError } from "../Installation.ts"
import { owe, settle } from "../RunMain.ts"
import type { Part } from "./ChaosStage.ts"

export interface ComposeProjectOptions {
  readonly file: string
  /** Absent: the name that compose finds itself. */
  readonly name: string | undefined
}

/** As `docker compose ps` shows it. */
export interface Container {
  readonly name: string
  readonly service: string
  /** running, paused, exited, restarting, created, dead. */
  readonly state: string
  /** healthy, unhealthy, starting; empty: it has no check. */
  readonly health: string
  /** On the host. */
  readonly ports: ReadonlyArray<number>
}

export interface StoppablePart extends Part<"kill" | "pause"> {
  /** It ends in order. */
  readonly stop: Effect.Effect<void, InstallationError>
}

/** The longest that one command of docker may take, ms; a stop waits for the container's own grace period. */
const commandMsMax = 90_000
/** What docker could not do is tried again so often, a second apart. */
const mendRetriesMax = 5

export class ComposeProject {
  readonly #ps: ReadonlyArray<string>
  /** What people type to say the same. */
  readonly command: string

  constructor({ file, name }: ComposeProjectOptions) {
    const project = ["compose", "-f", file, ...name === undefined ? [] : ["-p", name]]
    this.#ps = [...project, "ps", "--all", "--format", "json"]
    this.command = ["docker", ...project].join(" ")
  }

  /** All of the project, stopped ones too. */
  get containers(): Effect.Effect<ReadonlyArray<Container>, InstallationError> {
    return Effect.flatMap(docker(this.#ps), parseContainers)
  }

  /** Containers that are broken and mended together. */
  part(names: ReadonlyArray<string>): StoppablePart {
    const all = names.join(" ")
    const broken = `left broken: ${all}. Mend it with: docker unpause ${all}; docker start ${all}`
    const breaking = (...command: ReadonlyArray<string>) =>
      Effect.andThen(Effect.sync(() => owe(broken)), docker([...command, ...names]))
    return {
      // A restart policy does not bring back what was killed by command.
      kill: breaking("kill", "--signal", "SIGKILL"),
      pause: breaking("pause"),
      stop: breaking("stop"),
      mend: this.#mend(names).pipe(
        Effect.retry({ schedule: Schedule.spaced("1 second"), times: mendRetriesMax }),
        Effect.mapError(({ message }) => new InstallationError({ message: `${broken} (${message})` })),
        Effect.tap(Effect.sync(() => settle(broken)))
      )
    }
  }

  /** Whatever was done to them, and also when it was done in part. */
  #mend(names: ReadonlyArray<string>): Effect.Effect<void, InstallationError> {
    return Effect.flatMap(this.containers, (all) => {
      const found = all.filter(({ name }) => names.includes(name))
      const paused = found.filter(({ state }) => state === "paused").map(({ name }) => name)
      const down = found.filter(({ state }) => ["exited", "created", "dead"].includes(state)).map(({ name }) => name)
      return Effect.andThen(
        paused.length === 0 ? Effect.void : docker(["unpause", ...paused]),
        down.length === 0 ? Effect.void : docker(["start", ...down])
      )
    })
  }
}

const Row = Schema.Struct({
  Name: Schema.String,
  Service: Schema.String,
  State: Schema.String,
  Health: Schema.optionalKey(Schema.NullOr(Schema.String)),
  Publishers: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.Struct({ PublishedPort: Schema.Number }))))
})
const Rows = Schema.fromJsonString(Schema.Array(Row))

/** What `docker compose ps --format json` prints: an object per line, or one list in versions before 2.21. */
export const parseContainers = (text: string): Effect.Effect<ReadonlyArray<Container>, InstallationError> => {
  const trimmed = text.trim()
  const list = trimmed.startsWith("[") ? trimmed : `[${trimmed.split("\n").filter((line) => line !== "").join(",")}]`
  return Schema.decodeUnknownEffect(Rows)(list).pipe(
    Effect.map((rows) =>
      rows.map(({ Health, Name, Publishers, Service, State }) => ({
        name: Name,
        service: Service,
        state: State,
        health: Health ?? "",
        ports: [...new Set((Publishers ?? []).map(({ PublishedPort }) => PublishedPort).filter((port) => port > 0))]
      }))
    ),
    Effect.mapError(() =>
      new InstallationError({
        message: `docker compose ps --format json was not understood (docker compose 2 is needed): ${
          trimmed.slice(0, 200)
        }`
      })
    )
  )
}

/**
 * What the command printed. It is never cut short: who is interrupted waits for it, so that what mends finds what breaking has done.
 * Detached: Ctrl-C in a terminal is for us, not for docker.
 */
const docker = (args: ReadonlyArray<string>): Effect.Effect<string, InstallationError> =>
  Effect.callback<string, InstallationError>((resume) => {
    const failed = (why: string) =>
      resume(Effect.fail(new InstallationError({ message: `docker ${args.join(" ")}: ${why}` })))
    const child = spawn("docker", args, { stdio: ["ignore", "pipe", "pipe"], detached: true, timeout: commandMsMax })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text)
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text)
    child.once(
      "error",
      (cause: NodeJS.ErrnoException) =>
        failed(cause.code === "ENOENT" ? "there is no docker command here: install docker with compose" : cause.message)
    )
    child.once("close", (code, signal) => {
      if (code === 0) resume(Effect.succeed(stdout))
      else if (signal !== null) failed(`no answer within ${commandMsMax / 1_000} s`)
      else failed(stderr.trim() || `ended with code ${code}`)
    })
  }).pipe(Effect.uninterruptible)
