/**
 * What the collector takes over HTTP, every answer after the log has it durably: `npm run bench:collector -- --seconds 10`.
 * Sender and collector share the machine. Then three times the events that it took, whatever it answers, and its memory meanwhile.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { Agent, request } from "node:http"
import { setPriority, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { exitCode, start } from "../cli/GuardianProcess.ts"
import { machine } from "./machine.ts"
import { cpuSeconds, peakMegabytes, residentMegabytes } from "./processes.ts"

const { values } = parseArgs({ options: { seconds: { type: "string", default: "10" } } })
const seconds = Number(values.seconds)
const connections = 64
const visitors = 20_000

const dataDir = mkdtempSync(join(tmpdir(), "guardian-bench-"))
const child = start(["serve", "--role", "collector", "--data-dir", dataDir, "--collector-port", "0"])
const port = await new Promise<number>((resolve, reject) => {
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const match = /Collector at http:\/\/[^:]+:(\d+)/.exec(text)
    if (match !== null) resolve(Number(match[1]))
  })
  child.once("close", () => reject(new Error("the collector ended")))
})
const pid = child.pid!

let events = 0
const eventText = () => {
  const i = events++
  return `{"event_id":"event-${i}","visitor_id":"v${i * 7_919 % visitors}","event_ts":${Date.now()},"event_type":"${
    i % 3 === 0 ? "click" : "view"
  }","item_id":"item-${i % 997}","category":"category-${i % 20}","url":"https://shop.example.com/products/item-${
    i % 997
  }?ref=home","referrer":"https://www.google.com/search?q","user_agent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36"}`
}
const bodyOf = (batch: number) =>
  Buffer.from(batch === 1 ? eventText() : `[${Array.from({ length: batch }, eventText).join(",")}]`)

const post = (agent: Agent, body: Buffer): Promise<number> =>
  new Promise((resolve) => {
    const sent = request(
      { agent, port, host: "127.0.0.1", path: "/collect", method: "POST", headers: { "content-length": body.length } },
      (answer) => answer.resume().on("end", () => resolve(answer.statusCode ?? 0))
    )
    sent.on("error", () => resolve(0)).end(body)
  })

/** As fast as it answers: `connections` senders, each waiting for its receipt. */
const closedLoop = async (batch: number): Promise<number> => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const waits: Array<number> = []
  const cpuBefore = cpuSeconds(pid)
  const begun = performance.now()
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() - begun < seconds * 1_000) {
      const body = bodyOf(batch)
      const called = performance.now()
      if (await post(agent, body) === 200) waits.push(performance.now() - called)
    }
  }))
  const elapsed = (performance.now() - begun) / 1_000
  agent.destroy()
  waits.sort((a, b) => a - b)
  const rate = waits.length * batch / elapsed
  const at = (share: number) => `${waits[Math.floor(share * (waits.length - 1))]?.toFixed(1)} ms`
  const cpu = (cpuSeconds(pid) - cpuBefore) / (waits.length * batch) * 1e6
  console.log(
    `batches of ${String(batch).padStart(3)}: ${Math.round(rate).toLocaleString("en")} events/s, answer p50 ${
      at(0.5)
    }, ` +
      `p99 ${at(0.99)}, ${cpu.toFixed(1)} us of CPU an event`
  )
  return rate
}

/** At a rate of its own, whatever comes back: memory must not follow what is offered. */
const overload = async (batch: number, rate: number): Promise<void> => {
  const agent = new Agent({ keepAlive: true, maxSockets: 2_000 })
  const bodies = Array.from({ length: 50 }, () => bodyOf(batch))
  const statuses = new Map<number, number>()
  const open = new Set<Promise<void>>()
  const resident: Array<number> = []
  const begun = performance.now()
  let offered = 0
  let sampled = 0
  for (let elapsed = 0; elapsed < 2 * seconds; elapsed = (performance.now() - begun) / 1_000) {
    // What cannot even be sent counts as offered and is dropped, as by a sender that gives up.
    for (; offered < elapsed * rate; offered += batch) {
      if (open.size >= 2_000) continue
      const sending = post(agent, bodies[offered / batch % bodies.length]!).then((status) => {
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        open.delete(sending)
      })
      open.add(sending)
    }
    if (elapsed >= sampled) {
      resident.push(residentMegabytes(pid))
      sampled++
    }
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await Promise.all(open)
  agent.destroy()
  const total = [...statuses.values()].reduce((sum, count) => sum + count, 0)
  const sentRate = total * batch / ((performance.now() - begun) / 1_000)
  const answers = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) =>
    `${count} x ${status || "no answer"}`
  )
  console.log(
    `${Math.round(rate).toLocaleString("en")} events/s offered for ${2 * seconds} s in batches of ${batch}, ` +
      `${Math.round(sentRate).toLocaleString("en")} got through: ${answers.join(", ")}; resident MB each second ${
        resident.join(" ")
      }`
  )
}

try {
  console.log(machine())
  let best = 0
  for (const batch of [1, 50, 500]) best = Math.max(best, await closedLoop(batch))
  // Else the sender, on the same cores, could not offer so much.
  setPriority(pid, 19)
  await overload(500, 3 * best)
  console.log(`peak memory of the collector ${peakMegabytes(pid)} MB`)
} finally {
  child.kill("SIGTERM")
  await exitCode(child)
  rmSync(dataDir, { recursive: true, force: true })
}
