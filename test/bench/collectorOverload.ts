/**
 * Prints how the collector's memory goes and what it answers when three times as many events come as its log takes:
 * `npm run bench:collector-overload`. The log is held to a known rate, so that the senders, on the same cores, can be three times as fast.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { Agent, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { machine } from "./machine.ts"
import { residentMegabytes } from "./processes.ts"

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "70" },
    rate: { type: "string", default: "2000" }
  }
})
const seconds = Number(values.seconds)
const slowRate = Number(values.rate)
const agent = new Agent({ keepAlive: true, maxSockets: 1_000 })
let made = 0

const body = (events: number): Buffer =>
  Buffer.from(JSON.stringify(Array.from({ length: events }, () => {
    const i = made++
    return {
      event_id: `bench-${i.toString(16).padStart(26, "0")}`,
      visitor_id: `v${i * 7_919 % 20_000}`,
      event_ts: Date.now(),
      event_type: i % 3 === 0 ? "click" : "view",
      item_id: `item-${i % 5_000}`,
      category: `category-${i % 20}`,
      url: `https://shop.example.com/products/item-${i % 5_000}?ref=home`,
      user_agent:
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    }
  })))

/** The status, 0 when the connection broke. */
const post = (port: number, bytes: Buffer): Promise<number> =>
  new Promise((resolve) => {
    const sending = request(
      { agent, host: "127.0.0.1", port, path: "/collect", method: "POST", headers: { "content-length": bytes.length } },
      (response) => response.resume().on("end", () => resolve(response.statusCode!)).on("error", () => resolve(0))
    )
    sending.on("error", () => resolve(0)).end(bytes)
  })

const started = async (directory: string, rate: number): Promise<{ child: ChildProcess; port: number }> => {
  const script = fileURLToPath(new URL("./collectorOverloadServe.ts", import.meta.url))
  const child = spawn(process.execPath, [script, directory, String(rate)], { stdio: ["ignore", "pipe", "inherit"] })
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once("data", (text: Buffer) => resolve(Number(text.toString())))
    child.once("close", (code) => reject(new Error(`the collector ended with ${code}`)))
  })
  return { child, port }
}

/** Requests go out by the clock, whether or not those before were answered. */
const overload = async (pid: number, port: number): Promise<void> => {
  const eventsPerRequest = 50
  const statuses = new Map<number, number>()
  const waiting = new Set<Promise<void>>()
  const begun = performance.now()
  let sent = 0
  let nextSample = 0
  for (;;) {
    const elapsed = (performance.now() - begun) / 1_000
    if (elapsed >= seconds) break
    for (; sent * eventsPerRequest < elapsed * 3 * slowRate; sent++) {
      const one = post(port, body(eventsPerRequest)).then((status) => {
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        waiting.delete(one)
      })
      waiting.add(one)
    }
    if (elapsed >= nextSample) {
      console.log(`  ${Math.round(elapsed)} s: ${residentMegabytes(pid)} MB, ${waiting.size} requests unanswered`)
      nextSample += seconds / 8
    }
    await setTimeout(5)
  }
  await Promise.all(waiting)
  const answers = [...statuses].sort().map(([status, count]) => `${count} x ${status || "broken"}`).join(", ")
  console.log(`  ${sent} requests sent, ${answers}; ${residentMegabytes(pid)} MB at the end`)
}

const inFolder = async (rate: number, work: (child: ChildProcess, port: number) => Promise<void>): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), "guardian-bench-collector-"))
  const { child, port } = await started(directory, rate)
  try {
    await work(child, port)
  } finally {
    child.removeAllListeners("close")
    child.kill("SIGKILL")
    await new Promise((resolve) => child.once("close", resolve))
    rmSync(directory, { recursive: true, force: true })
  }
}

console.log(machine())
console.log(`a log that takes ${slowRate} events/s, ${3 * slowRate} offered:`)
await inFolder(slowRate, (child, port) => overload(child.pid!, port))
agent.destroy()
