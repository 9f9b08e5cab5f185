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

/** One line of a history as fast-check draws it. */
interface Draft {
  readonly visitor: number
  /** Units that the clock moves on before this event. */
  readonly advance: number
  /** Units that the event lies behind the clock. */
  readonly behind: number
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
    { weight: 4, arbitrary: fc.nat(50) }
  ),
  kind: fc.nat(31),
  id: fc.oneof({ weight: 3, arbitrary: fc.constant(99) }, { weight: 1, arbitrary: fc.nat(3) }),
  item: fc.nat(5)
})

const settings: fc.Arbitrary<CoreSettings> = fc.constantFrom(10, 30, 45).map((lateness) => ({
  ...defaultCoreSettings,
  gapMs: 30 * unitMs,
  latenessMs: lateness * unitMs,
  futureMaxMs: 60 * unitMs,
  highFrequencyClicks: 2,
  highFrequencyWindowMs: 6 * unitMs,
  botLikeClicks: 2,
  botLikeWindowMs: 20 * unitMs,
  botLikeSlideMs: 10 * unitMs,
  botLikeDiversity: 0.5
}))

export const scenario: fc.Arbitrary<Scenario> = fc.record({
  settings,
  drafts: fc.noBias(fc.array(draft, { minLength: 1, maxLength: 40, size: "max" })),
  decisions: fc.noBias(fc.array(fc.nat(9_999), { minLength: 0, maxLength: 200, size: "max" }))
}).map(({ decisions, drafts, settings }) => ({ settings, decisions, log: write(drafts) }))

const currencies = ["", "USD", "EUR", "CHF"]

const write = (drafts: ReadonlyArray<Draft>): ReadonlyArray<ReadonlyArray<LogRecord>> => {
  const log: Array<Array<LogRecord>> = Array.from({ length: partitions }, () => [])
  let clock = 0
  for (const [i, { advance, behind, id, item, kind, visitor }] of drafts.entries()) {
    clock += advance
    const records = log[visitor % partitions]!
    const offset = records.length as Offset
    const appendedAt = epoch + (clock + 60) * unitMs as EpochMillis
    const eventTs = kind === 31 ? epoch + (clock + 500) * unitMs : epoch + (clock - behind + 50) * unitMs
    const event: ClickEvent = {
      eventId: (id === 99 ? `e${i}` : `again${id}`) as EventId,
      visitorId: `v${visitor}` as VisitorId,
      eventTs: eventTs as EpochMillis,
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
      url: `/u${i}`,
      referrer: `/r${i}`,
      userAgent: `a${i}`,
      properties: {},
      truncated: false
    }
    records.push({ offset, appendedAt, event: kind === 30 ? undefined : event })
  }
  return log
}
