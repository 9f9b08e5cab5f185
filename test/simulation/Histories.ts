/**
 * How chance writes a log. Five kinds of history: a wide one, and four with few visitors that keep to the places where mistakes
 * meet: merges with equal times and exact gaps, the bounds that lateness draws, windows with just about enough clicks, motifs.
 */
import * as fc from "fast-check"
import type { CoreSettings } from "../../src/domain/Settings.ts"
import { motif } from "./Motifs.ts"
import type { LogRecord } from "./Scenario.ts"
import { controlKind, gapUnits, makeRecord, partitions, unitMs } from "./Scenario.ts"

/** One line of a history as fast-check draws it. */
export interface Draft {
  readonly visitor: number
  readonly place: ByClock | ByAnchor
  readonly kind: number
  /** 99: an id of its own. */
  readonly id: number
  readonly item: number
}

export interface ByClock {
  /** Units that the clock moves on before this event. */
  readonly advance: number
  /** Units that the event lies behind the clock. */
  readonly behind: number
}

/** So many gaps, latenesses and units from a latest event. Equal times and exact bounds hide from chance. */
export interface ByAnchor {
  /** An event of the visitor, one of its partition, or the one that set the partition's watermark. */
  readonly of: "visitor" | "partition" | "watermark"
  /** How many events back. */
  readonly back: number
  readonly gaps: number
  readonly latenesses: number
  readonly units: number
}

/** @returns the log by partition */
export const writeLog = (
  drafts: ReadonlyArray<Draft>,
  settings: CoreSettings
): ReadonlyArray<ReadonlyArray<LogRecord>> => {
  const log: Array<Array<LogRecord>> = Array.from({ length: partitions }, () => [])
  const places = new Places(settings.latenessMs / unitMs)
  for (const [number, { id, item, kind, place, visitor }] of drafts.entries()) {
    const unit = places.find(visitor, place)
    const records = log[visitor % partitions]!
    records.push(
      makeRecord({
        number,
        offset: records.length,
        appendedUnit: places.clock + 10,
        unit: kind === farFuture ? places.clock + 450 : unit,
        visitor,
        id: id === 99 ? `e${number}` : `again${id}`,
        kind,
        item
      })
    )
  }
  return log
}

/** Where the events of a history lie, in units. */
class Places {
  /** Latest place so far. */
  clock = 0
  readonly #latenessUnits: number
  readonly #ofVisitor = new Map<number, Array<number>>()
  readonly #ofPartition = new Map<number, Array<number>>()

  constructor(latenessUnits: number) {
    this.#latenessUnits = latenessUnits
  }

  find(visitor: number, draft: Draft["place"]): number {
    const own = listOf(this.#ofVisitor, visitor)
    const all = listOf(this.#ofPartition, visitor % partitions)
    let place: number
    if ("of" in draft) {
      const from = draft.of === "visitor" ? own : all
      const anchor = from.length === 0 ?
        this.clock :
        draft.of === "watermark" ?
        Math.max(...from) :
        from.at(-1 - draft.back % from.length)!
      place = anchor + draft.gaps * gapUnits + draft.latenesses * this.#latenessUnits + draft.units
    } else {
      this.clock += draft.advance
      place = this.clock - draft.behind
    }
    own.push(place)
    all.push(place)
    this.clock = Math.max(this.clock, place)
    return place
  }
}

const listOf = (lists: Map<number, Array<number>>, key: number): Array<number> => {
  const list = lists.get(key) ?? []
  lists.set(key, list)
  return list
}

/** A kind of record: its event lies too far in the future. The others are numbered by `makeRecord`. */
const farFuture = 31
const anyKind = fc.nat(controlKind)
const clickKind = fc.constant(0)
const fewOthers = fc.oneof({ weight: 3, arbitrary: clickKind }, { weight: 1, arbitrary: anyKind })

const ownId = fc.constant(99)
const someAgain = fc.oneof({ weight: 3, arbitrary: ownId }, { weight: 1, arbitrary: fc.nat(3) })
const fewAgain = fc.oneof({ weight: 9, arbitrary: ownId }, { weight: 1, arbitrary: fc.nat(1) })

const anyItem = fc.oneof(fc.nat(1), fc.nat(5))

const anchored = (of: ByAnchor["of"], from: {
  readonly back: number
  readonly gaps: ReadonlyArray<number>
  readonly latenesses: ReadonlyArray<number>
  readonly units: ReadonlyArray<number>
}): fc.Arbitrary<ByAnchor> =>
  fc.record({
    of: fc.constant(of),
    back: fc.nat(from.back),
    gaps: fc.constantFrom(...from.gaps),
    latenesses: fc.constantFrom(...from.latenesses),
    units: fc.constantFrom(...from.units)
  })

const oneMs = 1 / unitMs

/** Units around an exact bound. */
const near = [0, 0, 0, 0, 1, -1, oneMs, -oneMs]

/** A bit of everything. */
const wide: fc.Arbitrary<Draft> = fc.record({
  visitor: fc.constantFrom(0, 0, 0, 1, 1, 2, 3),
  place: fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({
        advance: fc.oneof(
          { weight: 4, arbitrary: fc.nat(2) },
          { weight: 3, arbitrary: fc.integer({ min: 3, max: 16 }) },
          { weight: 2, arbitrary: fc.integer({ min: 17, max: 45 }) }
        ),
        behind: fc.oneof(
          { weight: 4, arbitrary: fc.constant(0) },
          { weight: 3, arbitrary: fc.nat(11) },
          { weight: 3, arbitrary: fc.nat(50) },
          { weight: 1, arbitrary: fc.nat(105) }
        )
      })
    },
    { weight: 1, arbitrary: anchored("visitor", { back: 7, gaps: [0, 1, -1], latenesses: [0], units: near }) }
  ),
  kind: anyKind,
  id: someAgain,
  item: anyItem
})

