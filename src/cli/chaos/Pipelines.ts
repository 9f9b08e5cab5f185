/** `guardian serve` in a role any number of times, each started again when it dies, as an orchestrator would. */
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { join } from "node:path"

const main = join(import.meta.dirname, "..", "main.ts")
/** Not the server of the installation that the environment is set up for, nor one port for all. */
const ofTheirOwn = { GUARDIAN_CLICKHOUSE_URL: "", GUARDIAN_HEALTH_PORT: "" }
/** The end of what a process said is kept, characters. */
const outputMax = 20_000

export class Pipelines {
  readonly #dataDirectory: string
  readonly #environment: NodeJS.ProcessEnv
  readonly #role: "pipeline" | "all"
  readonly #running = new Set<ChildProcess>()
  #isEnding = false
  #output = ""

  constructor(dataDirectory: string, environment: NodeJS.ProcessEnv, role: "pipeline" | "all" = "pipeline") {
    this.#role = role
    this.#dataDirectory = dataDirectory
    this.#environment = environment
  }

  start(): void {
    const child = spawn(process.execPath, [main, "serve", "--role", this.#role, "--data-dir", this.#dataDirectory], {
      env: { ...process.env, NODE_OPTIONS: "", NODE_NO_WARNINGS: "1", ...ofTheirOwn, ...this.#environment },
      stdio: ["ignore", "pipe", "pipe"],
      // Ctrl-C in a terminal is ours: we end them in order.
      detached: true
    })
    this.#running.add(child)
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-outputMax)
      })
    }
    child.once("exit", () => {
      this.#running.delete(child)
      if (!this.#isEnding) this.start()
    })
  }

  /** To the one that runs longest. */
  signal(signal: NodeJS.Signals): void {
    const [oldest] = this.#running
    oldest?.kill(signal)
  }

  /** The end of what they said, all together. */
  get output(): string {
    return this.#output
  }

  /** All of them, in order; what does not end is killed. */
  async end(): Promise<void> {
    this.#isEnding = true
    await Promise.all([...this.#running].map((child) =>
      new Promise<void>((resolve) => {
        const insist = setTimeout(() => child.kill("SIGKILL"), endWithinMs)
        child.once("exit", () => {
          clearTimeout(insist)
          resolve()
        })
        child.kill("SIGCONT")
        child.kill("SIGTERM")
      })
    ))
  }
}

const endWithinMs = 10_000
