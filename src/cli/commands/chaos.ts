import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { writeFile } from "node:fs/promises"
import { cpus, totalmem } from "node:os"
import { faultNames, faults } from "../../operations/chaos/Faults.ts"
import type { FaultReport } from "../../operations/chaos/Report.ts"
import { isExact, reportMarkdown, reportText } from "../../operations/chaos/Report.ts"
import { makeFault } from "../chaos/Chaos.ts"
import { privateStage } from "../chaos/PrivateStage.ts"
import { json, print, printJson, rateFlag, UsageError } from "../Flags.ts"
import { InstallationError } from "../Installation.ts"
import { progressLine } from "../Progress.ts"

const fault = Flag.Literals("fault", faultNames).pipe(
  Flag.withDescription("What to break"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const all = Flag.Boolean("all").pipe(Flag.withDescription("Every fault, one after the other"), Flag.withDefault(false))
const rate = rateFlag.pipe(Flag.withDescription("Messy events per second"), Flag.withDefault(3_000))
const seconds = Flag.Finite("seconds").pipe(
  Flag.filter((each) => each > 0 && each <= 3_600, () => "a number above 0, at most 3600"),
  Flag.withDescription("How long the traffic goes on from the fault on"),
  Flag.withDefault(30)
)
const seed = Flag.Int("seed").pipe(Flag.withDescription("Of the traffic"), Flag.withDefault(1))
const markdown = Flag.String("markdown").pipe(
  Flag.withDescription("Also write the report to this file, as Markdown"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

/** Breaks a private cluster under traffic, and proves that everything was counted once. Exit code 1 if not. */
export const chaos = Command.make(
  "chaos",
  { fault, all, rate, seconds, seed, markdown, json },
  Effect.fn(function*({ all, fault, json, markdown, rate, seconds, seed }) {
    if (all === (fault !== undefined)) {
      return yield* new UsageError({ message: `name one --fault (${faultNames.join(", ")}) or --all of them` })
    }
    const { reports, stage } = yield* Effect.scoped(Effect.gen(function*() {
      const say = (text: string) => Effect.sync(() => progressLine(text))
      yield* say("starting three brokers and a registry")
      const stage = yield* privateStage
      const found: Array<FaultReport> = []
      for (const name of fault === undefined ? faultNames : [fault]) {
        const report = yield* makeFault(stage, faults[name], { recordsPerSecond: rate, seconds, seed, say })
        found.push(report)
        if (!json) yield* print(reportText(report))
      }
      return { reports: found, stage }
    }))
    if (json) yield* printJson(fault === undefined ? reports : reports[0])
    if (markdown !== undefined) {
      const text = reportMarkdown(reports, { machine: machine(), installation: stage.description })
      yield* writeReport(markdown, text)
    }
    const wrong = reports.filter((report) => !isExact(report)).map((report) => report.fault)
    if (wrong.length > 0) {
      return yield* new InstallationError({ message: `not exact, or not recovered: ${wrong.join(", ")}` })
    }
  })
).pipe(
  Command.withDescription(
    "Kill or freeze parts of a private Kafka cluster under traffic, and prove that nothing is lost or counted twice"
  )
)

const writeReport = (file: string, text: string) =>
  Effect.tryPromise({
    try: () => writeFile(file, text),
    catch: (cause) => new InstallationError({ message: `the report was not written: ${(cause as Error).message}` })
  })

const machine = (): string =>
  `${cpus().length} x ${cpus()[0]?.model.replace(/ \d+-Core.*/, "") ?? "CPU"}, ${
    Math.round(totalmem() / 2 ** 30)
  } GB, Node ${process.version}`
