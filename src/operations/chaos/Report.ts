/** What a fault did, for people and programs. */
import type { Fault } from "./Faults.ts"
import type { Proof } from "./Proof.ts"
import type { Recovery } from "./Recovery.ts"

/** How the database compares with the one that an undisturbed run makes of the same log. */
export interface Compared {
  /** What differs; empty: nothing. */
  readonly differences: ReadonlyArray<string>
  /** Why there was no such run; undefined: there was. */
  readonly notCompared: string | undefined
}

export interface FaultReport extends Proof, Recovery, Compared {
  readonly fault: Fault["name"]
  readonly what: string
  readonly recordsPerSecond: number
  readonly seconds: number
  /** How long appends took, sent before the fault and sent from it until it was overcome, ms. */
  readonly appendP95Before: number
  readonly appendP95During: number
  readonly appendMaxDuring: number
  /** Age of the oldest record that was acknowledged and not yet in the database, 95th percentile before the fault, ms. */
  readonly rowAgeP95Before: number
}

/** Nothing lost, nothing counted twice, no other content. What a producer had to append twice counts as a duplicate. */
export const isExact = (report: FaultReport): boolean =>
  report.lost + report.uncounted + report.countedTwice + report.differences.length === 0 &&
  report.allPartitionsMs !== undefined

const count = (value: number): string => value.toLocaleString("en")
const ms = (value: number | undefined): string => value === undefined ? "never" : `${count(Math.round(value))} ms`

/** Several lines. */
export const reportText = (report: FaultReport): string => {
  const { accepted, dead_lettered, duplicate, late, rejected } = report.outcomes
  return [
    `${report.fault}: ${report.what}`,
    `  acknowledged ${count(report.acknowledged)}, in the log ${count(report.inLog)}${
      report.ofOthers === 0 ? "" : ` (${count(report.ofOthers)} of others)`
    }: ${count(accepted)} accepted, ` +
    `${count(duplicate)} duplicate, ${count(late)} late, ${count(rejected)} rejected, ${
      count(dead_lettered)
    } dead-lettered`,
    `  lost ${report.lost}, appended twice ${report.appendedTwice}, uncounted ${report.uncounted}, counted twice ${report.countedTwice}; ` +
    contentText(report),
    `  ${
      report.goesOnMs === undefined ? "" : `goes on after ${ms(report.goesOnMs)}; `
    }a row of an event sent afterwards after ${ms(report.firstRowMs)}, in all partitions after ${
      ms(report.allPartitionsMs)
    } ` +
    `(of it ${ms(report.acknowledgedMs)} until the log acknowledged again everywhere); caught up after ${
      ms(report.caughtUpMs)
    }`,
    `  appends p95 ${ms(report.appendP95Before)} before, ${ms(report.appendP95During)} during (longest ${
      ms(report.appendMaxDuring)
    }); ` +
    `oldest waiting record p95 ${ms(report.rowAgeP95Before)} before`
  ].join("\n")
}

const contentText = ({ differences, notCompared }: Compared): string =>
  notCompared !== undefined ?
    `not compared with an undisturbed run: ${notCompared}` :
    differences.length === 0 ?
    "the same content as an undisturbed run" :
    `DIFFERENT from an undisturbed run:\n    ${differences.join("\n    ")}`

const contentWord = ({ differences, notCompared }: Compared): string =>
  notCompared !== undefined ? "not compared" : differences.length === 0 ? "same" : "DIFFERENT"

/** What the faults were made on: the machine, and the installation, as sentences without their full stops. */
export interface ReportedPlace {
  readonly machine: string
  readonly installation: string
  /** Faults that could not be made there, and why. */
  readonly leftOut: ReadonlyArray<string>
}

/** One table for all faults. */
export const reportMarkdown = (
  reports: ReadonlyArray<FaultReport>,
  { installation, leftOut, machine }: ReportedPlace
): string => {
  const [first] = reports
  const head =
    "| fault | acknowledged | lost | counted twice | content | goes on | first row sent afterwards | all partitions | of it the log | caught up | append p95 before / during |"
  return [
    "# Chaos report",
    "",
    `${machine}. ${installation}; ${count(first?.recordsPerSecond ?? 0)} messy events/s, ` +
    `${
      first?.seconds ?? 0
    } s after each fault. Work goes on when the database shows anything that it did not show when the fault was over; recovery is counted until every partition shows a row of an event sent after the fault.`,
    "",
    head,
    `|${" --- |".repeat(11)}`,
    ...reports.map((report) =>
      `| ${report.fault} | ${count(report.acknowledged)} | ${
        report.lost + report.uncounted
      } | ${report.countedTwice} | ${contentWord(report)} | ${
        report.goesOnMs === undefined ? "" : ms(report.goesOnMs)
      } | ${ms(report.firstRowMs)} | ${ms(report.allPartitionsMs)} | ${ms(report.acknowledgedMs)} | ${
        ms(report.caughtUpMs)
      } | ${ms(report.appendP95Before)} / ${ms(report.appendP95During)} |`
    ),
    "",
    ...reports.map((report) => `- ${report.fault}: ${report.what}.`),
    ...leftOut.map((each) => `- ${each}.`),
    ""
  ].join("\n")
}
