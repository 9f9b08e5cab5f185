/**
 * Who clicks enough for the rules to look: recent clicks of all visitors in one ring, and `Clicks` for those few that have more of
 * them than the least threshold.
 */
import type { EpochMillis } from "../domain/Identifiers.ts"
import type { ClickHistory } from "./ClickHistory.ts"
import { ClickRing } from "./ClickRing.ts"
import type { RuleBook } from "./Clicks.ts"
import { Clicks } from "./Clicks.ts"
import type { VisitorTable } from "./VisitorTable.ts"

/** Instead of a count in the visitor's row: it has `Clicks`. */
const busy = -1

export class ClickCounts {
  readonly #visitors: VisitorTable
  readonly #clicksBelow: number
  readonly #ring: ClickRing
  readonly #busy = new Map<number, Clicks>()

  constructor(visitors: VisitorTable, rules: Pick<RuleBook, "clicksBelow">, ring = new ClickRing()) {
    this.#visitors = visitors
    this.#clicksBelow = rules.clicksBelow
    this.#ring = ring
  }

  /**
   * Notes a click. Gives the visitor's clicks before it when there are enough of them for some rule: the caller adds this one.
   * @param item `ItemHash` number
   * @param recentFrom event time before which no rule needs a click
   */
  note(visitor: number, eventTs: EpochMillis, item: number, recentFrom: number): Clicks | undefined {
    const visitors = this.#visitors
    if (visitors.clicksAtMost(visitor) === busy) return this.#busy.get(visitor)!
    const before = visitors.clicksAtMost(visitor)
    // A row has room for the lower half of a sequence number.
    const previous = before === 0 ? -1 : this.#ring.sequenceOf(visitors.click(visitor))
    const newest = this.#ring.add(eventTs, item, previous, recentFrom)
    visitors.setClick(visitor, newest)
    const atMost = before + 1
    visitors.setClicksAtMost(visitor, atMost)
    if (atMost <= this.#clicksBelow) return undefined
    const exactly = this.#ring.count(newest, recentFrom)
    visitors.setClicksAtMost(visitor, exactly)
    if (exactly <= this.#clicksBelow) return undefined
    const clicks = this.#before(newest)
    this.#busy.set(visitor, clicks)
    visitors.setClicksAtMost(visitor, busy)
    return clicks
  }

  /** Takes the clicks of a visitor back that has none here yet. */
  restore(visitor: number, history: ClickHistory, recentFrom: number): void {
    const past = history.inTimeOrder(recentFrom)
    if (past.size > this.#clicksBelow) {
      this.#busy.set(visitor, Clicks.restored(past))
      this.#visitors.setClicksAtMost(visitor, busy)
    } else {
      for (let i = 0; i < past.size; i++) {
        this.note(visitor, past.times[i]! as EpochMillis, past.items[i]!, recentFrom)
      }
    }
  }

  drop(visitor: number): void {
    this.#busy.delete(visitor)
  }

  #before(newest: number): Clicks {
    const clicks: Array<{ eventTs: number; item: number }> = []
    this.#ring.each(newest, (eventTs, item) => clicks.push({ eventTs, item }))
    return Clicks.of(clicks.slice(1))
  }
}
