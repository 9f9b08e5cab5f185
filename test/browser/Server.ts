/** A serving process with its data, as its users have it, and SQL beside it. */
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as later } from "node:timers/promises"
import { exitCode, guardian, start } from "../cli/GuardianProcess.ts"
import { simulatedShop } from "./SimulatedShop.ts"

export interface Server {
  /** Of the API and the dashboard. */
  readonly url: string
  readonly collector: string
  readonly sql: <Row>(statement: string) => Promise<ReadonlyArray<Row>>
  readonly stop: () => Promise<void>
}

interface ServerOptions {
  readonly command: ReadonlyArray<string>
  readonly dataDir: string
  readonly env?: Readonly<Record<string, string>>
}

const startMsMax = 120_000

/** Starts it and waits until it says where everything is. */
export const serve = async ({ command, dataDir, env = {} }: ServerOptions): Promise<Server> => {
  const child = start([...command, "--data-dir", dataDir], { env })
  const said = told(child)
  const url = await said(/API and dashboard at (\S+)/)
  const collector = await said(/Collector at (\S+):/)
  const warehouse = await said(/ClickHouse (?:at|answers at) (\S+?)[; ]/)
  const { analyst } = JSON.parse(readFileSync(join(dataDir, "warehouse/credentials.json"), "utf8")) as {
    analyst: string
  }
  const authorization = `Basic ${Buffer.from(`analyst:${analyst}`).toString("base64")}`
  return {
    url,
    collector,
    sql: async <Row>(statement: string) => {
      const response = await fetch(`${warehouse}/?database=guardian&output_format_json_quote_64bit_integers=0`, {
        method: "POST",
        body: `${statement} FORMAT JSON`,
        headers: { authorization }
      })
      const text = await response.text()
      if (!response.ok) throw new Error(text)
      return (JSON.parse(text) as { data: ReadonlyArray<Row> }).data
    },
    stop: async () => {
      if (child.exitCode !== null) return
      child.kill("SIGTERM")
      await exitCode(child)
    }
  }
}

/** Waits for words on its standard output. */
const told = (child: ChildProcessWithoutNullStreams) => {
  let output = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => output += text)
  child.stderr.setEncoding("utf8").on("data", (text: string) => output += text)
  return async (words: RegExp): Promise<string> => {
    const found = await until(
      () => {
        if (child.exitCode !== null) throw new Error(`the server ended: ${output}`)
        return words.exec(output)?.[1]
      },
      `${words} in the output`,
      startMsMax
    )
    return found
  }
}

/** Waits for a condition, asked again soon after; fails after the deadline. */
export const until = async <A>(
  ask: () => A | undefined | Promise<A | undefined>,
  what: string,
  msMax = 60_000
): Promise<A> => {
  for (const deadline = Date.now() + msMax; Date.now() < deadline;) {
    const found = await ask()
    if (found !== undefined) return found
    await later(100)
  }
  throw new Error(`waited ${msMax} ms in vain for ${what}`)
}

/** Real clicks of a shop where they are at hand, beside the repository. */
const shop = join(import.meta.dirname, "../../../shared/data/retentioneering_simple_shop/simple-onlineshop.csv")
const types = "catalog>view,main>view,product1>click,product2>click,cart>add_to_cart,payment_done>purchase"

/** Fills a data directory with history; says which. The files have no prices: each event gets one, and only purchases count. */
export const fill = async (dataDir: string): Promise<string> => {
  const real = existsSync(shop)
  const file = real ? shop : join(dataDir, "shop.csv")
  if (!real) writeFileSync(file, simulatedShop())
  const map =
    `visitor_id=client_id,event_ts=timestamp:%Y-%m-%d %H:%M:%S.%f,event_type=event:{${types}},item_id=event,category=event,price=const:24.9`
  const { code, stderr } = await guardian(["import", file, "--map", map, "--data-dir", dataDir])
  if (code !== 0) throw new Error(`guardian import failed: ${stderr}`)
  return real ? "imported data of a real shop" : "a simulated shop, since ../shared/data is not there"
}

/** Waits until the KPIs have taken in all that was processed. */
export const kpisDone = (server: Server): Promise<boolean> =>
  until(
    async () => {
      // A busy machine makes analysts wait, and ends their statements.
      const [found] = await server.sql<{ n: number }>("SELECT sum(waiting) AS n FROM kpi_backlog").catch(() => [])
      return found?.n === 0 || undefined
    },
    "the KPIs",
    180_000
  )
