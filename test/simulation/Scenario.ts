/**
 * A scenario: settings, a log, and a list of small numbers from which every decision of the run is taken. fast-check makes and
 * shrinks all three; the same scenario always runs the same way.
 *
 * Times are in units of one hour, so that a gap of 30 units crosses days; windows and thresholds are small, so that rare
 * meetings are common.
 */
import * as fc from "fast-check"
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import type { EpochMillis, EventId, Offset, VisitorId } from "../../src/domain/Identifiers.ts"
import type { Price } from "../../src/domain/Money.ts"
import type { CoreSettings } from "../../src/domain/Settings.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"

export interface LogRecord {
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  /** Undefined: bytes that do not decode. */
  readonly event: ClickEvent | undefined
}

export interface Scenario {
  readonly settings: CoreSettings
  /** By partition. */
  readonly log: ReadonlyArray<ReadonlyArray<LogRecord>>
  readonly decisions: ReadonlyArray<number>
}

export const unitMs = 3_600_000
const epoch = Date.UTC(2024, 0, 1)
const partitions = 2
const gapUnits = 30

/** One line of a history as fast-check draws it. */
interface Draft {
  readonly visitor: number
  /** Units that the clock moves on before this event. */
  readonly advance: number
  /** Units that the event lies behind the clock. */
  readonly behind: number
  /** Instead: exactly so many units from one of the visitor's latest events. Equal times and exact gaps hide from chance. */
  readonly anchor: { readonly back: number; readonly units: number } | undefined
  readonly kind: number
  readonly id: number
  readonly item: number
}

const draft: fc.Arbitrary<Draft> = fc.record({
  visitor: fc.constantFrom(0, 0, 0, 1, 1, 2, 3),
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
  ),
  anchor: fc.oneof(
    { weight: 2, arbitrary: fc.constant(undefined) },
    {
      weight: 1,
      arbitrary: fc.record({
        back: fc.nat(7),
        units: fc.constantFrom(0, 0, gapUnits, -gapUnits, gapUnits + 1, -gapUnits - 1)
      })
    }
  ),
  kind: fc.nat(31),
  id: fc.oneof({ weight: 3, arbitrary: fc.constant(99) }, { weight: 1, arbitrary: fc.nat(3) }),
  item: fc.oneof(fc.nat(1), fc.nat(5))
})

/** @param lateness units */
export const smallSettings = (lateness: number): CoreSettings => ({
  ...defaultCoreSettings,
  gapMs: gapUnits * unitMs,
  latenessMs: lateness * unitMs,
  futureMaxMs: 60 * unitMs,
  highFrequencyClicks: 2,
  highFrequencyWindowMs: 6 * unitMs,
  botLikeClicks: 2,
  botLikeWindowMs: 20 * unitMs,
  botLikeSlideMs: 10 * unitMs,
  botLikeDiversity: 0.5
})
const settings = fc.constantFrom(10, gapUnits, 45, 100).map(smallSettings)

export const scenario: fc.Arbitrary<Scenario> = fc.record({
  settings,
  drafts: fc.noBias(fc.array(draft, { minLength: 1, maxLength: 40, size: "max" })),
  decisions: fc.noBias(fc.array(fc.nat(9_999), { minLength: 0, maxLength: 200, size: "max" }))
}).map(({ decisions, drafts, settings }) => ({ settings, decisions, log: write(drafts) }))

const currencies = ["", "USD", "EUR", "CHF"]

const write = (drafts: ReadonlyArray<Draft>): ReadonlyArray<ReadonlyArray<LogRecord>> => {
  const log: Array<Array<LogRecord>> = Array.from({ length: partitions }, () => [])
  /** Units at which each visitor's events lie. */
  const placesOf = new Map<number, Array<number>>()
  let clock = 0
  for (const [i, { advance, anchor, behind, id, item, kind, visitor }] of drafts.entries()) {
    const places = placesOf.get(visitor) ?? []
    placesOf.set(visitor, places)
    const isAnchored = anchor !== undefined && places.length > 0
    if (!isAnchored) clock += advance
    const place = isAnchored ? places.at(-1 - anchor.back % places.length)! + anchor.units : clock - behind
    places.push(place)
    clock = Math.max(clock, place)
    const records = log[visitor % partitions]!
    records.push(
      makeRecord({
        number: i,
        offset: records.length,
        appendedUnit: clock + 10,
        unit: kind === 31 ? clock + 450 : place,
        visitor,
        id: id === 99 ? `e${i}` : `again${id}`,
        kind,
        item
      })
    )
  }
  return log
}

export interface RecordFields {
  /** Of the record in the scenario: texts that come from it tell records apart. */
  readonly number: number
  readonly offset: number
  readonly appendedUnit: number
  readonly unit: number
  readonly visitor: number
  readonly id: string
  /** 0-17 click, 18-21 view, 22-24 cart, 25-28 purchase, 29 search, 30 undecodable, 31 search. */
  readonly kind: number
  /** 0: none. */
  readonly item: number
}

export const makeRecord = (fields: RecordFields): LogRecord => {
  const { appendedUnit, id, item, kind, number, offset, unit, visitor } = fields
  const event: ClickEvent = {
    eventId: id as EventId,
    visitorId: `v${visitor}` as VisitorId,
    eventTs: timeOf(unit),
    eventType: kind < 18 ?
      "click" :
      kind < 22 ?
      "view" :
      kind < 25 ?
      "add_to_cart" :
      kind < 29 ?
      "purchase" :
      "search",
    itemId: item === 0 ? "" : `i${item}`,
    category: "",
    price: (kind * 12_345) as Price,
    currency: currencies[item % 4]!,
    quantity: 1 + item,
    url: `/u${number}`,
    referrer: `/r${number}`,
    userAgent: `a${number}`,
    properties: {},
    truncated: false
  }
  return {
    offset: offset as Offset,
    appendedAt: timeOf(appendedUnit),
    event: kind === 30 ? undefined : event
  }
}

const timeOf = (unit: number): EpochMillis => epoch + (unit + 50) * unitMs as EpochMillis
