/**
 * The recent clicks of a busy visitor, in time order, and the findings that can still change. Most visitors never have enough
 * clicks for any window and never get this: theirs stay in the `ClickRing`. From the threshold on, a window is counted by its
 * finding, not by scans.
 */
import type { EpochMillis, VisitorId } from "../domain/Identifiers.ts"
import type { CoreSettings } from "../domain/Settings.ts"
import { longestWindowMs } from "../domain/Settings.ts"
import type { Click, ClickHistory } from "./ClickHistory.ts"
import { Finding } from "./Finding.ts"
import { noItem } from "./ItemHash.ts"
import { botLike } from "./rules/BotLike.ts"
import { highFrequency } from "./rules/HighFrequency.ts"
import type { Rule } from "./rules/Rule.ts"

/** The rules, in the order in which findings are raised. */
export const rules: ReadonlyArray<Rule> = [highFrequency, botLike]

/** The rules with their settings worked out, once per partition. */
export interface RuleBook {
  readonly settings: CoreSettings
  readonly longestWindowMs: number
  /** The lowest threshold of all rules: with at most this many clicks retained nothing needs a look. */
  readonly clicksBelow: number
  readonly entries: ReadonlyArray<
    { readonly rule: Rule; readonly windowMs: number; readonly slideMs: number; readonly clicksBelow: number }
  >
}

export const makeRuleBook = (settings: CoreSettings): RuleBook => ({
  settings,
  longestWindowMs: longestWindowMs(settings),
  clicksBelow: Math.min(...rules.map((rule) => rule.clicksBelow(settings))),
  entries: rules.map((rule) => ({
    rule,
    windowMs: rule.windowMs(settings),
    slideMs: rule.slideMs(settings),
    clicksBelow: rule.clicksBelow(settings)
  }))
})

/** The clicks of one visitor who has more than the least threshold of them. */
export class Clicks {
  readonly #times: Array<number>
  /** `ItemHash` numbers. */
  readonly #items: Array<number>
  /** By rule: findings by window start. */
  #open: Array<Map<number, Finding>> | undefined = undefined
  #openSweptAt = 0
  /** What was read back: windows that reach into it are judged when a click comes into them. */
  #past: ClickHistory | undefined = undefined

  /** From the clicks so far, in time order. */
  private constructor(times: Array<number>, items: Array<number>) {
    this.#times = times
    this.#items = items
  }

  /** From clicks in any order, none of which made a rule look. */
  static of(clicks: ReadonlyArray<{ readonly eventTs: number; readonly item: number }>): Clicks {
    const sorted = clicks.toSorted((a, b) => a.eventTs - b.eventTs)
    return new Clicks(sorted.map(({ eventTs }) => eventTs), sorted.map(({ item }) => item))
  }

  /** From what was read back, in time order. */
  static restored(past: ClickHistory): Clicks {
    const clicks = new Clicks(
      Array.from(past.times.subarray(0, past.size)),
      Array.from(past.items.subarray(0, past.size))
    )
    clicks.#past = past
    return clicks
  }

