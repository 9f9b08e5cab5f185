/**
 * Makes the event of a row of fields, by a mapping that has been bound to the row's columns. The rules of a valid event are the
 * domain's: `fromJson` derives the id and cuts long texts, `violation` judges.
 */
import type { ClickEvent, EventJson } from "../../domain/ClickEvent.ts"
import { fromJson, quantityMax, violation } from "../../domain/ClickEvent.ts"
import { eventTypeOf } from "../../domain/EventTypeWord.ts"
import { parsePrice } from "../../domain/Money.ts"
import { Fault, quoted } from "./Fault.ts"
import type { Mapping, Rule } from "./Mapping.ts"
import { originalTypeProperty } from "./Mapping.ts"
import type { TimeFormat } from "./TimeFormat.ts"
import { timeFormat } from "./TimeFormat.ts"

/** The fields of one row, by the index that the binding gave to each column. "" is absent. */
export type Row = ReadonlyArray<string>

type Cell = (row: Row) => string

/** What `EventJson` gets, filled field by field. */
interface Draft {
  visitor_id: string
  event_ts: number
  event_type: string
  event_id?: string
  item_id?: string
  category?: string
  price?: string
  currency?: string
  quantity?: number
  url?: string
  referrer?: string
  user_agent?: string
  properties?: Record<string, string>
}

/** Optional texts that go into the event as they are. */
const plainTargets = ["event_id", "item_id", "category", "currency", "url", "referrer", "user_agent"] as const

export class EventBuilder {
  readonly #visitor: Cell
  readonly #time: Cell
  readonly #timeFormat: TimeFormat
  readonly #type: Cell
  readonly #price: Cell | undefined
  readonly #quantity: Cell | undefined
  readonly #plain: ReadonlyArray<readonly [(typeof plainTargets)[number], Cell]>
  readonly #properties: ReadonlyArray<readonly [string, Cell]>

  /** `columnIndex` places a column's name in the row. The mapping has all required targets, and a format for `event_ts`. */
  constructor(mapping: Mapping, columnIndex: (name: string) => number) {
    const rule = (target: string) => mapping.find((rule) => rule.target === target)
    const cell = (target: string) => {
      const found = rule(target)
      return found === undefined ? undefined : cellOf(found, columnIndex)
    }
    this.#visitor = cell("visitor_id")!
    this.#time = cell("event_ts")!
    this.#timeFormat = timeFormat(rule("event_ts")!.timeFormat!)
    this.#type = cell("event_type")!
    this.#price = cell("price")
    this.#quantity = cell("quantity")
    this.#plain = plainTargets.flatMap((target) => {
      const found = cell(target)
      return found === undefined ? [] : [[target, found] as const]
    })
    this.#properties = mapping.filter((rule) => rule.target.startsWith("properties."))
      .map((rule) => [rule.target.slice("properties.".length), cellOf(rule, columnIndex)] as const)
  }

  build(row: Row): ClickEvent | Fault {
    const visitor = this.#visitor(row)
    if (visitor === "") return new Fault("missing_visitor", "visitor_id is empty")
    const timeText = this.#time(row)
    const time = this.#timeFormat.parse(timeText)
    if (time === undefined) {
      return new Fault("invalid_time", `event_ts: ${quoted(timeText)} is no time of the form ${this.#timeFormat.text}`)
    }
    const typeText = this.#type(row)
    if (typeText === "") return new Fault("missing_event_type", "event_type is empty")
    const type = eventTypeOf(typeText)
    const draft: Draft = { visitor_id: visitor, event_ts: time, event_type: type }
    for (const [target, cell] of this.#plain) {
      const text = cell(row)
      if (text !== "") draft[target] = text
    }
    const fault = this.#money(row, draft)
    if (fault !== undefined) return fault
    if (this.#properties.length > 0) {
      // Entries, not assignments: a column may be called __proto__.
      draft.properties = Object.fromEntries(
        this.#properties.map(([name, cell]) => [name, cell(row)] as const).filter(([, text]) => text !== "")
      )
    }
    if (type !== typeText) draft.properties = { ...draft.properties, [originalTypeProperty]: typeText }
    const event = fromJson(draft as EventJson)
    const broken = violation(event)
    return broken === undefined ? event : new Fault("invalid_event", broken)
  }

  #money(row: Row, draft: Draft): Fault | undefined {
    const price = this.#price?.(row) ?? ""
    if (price !== "") {
      if (parsePrice(price) === undefined) {
        return new Fault("invalid_price", `price: ${quoted(price)} is no decimal >= 0 with at most 4 decimals`)
      }
      draft.price = price
    }
    const quantity = this.#quantity?.(row) ?? ""
    if (quantity !== "") {
      if (!/^\d{1,10}$/.test(quantity) || Number(quantity) > quantityMax) {
        return new Fault(
          "invalid_quantity",
          `quantity: ${quoted(quantity)} is no whole number from 0 to ${quantityMax}`
        )
      }
      draft.quantity = Number(quantity)
    }
    return undefined
  }
}

const cellOf = (rule: Rule, columnIndex: (name: string) => number): Cell => {
  if (rule.source.kind === "const") {
    const { value } = rule.source
    return () => value
  }
  const index = columnIndex(rule.source.name)
  const { translation } = rule
  if (translation === undefined) return (row) => row[index]!
  return (row) => translation.get(row[index]!) ?? row[index]!
}
