import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { writeFile } from "node:fs/promises"
import { cpus, totalmem } from "node:os"
import { faultNames, faults } from "../../operations/chaos/Faults.ts"
import type { FaultReport } from "../../operations/chaos/Report.ts"
import { isExact, reportMarkdown, reportText } from "../../operations/chaos/Report.ts"
import { makeFault, steadyMs } from "../chaos/Chaos.ts"
import type { ChaosStage } from "../chaos/ChaosStage.ts"
import { composeEnvironment, composeStage, consentText } from "../chaos/ComposeStage.ts"
import { privateStage } from "../chaos/PrivateStage.ts"
import { json, print, printJson, rateFlag, UsageError } from "../Flags.ts"
import { InstallationError } from "../Installation.ts"
import { progressLine } from "../Progress.ts"
import { finishing } from "../RunMain.ts"

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
const seed = Flag.Int("seed").pipe(
  Flag.withDescription("Of the traffic; with --compose a random number is added, since ids must be new"),
  Flag.withDefault(1)
)
const markdown = Flag.String("markdown").pipe(
  Flag.withDescription("Also write the report to this file, as Markdown"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)

const compose = Flag.String("compose").pipe(
  Flag.withDescription("Break the installation of this docker compose file, which runs, not a cluster of its own"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const project = Flag.String("project").pipe(
  Flag.withDescription("Of --compose: the project's name, when it is not that of the file"),
  Flag.optional,
  Flag.map(Option.getOrUndefined)
)
const yes = Flag.Boolean("yes").pipe(
  Flag.withDescription("Of --compose: its events may stay in that installation's log, database and KPIs"),
  Flag.withDefault(false)
)

interface Asked {
  readonly compose: string | undefined
  readonly project: string | undefined
  readonly yes: boolean
  /** How many events will be sent. */
  readonly records: number
}

/** What is to be broken; somebody's installation only when they have said that it may be. */
const stageOf = Effect.fnUntraced(function*({ compose, project, records, yes }: Asked) {
  if (compose === undefined) {
    progressLine("starting three brokers and a registry")
    return yield* privateStage
  }
  const environment = yield* composeEnvironment
  if (!yes) return yield* new UsageError({ message: consentText(environment, records) })
  return yield* composeStage({ file: compose, name: project }, environment)
})

/**
 * Breaks a private cluster, or an installation under docker compose, under traffic, and proves that everything was counted once. Exit
 * code 1 if not.
 */
export const chaos = Command.make(
  "chaos",
  { fault, all, rate, seconds, seed, markdown, json, compose, project, yes },
  Effect.fn(function*({ all, compose, fault, json, markdown, project, rate, seconds, seed, yes }) {
    if (all === (fault !== undefined)) {
      return yield* new UsageError({ message: `name one --fault (${faultNames.join(", ")}) or --all of them` })
    }
    if (compose === undefined && (project !== undefined || yes)) {
      return yield* new UsageError({ message: "--project and --yes belong to --compose FILE" })
    }
    const names = fault === undefined ? faultNames : [fault]
    const say = (text: string) => Effect.sync(() => progressLine(text))
    const breaking = Effect.scoped(Effect.gen(function*() {
      const records = Math.round(names.length * rate * (steadyMs / 1_000 + seconds))
      const stage: ChaosStage = yield* stageOf({ compose, project, yes, records })
      const reports: Array<FaultReport> = []
      const leftOut: Array<string> = []
      for (const name of names) {
        const refusal = stage.refusal(faults[name])
        if (refusal !== undefined) {
          if (fault !== undefined) return yield* new InstallationError({ message: refusal })
          leftOut.push(`${name} is left out: ${refusal}`)
          yield* say(leftOut.at(-1)!)
          continue
        }
        const report = yield* makeFault(stage, faults[name], { recordsPerSecond: rate, seconds, seed, say })
        reports.push(report)
        if (!json) yield* print(reportText(report))
      }
      return { leftOut, reports, stage }
    }))
    const { leftOut, reports, stage } = yield* finishing(breaking, "Nothing was proven")
    if (json) yield* printJson(fault === undefined ? reports : reports[0])
    if (markdown !== undefined) {
      const place = { machine: machine(), installation: stage.description, leftOut }
      yield* writeReport(markdown, reportMarkdown(reports, place))
    }
    const wrong = reports.filter((report) => !isExact(report)).map((report) => report.fault)
    if (wrong.length > 0) {
      return yield* new InstallationError({ message: `not exact, or not recovered: ${wrong.join(", ")}` })
    }
  })
).pipe(
  Command.withDescription(
    "Kill or freeze parts of a private Kafka cluster, or of an installation under docker compose, under traffic, and prove that " +
      "nothing is lost or counted twice"
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
