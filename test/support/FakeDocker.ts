/**
 * A docker command of our own, first on PATH: each of its calls is answered here, over containers that are only kept in mind. What a
 * test has behind them follows by `onAct`.
 */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

export interface FakeContainer {
  readonly name: string
  readonly service: string
  readonly ports?: ReadonlyArray<number>
  state?: string
  health?: string
}

export type Verb = "kill" | "start" | "pause" | "unpause" | "stop"

interface Answer {
  readonly code: number
  readonly stdout?: string
  readonly stderr?: string
}

/** What docker refuses, as it does, and the state that a container has afterwards. */
const acts: Readonly<Record<Verb, { readonly from: ReadonlyArray<string>; readonly to: string }>> = {
  kill: { from: ["running", "paused"], to: "exited" },
  start: { from: ["exited", "created", "running"], to: "running" },
  pause: { from: ["running"], to: "paused" },
  unpause: { from: ["paused"], to: "running" },
  stop: { from: ["running", "paused", "exited"], to: "exited" }
}

export class FakeDocker {
  /** What was asked, in order, but for looks at the containers. */
  readonly calls: Array<string> = []
  readonly containers: Array<FakeContainer>
  readonly folder: string
  readonly #server: Server
  readonly #onAct: (verb: Verb, container: FakeContainer) => Promise<void>
  /** Calls that begin so are refused, with this text; so many of them. */
  #refused: { readonly start: string; readonly text: string; times: number } | undefined

  private constructor(
    folder: string,
    server: Server,
    containers: Array<FakeContainer>,
    onAct: (verb: Verb, container: FakeContainer) => Promise<void>
  ) {
    this.folder = folder
    this.#server = server
    this.containers = containers
    this.#onAct = onAct
  }

  static async start(
    containers: Array<FakeContainer>,
    onAct: (verb: Verb, container: FakeContainer) => Promise<void> = async () => undefined
  ): Promise<FakeDocker> {
    const folder = await mkdtemp(join(tmpdir(), "guardian-docker-"))
    const server = createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8").on("data", (text: string) => body += text).on("end", () => {
        void docker.#answer(JSON.parse(body) as ReadonlyArray<string>).then((answer) =>
          response.end(JSON.stringify(answer))
        )
      })
    })
    const docker = new FakeDocker(folder, server, containers, onAct)
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const script = join(folder, "docker")
    await writeFile(script, program((server.address() as AddressInfo).port))
    await chmod(script, 0o755)
    return docker
  }

  /** A PATH on which it comes first. */
  get path(): string {
    return `${this.folder}${delimiter}${process.env["PATH"] ?? ""}`
  }

  refuse(start: string, text: string, times = Infinity): void {
    this.#refused = { start, text, times }
  }

  states(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.containers.map(({ name, state = "running" }) => [name, state]))
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    await rm(this.folder, { recursive: true, force: true })
  }

  async #answer(args: ReadonlyArray<string>): Promise<Answer> {
    if (args[0] === "compose") return this.#ps(args.slice(1))
    const call = args.join(" ")
    this.calls.push(call)
    const verb = args[0] as Verb
    const refused = this.#refused
    if (refused !== undefined && refused.times > 0 && call.startsWith(refused.start)) {
      refused.times--
      return { code: 1, stderr: refused.text }
    }
    if (!(verb in acts)) return { code: 1, stderr: `docker: unknown command: docker ${verb}` }
    const names = args.slice(1).filter((arg, i, all) => !arg.startsWith("-") && all[i - 1] !== "--signal")
    let stderr = ""
    for (const name of names) {
      const container = this.containers.find((each) => each.name === name)
      if (container === undefined) stderr += `No such container: ${name}\n`
      else if (!acts[verb].from.includes(container.state ?? "running")) {
        stderr += `Container ${name} is ${container.state ?? "running"}\n`
      } else {
        await this.#onAct(verb, container)
        container.state = acts[verb].to
      }
    }
    return { code: stderr === "" ? 0 : 1, stdout: `${names.join("\n")}\n`, stderr }
  }

  /** `-f FILE [-p NAME] ps --all --format json` */
  #ps(args: ReadonlyArray<string>): Answer {
    const { file, rest } = projectOf(args)
    if (file === undefined || rest.join(" ") !== "ps --all --format json") {
      this.calls.push(`compose ${args.join(" ")}`)
      return { code: 1, stderr: "not understood" }
    }
    const lines = this.containers.map(({ health = "", name, ports = [], service, state = "running" }) =>
      JSON.stringify({
        Name: name,
        Service: service,
        State: state,
        Health: health,
        Publishers: state === "exited" ? null : ports.map((port) => ({ URL: "127.0.0.1", PublishedPort: port }))
      })
    )
    return { code: 0, stdout: lines.join("\n") }
  }
}

const projectOf = (args: ReadonlyArray<string>) => {
  const rest = [...args]
  let file: string | undefined
  while (rest[0] === "-f" || rest[0] === "-p") {
    const [flag, value] = rest.splice(0, 2)
    if (flag === "-f") file = value
  }
  return { file, rest }
}

const program = (port: number): string =>
  `#!${process.execPath}
const request = require("node:http").request({ port: ${port}, host: "127.0.0.1", method: "POST" }, (response) => {
  let text = ""
  response.setEncoding("utf8").on("data", (part) => text += part).on("end", () => {
    const { code, stdout = "", stderr = "" } = JSON.parse(text)
    process.stdout.write(stdout)
    process.stderr.write(stderr)
    process.exitCode = code
  })
})
request.end(JSON.stringify(process.argv.slice(2)))
`
