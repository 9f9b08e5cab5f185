/** A real schema registry of our own: Apicurio, in memory, with Confluent's API. It takes Java 21. */
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { download, java } from "./Downloads.ts"
import { freePorts } from "./KafkaCluster.ts"

const jvms = "/usr/lib/jvm"
const startWithinMs = 120_000

export class RegistryServer {
  readonly url: string
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #onExit = () => this.#child.kill("SIGKILL")

  private constructor(url: string, folder: string, child: ChildProcess) {
    this.url = url
    this.#folder = folder
    this.#child = child
    process.on("exit", this.#onExit)
  }

  static async start(): Promise<RegistryServer> {
    const { app, command } = await registryServer()
    const folder = await mkdtemp(join(tmpdir(), "guardian-registry-"))
    const [port, managementPort] = await freePorts(2)
    const log = openSync(join(folder, "log"), "a")
    const args = [
      command,
      `-Djava.io.tmpdir=${folder}`,
      "-Xmx384m",
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      "-jar",
      "quarkus-run.jar"
    ]
    if (existsSync("/usr/bin/setpriv")) args.unshift("/usr/bin/setpriv", "--pdeathsig", "KILL")
    const child = spawn(args[0]!, args.slice(1), {
      cwd: app,
      stdio: ["ignore", log, log],
      env: {
        ...process.env,
        QUARKUS_HTTP_HOST: "127.0.0.1",
        QUARKUS_HTTP_PORT: String(port),
        QUARKUS_MANAGEMENT_HOST: "127.0.0.1",
        QUARKUS_MANAGEMENT_PORT: String(managementPort)
      }
    })
    closeSync(log)
    const server = new RegistryServer(`http://127.0.0.1:${port}/apis/ccompat/v7`, folder, child)
    try {
      await server.#ready()
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  pause(): void {
    this.#child.kill("SIGSTOP")
  }

  resume(): void {
    this.#child.kill("SIGCONT")
  }

  async stop(): Promise<void> {
    process.off("exit", this.#onExit)
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await new Promise<void>((resolve) => {
        this.#child.once("exit", () => resolve())
        this.#child.kill("SIGKILL")
      })
    }
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + startWithinMs
    for (;;) {
      const answer = await fetch(`${this.url}/subjects`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined)
      if (answer?.ok) return
      if (this.#child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the registry did not start:\n${readFileSync(join(this.#folder, "log"), "utf8").slice(-3_000)}`)
      }
      await pause(100)
    }
  }
}

/** What runs it: fetched when it is not there, or a word on what to install. */
export const registryServer = async () => {
  const homes = existsSync(jvms) ? readdirSync(jvms).map((name) => join(jvms, name)) : []
  return {
    command: await java(21, [process.env["JAVA_HOME"], ...homes]),
    app: await download("apicurio.pom.xml", (folder) => ["dependency:unpack", `-DoutputDirectory=${folder}`])
  }
}
