/**
 * Meetings that chance brings about too seldom, by hand. Each is a regression test of the real code, and the one that catches the
 * mutation which names it.
 */
import type { Action } from "./Actions.ts"
import { allSteps } from "./Actions.ts"
import type { LogRecord, Scenario } from "./Scenario.ts"
import { makeRecord, smallSettings } from "./Scenario.ts"

export interface NamedScenario {
  readonly name: string
  readonly scenario: Scenario
}

const read = (records: number): Action => ({ do: "read", records })
const flush: Action = { do: "flush", steps: allSteps }
const writeStep: Action = { do: "flush", steps: 1 }
const succeed: Action = { do: "succeed" }
/** The owner that started as number so many has the turn. */
const turn = (owner: number): Action => ({ do: "turn", owner })
/** Writes so many steps and dies while the next is on its way; of all its rows, those with the numbers given land. */
const die = (steps: number, ...rows: ReadonlyArray<number>): Action => ({
  do: "die",
  steps,
  lands: rows.reduce((lands, row) => lands | (1 << row), 0)
})

/** Clicks of one partition. */
const clicks = (
  places: ReadonlyArray<readonly [visitor: number, unit: number, item?: number]>
): ReadonlyArray<LogRecord> => {
  const appendedUnit = Math.max(...places.map(([, unit]) => unit))
  return places.map(([visitor, unit, item = 0], number) =>
    makeRecord({ number, offset: number, appendedUnit, unit, visitor, id: `e${number}`, kind: 0, item })
  )
}

export const namedScenarios: ReadonlyArray<NamedScenario> = [
  {
    // The later session has the lower offset, so its old row alone does not reach back to the events of the earlier one.
    name: "dies when the tombstone of the earlier session has landed, but not the row of the merged one",
    scenario: {
      settings: smallSettings(100),
      log: [clicks([[0, 100], [0, 60], [0, 80]]), []],
      actions: [read(2), flush, read(1), die(1, 1)]
    }
  },
  {
    // The absorbed session began so long ago that its start alone would be out of reach; its end, and the merged range, are not.
    name: "dies when only the tombstone of a long session has landed, whose start is out of reach",
    scenario: {
      settings: smallSettings(100),
      log: [clicks([[0, 200], [0, 110], [0, 135], [0, 160], [2, 245], [0, 180]]), []],
      actions: [read(5), flush, read(1), die(1, 1)]
    }
  },
  {
    // The next owner meets the click that raises the finding and the one that withdraws it in the same flush.
    name: "dies when a raised finding has landed, and the next one withdraws it before its first flush",
    scenario: {
      settings: smallSettings(30),
      log: [clicks([[0, 100, 1], [0, 101, 1], [0, 102, 1], [0, 103, 2]]), []],
      actions: [read(3), die(2)]
    }
  },
  {
    // Merged by then: the second event at the end of the later session carries the id of the earlier one.
    name: "takes a session back whose two last events, from both sides of a merge, have the same time",
    scenario: {
      settings: smallSettings(30),
      log: [clicks([[0, 100], [0, 140], [0, 120], [0, 140], [0, 125]]), []],
      actions: [read(4), flush, die(0)]
    }
  },
  {
    name: "still writes a session of its old flush after its successor has merged it away",
    scenario: {
      settings: smallSettings(30),
      log: [clicks([[0, 100], [0, 140], [0, 120]]), []],
      actions: [read(2), writeStep, succeed, read(3), flush, turn(0), flush]
    }
  },
  {
    name: "takes a session back whose two halves, from both sides of a merge, lie exactly the gap apart",
    scenario: {
      settings: smallSettings(30),
      log: [clicks([[0, 100], [0, 145], [0, 115], [0, 120]]), []],
      actions: [read(3), flush, die(0)]
    }
  }
]
