/**
 * npm run test:crash -- [--events 500000] [--kills 20] [--seed N] [--flush-records 5000]
 *
 * Kills the pipeline, then the warehouse's engine, at random moments of a drain, and compares everything that the databases say
 * with an undisturbed drain of the same log. Exit code 1 on any difference, with the first rows that differ.
 */
import { Effect, Layer } from "effect"
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { clientLayer, warehouseLayer } from "../../src/cli/Installation.ts"
import { contents, differingRows } from "../../src/operations/chaos/Content.ts"
import { Warehouse } from "../../src/warehouse/Warehouse.ts"
import { machine } from "../bench/machine.ts"
import type { CrashReport, Drain } from "./CrashRun.ts"
import { crashRun, temporaryFolder } from "./CrashRun.ts"

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "500000" },
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    "flush-records": { type: "string", default: "5000" }
  }
})
const options = {
  events: Number(values.events),
  kills: Number(values.kills),
  seed: Number(values.seed),
  flushRecords: Number(values["flush-records"]),
  print: (text: string) => console.log(text)
}
const differingRowsMax = 3

const table = ({ drains }: CrashReport): string => {
  const names = Object.keys(contents)
  const width = Math.max(...names.map((name) => name.length))
  const head = ["".padEnd(width), "rows".padStart(9), ...drains.map(({ name }) => name.padEnd(33))].join("  ")
  const lines = names.map((name) =>
    [
      name.padEnd(width),
      String(drains[0]!.content.tables[name]!.rows).padStart(9),
      ...drains.map(({ content }) => content.tables[name]!.hash.padEnd(33))
    ].join("  ")
  )
  const decided = drains.map(({ content }) => `${Object.keys(content.decisions).length} offsets`.padEnd(33))
  return [head, ...lines, ["decision hashes".padEnd(width), "".padStart(9), ...decided].join("  ")].join("\n")
}

/** The rows in which a drain differs from the undisturbed one, by table. */
const evidence = Effect.fnUntraced(function*(truth: Drain, other: Drain) {
  const open = (drain: Drain) =>
    Layer.build(clientLayer("writer").pipe(Layer.provide(warehouseLayer(drain.dataDirectory)))).pipe(
      Effect.flatMap((context) => Effect.provide(Warehouse, context))
    )
  const both = [yield* open(truth), yield* open(other)] as const
  const different = Object.keys(contents).filter((name) =>
    truth.content.tables[name]!.hash !== other.content.tables[name]!.hash
  )
  for (const name of different) {
    const rows = yield* differingRows(name, both, differingRowsMax)
    console.log(`${name}, undisturbed (-) against ${other.name} (+):\n${rows.join("\n")}`)
  }
}, Effect.scoped)

const program = Effect.gen(function*() {
  console.log(machine())
  console.log(`${options.events.toLocaleString("en")} events, ${options.kills} kills of each, seed ${options.seed}`)
  const report = yield* crashRun(yield* temporaryFolder, options)
  console.log(table(report))
  if (report.violations.length === 0) return console.log("the same content and decisions, every record accounted for")
  process.exitCode = 1
  console.log(report.violations.join("\n"))
  const [truth, ...others] = report.drains
  for (const other of others) yield* evidence(truth!, other)
  console.log(`again: npm run test:crash -- --events ${options.events} --kills ${options.kills} --seed ${options.seed}`)
})

await Effect.runPromise(Effect.scoped(program))
