/**
 * A real collector process behind a proxy that kills it at chosen answers: when the collector has said that events are in the log, and
 * before the sender hears it. Then the process is started again.
 */
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { connect, createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { exitCode, start } from "../cli/GuardianProcess.ts"

export interface KilledCollector {
  /** What senders talk to. */
  readonly url: string
  readonly kills: () => number
  /** Waits while it is being started again. */
  readonly ready: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** `killAt`: the answer, counted from 1, that is swallowed together with its process. Ascending. */
export const killedCollector = async (
  dataDir: string,
  killAt: ReadonlyArray<number>
): Promise<KilledCollector> => {
  let kills = 0
  let answers = 0
  let current = await startCollector(dataDir, 0)
  const { port } = current
  let restarting: Promise<void> | undefined
  const sockets = new Set<Socket>()

  const kill = () => {
    kills++
    restarting = (async () => {
      current.child.kill("SIGKILL")
      for (const socket of sockets) socket.destroy()
      await exitCode(current.child)
      current = await startCollector(dataDir, port)
      restarting = undefined
    })()
  }

  const proxy = createServer((client) => {
    if (restarting !== undefined) return client.destroy()
    const upstream = connect(port, "127.0.0.1")
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on("error", () => {}).on("close", () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.on("data", (bytes: Buffer) => {
      // Answers are small: each begins a chunk of its own.
      if (bytes.toString("latin1", 0, 9) === "HTTP/1.1 " && ++answers === killAt[kills]) return kill()
      client.write(bytes)
    })
  })
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))

  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    kills: () => kills,
    ready: async () => {
      await restarting
    },
    stop: async () => {
      await restarting
      for (const socket of sockets) socket.destroy()
      proxy.close()
      current.child.kill("SIGTERM")
      await exitCode(current.child)
    }
  }
}

const startCollector = async (dataDir: string, port: number) => {
  const child = start(["serve", "--role", "collector", "--data-dir", dataDir, "--collector-port", String(port)])
  return { child, port: await listening(child) }
}

const listening = (child: ChildProcessWithoutNullStreams): Promise<number> =>
  new Promise((resolve, reject) => {
    let said = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text
      const match = /Collector at http:\/\/[^:]+:(\d+)/.exec(said)
      if (match !== null) resolve(Number(match[1]))
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => said += text)
    child.once("close", (code) => reject(new Error(`the collector ended with ${code}: ${said}`)))
  })