/** Half gaps, so that two sessions meet at an event between them, or exactly at its gap; mostly one visitor. */
const merging: fc.Arbitrary<Draft> = fc.record({
  visitor: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 2),
  place: fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        advance: fc.constantFrom(0, 0, 0, 15, 15, 30, 45, 60),
        behind: fc.constantFrom(0, 0, 15, 30, 30, 45, 60, 75, 90)
      })
    },
    {
      weight: 1,
      arbitrary: anchored("visitor", {
        back: 3,
        gaps: [0, 0, 0.5, -0.5, 1, -1, 1.5, -1.5],
        latenesses: [0],
        units: near
      })
    },
    { weight: 1, arbitrary: anchored("watermark", { back: 0, gaps: [0, 1, 2], latenesses: [-1], units: near }) }
  ),
  kind: fewOthers,
  id: fewAgain,
  item: anyItem
})

/** At the bounds of lateness and reach, to the millisecond; the watermark is moved by another visitor of the partition, too. */
const bounded: fc.Arbitrary<Draft> = fc.record({
  visitor: fc.constantFrom(0, 0, 0, 2, 2, 1),
  place: fc.oneof(
    { weight: 2, arbitrary: anchored("watermark", { back: 0, gaps: [0], latenesses: [-1, -1, 0], units: near }) },
    { weight: 2, arbitrary: anchored("partition", { back: 3, gaps: [0, 1], latenesses: [0, 1], units: near }) },
    { weight: 3, arbitrary: anchored("visitor", { back: 3, gaps: [0, 0.5, 1, -1], latenesses: [0], units: near }) },
    { weight: 2, arbitrary: fc.record({ advance: fc.nat(25), behind: fc.nat(100) }) }
  ),
  kind: fewOthers,
  id: someAgain,
  item: anyItem
})

/** Clicks of a visitor or two within few windows, on few items: findings come and go with each of them. */
const clicking: fc.Arbitrary<Draft> = fc.record({
  visitor: fc.constantFrom(0, 0, 0, 0, 2),
  place: fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ advance: fc.constantFrom(0, 0, 1, 1, 2, 5), behind: fc.constantFrom(0, 0, 0, 3, 8, 15) })
    },
    { weight: 1, arbitrary: anchored("watermark", { back: 0, gaps: [0], latenesses: [-1, 1], units: near }) },
    { weight: 1, arbitrary: fc.record({ advance: fc.nat(40), behind: fc.nat(60) }) }
  ),
  kind: fewOthers,
  id: fewAgain,
  item: fc.constantFrom(1, 1, 1, 2, 3, 0)
})

const draftsOf = <A>(draft: fc.Arbitrary<A>, maxLength: number): fc.Arbitrary<ReadonlyArray<A>> =>
  fc.noBias(fc.array(draft, { minLength: 1, maxLength, size: "max" }))

const single = (draft: fc.Arbitrary<Draft>): fc.Arbitrary<ReadonlyArray<Draft>> => draft.map((each) => [each])

/** Motifs, with other events in between. */
const composed: fc.Arbitrary<ReadonlyArray<Draft>> = draftsOf(
  fc.oneof(single(bounded), single(merging), motif, motif),
  10
)
  .map((parts) => parts.flat())

export const drafts: fc.Arbitrary<ReadonlyArray<Draft>> = fc.oneof(
  { weight: 2, arbitrary: draftsOf(wide, 40) },
  { weight: 2, arbitrary: draftsOf(merging, 24) },
  { weight: 2, arbitrary: draftsOf(bounded, 24) },
  { weight: 2, arbitrary: draftsOf(clicking, 24) },
  { weight: 3, arbitrary: composed }
)