  /**
   * Counts a click. Calls `changed` for each finding that has a new state to write.
   * @param seenFrom watermark - lateness: windows that end at or before it cannot change any more.
   */
  add(book: RuleBook, visitorId: VisitorId, click: Click, seenFrom: number, changed: (finding: Finding) => void): void {
    this.#forget(seenFrom - book.longestWindowMs)
    this.#insert(click)
    if (this.#past !== undefined && this.#past.times[this.#past.size - 1]! < seenFrom - book.longestWindowMs) {
      this.#past = undefined
    }
    for (let r = 0; r < book.entries.length; r++) {
      const { clicksBelow, rule, slideMs, windowMs } = book.entries[r]!
      for (
        let start = Math.floor(click.eventTs / slideMs) * slideMs;
        start + windowMs > click.eventTs;
        start -= slideMs
      ) {
        let finding = this.#open?.[r]!.get(start)
        if (finding === undefined) {
          if (start + windowMs <= seenFrom || this.#count(start, start + windowMs) <= clicksBelow) continue
          finding = new Finding(rule, visitorId, start as EpochMillis, (start + windowMs) as EpochMillis)
          if (this.#replay(finding, clicksBelow, book.settings)) count(finding, click.item)
          else this.#countAll(finding)
          this.#open ??= book.entries.map(() => new Map())
          this.#open[r]!.set(start, finding)
        } else {
          count(finding, click.item)
        }
        if (judge(finding, click, book.settings)) changed(finding)
      }
    }
    if (this.#open !== undefined && seenFrom > this.#openSweptAt + book.longestWindowMs) this.#sweep(seenFrom)
  }

  #insert(click: Click): void {
    const times = this.#times
    const last = times.length - 1
    if (last < 0 || times[last]! <= click.eventTs) {
      times.push(click.eventTs)
      this.#items.push(click.item)
    } else {
      const at = lowerBound(times, click.eventTs + 1)
      times.splice(at, 0, click.eventTs)
      this.#items.splice(at, 0, click.item)
    }
  }

  /** Drops clicks before `from`, once they are half of all: each is moved at most once per time it is dropped. */
  #forget(from: number): void {
    const times = this.#times
    if (times.length === 0 || times[times.length >> 1]! >= from) return
    const count = lowerBound(times, from)
    times.splice(0, count)
    this.#items.splice(0, count)
  }

  #count(from: number, to: number): number {
    const times = this.#times
    return lowerBound(times, to) - lowerBound(times, from)
  }

  /** Counts all clicks of a window that no rule has looked at. */
  #countAll(finding: Finding): void {
    const end = lowerBound(this.#times, finding.windowEnd)
    for (let i = lowerBound(this.#times, finding.windowStart); i < end; i++) count(finding, this.#items[i]!)
  }

  /**
   * Judges a window as it was judged before: by the clicks that were read back, as they came. False when they were too few for
   * any verdict. There are no others in the window then but the one that opens it: each later one would have.
   */
  #replay(finding: Finding, clicksBelow: number, settings: CoreSettings): boolean {
    const past = this.#past
    if (past === undefined) return false
    const times = past.times.subarray(0, past.size)
    const from = lowerBound(times, finding.windowStart)
    const to = lowerBound(times, finding.windowEnd)
    if (to - from <= clicksBelow) return false
    const asTheyCame = Array.from({ length: to - from }, (_, i) => from + i)
      .sort((a, b) => past.offsets[a]! - past.offsets[b]!)
    for (const i of asTheyCame) {
      count(finding, past.items[i]!)
      if (finding.clicks > clicksBelow) judge(finding, past.at(i), settings)
    }
    return true
  }

  #sweep(seenFrom: number): void {
    this.#openSweptAt = seenFrom
    for (const findings of this.#open!) {
      for (const [start, finding] of findings) if (finding.windowEnd <= seenFrom) findings.delete(start)
    }
  }
}

const count = (finding: Finding, item: number): void => {
  finding.clicks++
  if (item !== noItem) finding.items.add(item)
}

/** Brings the verdict up to date with a click that is already counted; true when there is a row to write. */
const judge = (finding: Finding, click: Click, settings: CoreSettings): boolean => {
  const stands = finding.rule.stands(finding.clicks, finding.items.size, settings)
  if (stands && !finding.standing) {
    finding.foundAtOffset = click.offset
    finding.foundAppendedAt = click.appendedAt
    finding.raised = true
  }
  finding.standing = stands
  finding.sessionId = click.sessionId
  finding.version = click.offset + 1
  return finding.raised
}

/** Index of the first time >= `from`. */
const lowerBound = (times: ArrayLike<number>, from: number): number => {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (times[middle]! < from) low = middle + 1
    else high = middle
  }
  return low
}
