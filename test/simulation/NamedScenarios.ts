/**
 * Meetings that chance brings about too seldom, by hand. Each is a regression test of the real code, and the one that catches the
 * mutation which names it.
 */
import type { LogRecord, Scenario } from "./Scenario.ts"
import { makeRecord, smallSettings } from "./Scenario.ts"

export interface NamedScenario {
  readonly name: string
  readonly scenario: Scenario
}

/** Decisions of `simulate`: the numbers that it draws for an action, of the first owner unless said. */
const read = (records: number, owner = 0): ReadonlyArray<number> => [owner, 0, records - 1]
const cut = (owner = 0): ReadonlyArray<number> => [owner, 5]
/** Writes so many blocks; more than there are do nothing. */
const write = (blocks: number, owner = 0): ReadonlyArray<number> =>
  Array.from({ length: blocks }, () => [owner, 7]).flat()
const flush = (owner = 0): ReadonlyArray<number> => [...cut(owner), ...write(10, owner)]
/** Dies while the next block is on its way; of its rows, one by one, those marked land. */
const die = (...lands: ReadonlyArray<boolean>): ReadonlyArray<number> => [
  0,
  15,
  ...lands.map((landed, row) => landed ? row % 2 : 1 - row % 2)
]
/** Another owner starts, while the first one lives on. */
const succeed: ReadonlyArray<number> = [0, 18]

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
      decisions: [read(2), flush(), read(1), cut(), write(1), die(false, true)].flat()
    }
  },
  {
    // The absorbed session began so long ago that its start alone would be out of reach; its end, and the merged range, are not.
    name: "dies when only the tombstone of a long session has landed, whose start is out of reach",
    scenario: {
      settings: smallSettings(100),
      log: [clicks([[0, 200], [0, 110], [0, 135], [0, 160], [2, 245], [0, 180]]), []],
      decisions: [read(5), flush(), read(1), cut(), write(1), die(false, true)].flat()
    }
  },
  {
    // The next owner meets the click that raises the finding and the one that withdraws it in the same flush.
    name: "dies when a raised finding has landed, and the next one withdraws it before its first flush",
    scenario: {
      settings: smallSettings(30),
      log: [clicks([[0, 100, 1], [0, 101, 1], [0, 102, 1], [0, 103, 2]]), []],
      decisions: [read(3), cut(), write(3), die()].flat()
    }
  },
  {
    // Merged by then: the second event at the end of the later session carries the id of the earlier one.
    name: "takes a session back whose two last events, from both sides of a merge, have the same time",
    scenario: {
      settings: smallSettings(30),
      log: [clicks([[0, 100], [0, 140], [0, 120], [0, 140], [0, 125]]), []],
      decisions: [read(4), flush(), die()].flat()
    }
  },
  {
    name: "still writes a session of its old flush after its successor has merged it away",
    scenario: {
      settings: smallSettings(30),
      log: [clicks([[0, 100], [0, 140], [0, 120]]), []],
      decisions: [read(2), cut(), write(1), succeed, read(3, 1), flush(1), write(10)].flat()
    }
  },
  {
    name: "takes a session back whose two halves, from both sides of a merge, lie exactly the gap apart",
    scenario: {
      settings: smallSettings(30),
      log: [clicks([[0, 100], [0, 145], [0, 115], [0, 120]]), []],
      decisions: [read(3), flush(), die()].flat()
    }
  }
]
