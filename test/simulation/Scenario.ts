/**
 * A scenario: settings, a log, and the actions of a run. fast-check makes and shrinks all three; the same scenario always runs
 * the same way.
 *
 * Times are in units of one hour, so that a gap of 30 units crosses days; windows and thresholds are small, so that rare
 * meetings are common.
 */
import type { ClickEvent } from "../../src/domain/ClickEvent.ts"
import type { EpochMillis, EventId, Offset, VisitorId } from "../../src/domain/Identifiers.ts"
import type { Price } from "../../src/domain/Money.ts"
import type { CoreSettings } from "../../src/domain/Settings.ts"
import { defaultCoreSettings } from "../../src/domain/Settings.ts"
import type { Action } from "./Actions.ts"

export interface LogRecord {
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  /** Undefined: bytes that do not decode, or a control record. */
  readonly event: ClickEvent | undefined
  /** Of a control record: what the watermark is at least. */
  readonly control?: number | undefined
}

export interface Scenario {
  readonly settings: CoreSettings
  /** By partition. */
  readonly log: ReadonlyArray<ReadonlyArray<LogRecord>>
  readonly actions: ReadonlyArray<Action>
}

export const unitMs = 3_600_000
const epoch = Date.UTC(2024, 0, 1)
export const partitions = 2
export const gapUnits = 30

/** @param lateness units */
export const smallSettings = (lateness: number, botLikeWindow = 20): CoreSettings => ({
  ...defaultCoreSettings,
  gapMs: gapUnits * unitMs,
  latenessMs: lateness * unitMs,
  futureMaxMs: 60 * unitMs,
  highFrequencyClicks: 2,
  highFrequencyWindowMs: 6 * unitMs,
  botLikeClicks: 2,
  botLikeWindowMs: botLikeWindow * unitMs,
  botLikeSlideMs: (botLikeWindow / 2) * unitMs,
  botLikeDiversity: 0.5
})

const currencies = ["", "USD", "EUR", "CHF"]

export interface RecordFields {
  /** Of the record in the scenario: texts that come from it tell records apart. */
  readonly number: number
  readonly offset: number
  readonly appendedUnit: number
  readonly unit: number
  readonly visitor: number
  readonly id: string
  /** 0-17 click, 18-21 view, 22-24 cart, 25-28 purchase, 29 search, 30 undecodable, 31 search, 32 control. */
  readonly kind: number
  /** 0: none. */
  readonly item: number
}

/** A kind of record that is no event. */
export const controlKind = 32

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
    event: kind === 30 || kind === controlKind ? undefined : event,
    control: kind === controlKind ? timeOf(unit) : undefined
  }
}

/** Parts of a unit are rounded to a millisecond. */
const timeOf = (unit: number): EpochMillis => Math.round(epoch + (unit + 50) * unitMs) as EpochMillis
