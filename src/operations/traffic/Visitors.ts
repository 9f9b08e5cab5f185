/**
 * The people in the shop. A fixed number of slots, each a visitor in a session; who leaves is replaced, mostly by someone new,
 * sometimes by someone who was here before and has been away for longer than a session's gap. Columns instead of objects: 200,000
 * visitors are a few megabytes.
 */
import type { VisitorId } from "../../domain/Identifiers.ts"
import type { Catalog } from "./Catalog.ts"
import { referrers, userAgents } from "./Catalog.ts"
import type { Random } from "./Random.ts"

/** Stages of a session: what the visitor does next. */
const landing = 0
const browsing = 1
const looking = 2
const putting = 3
const paying = 4
/** The session is over: `replace` the visitor. */
export const ended = 5

/** Where a session goes after each stage: cumulative chances of the next stages, in the order tried. */
const afterStage: ReadonlyArray<ReadonlyArray<readonly [chance: number, stage: number]>> = [
  [[0.30, ended], [1, browsing]],
  [[0.10, ended], [0.28, browsing], [1, looking]],
  [[0.12, ended], [0.36, putting], [1, browsing]],
  [[0.10, ended], [0.60, paying], [1, browsing]],
  [[0.65, ended], [1, browsing]]
]
const typeOfStage = ["view", "view", "click", "add_to_cart", "purchase"]

/** Share of replaced visitors who have been here before, as long as there are any. */
const returningShare = 0.25
/** Most visitors that are remembered as having left. */
const leftMax = 65_536
/** Share of visitors who pay in euros. */
const euroShare = 0.03

export class Visitors {
  readonly #random: Random
  readonly #count: number
  readonly #awayMs: number
  readonly #ids: Array<VisitorId>
  readonly #stages: Uint8Array
  readonly #items: Int32Array
  readonly #quantities: Uint8Array
  /** Index of the referrer, 255 once the first page has been seen. */
  readonly #referrers: Uint8Array
  readonly #userAgents: Uint8Array
  readonly #euros: Uint8Array
  /** Who left and when: a ring, oldest first. */
  readonly #leftIds: Array<VisitorId> = []
  readonly #leftAt = new Float64Array(leftMax)
  #leftFirst = 0
  #leftCount = 0

  constructor({ random, count, awayMs }: { random: Random; count: number; awayMs: number }) {
    this.#random = random
    this.#count = count
    this.#awayMs = awayMs
    this.#ids = []
    this.#stages = new Uint8Array(count)
    this.#items = new Int32Array(count)
    this.#quantities = new Uint8Array(count)
    this.#referrers = new Uint8Array(count)
    this.#userAgents = new Uint8Array(count)
    this.#euros = new Uint8Array(count)
    for (let slot = 0; slot < count; slot++) {
      this.#ids.push(drawVisitorId(random))
      this.#enter(slot)
    }
  }

  /** The slot that acts next. */
  draw(): number {
    return this.#random.below(this.#count)
  }

  /** Moves the visitor one step on and gives the type of the event; the other accessors then describe this event. */
  act(slot: number, catalog: Catalog): string {
    const random = this.#random
    const stage = this.#stages[slot]!
    if (stage === landing) {
      this.#items[slot] = random.fraction() < 0.4 ? -1 : catalog.popularity[random.below(catalog.popularity.length)]!
      this.#referrers[slot] = random.below(referrers.length)
    } else {
      this.#referrers[slot] = 255
      if (stage === browsing) this.#items[slot] = catalog.popularity[random.below(catalog.popularity.length)]!
      else if (stage === putting) this.#quantities[slot] = random.fraction() < 0.8 ? 1 : 2 + random.below(3)
    }
    const draw = random.fraction()
    for (const [chance, next] of afterStage[stage]!) {
      if (draw < chance) {
        this.#stages[slot] = next
        break
      }
    }
    return typeOfStage[stage]!
  }

  id(slot: number): VisitorId {
    return this.#ids[slot]!
  }

  stage(slot: number): number {
    return this.#stages[slot]!
  }

  /** Index of the item, or -1 on the home page. */
  item(slot: number): number {
    return this.#items[slot]!
  }

  quantity(slot: number): number {
    return this.#quantities[slot]!
  }

  currency(slot: number): string {
    return this.#euros[slot] === 1 ? "EUR" : "USD"
  }

  referrer(slot: number): string {
    const index = this.#referrers[slot]!
    return index === 255 ? "" : referrers[index]!
  }

  userAgent(slot: number): string {
    return userAgents[this.#userAgents[slot]!]!
  }

  /** The visitor may come back after `awayMs`. */
  rememberLeaving(slot: number, now: number): void {
    if (this.#leftCount === leftMax) return
    const last = (this.#leftFirst + this.#leftCount++) % leftMax
    this.#leftIds[last] = this.#ids[slot]!
    this.#leftAt[last] = now
  }

  /** Someone else takes the slot. */
  replace(slot: number, now: number): void {
    const returning = this.#random.fraction() < returningShare && this.#leftCount > 0 &&
      this.#leftAt[this.#leftFirst]! + this.#awayMs < now
    if (returning) {
      this.#ids[slot] = this.#leftIds[this.#leftFirst]!
      this.#leftFirst = (this.#leftFirst + 1) % leftMax
      this.#leftCount--
    } else this.#ids[slot] = drawVisitorId(this.#random)
    this.#enter(slot)
  }

  #enter(slot: number): void {
    this.#stages[slot] = landing
    this.#userAgents[slot] = this.#random.below(userAgents.length)
    this.#euros[slot] = this.#random.fraction() < euroShare ? 1 : 0
  }
}

const digits = Buffer.from("0123456789abcdef", "latin1")
const scratch = Buffer.alloc(16)

/** 16 hex digits. */
const drawVisitorId = (random: Random): VisitorId => {
  for (let at = 0; at < 16;) {
    let bits = random.int32()
    for (let digit = 0; digit < 8; digit++, bits >>>= 4) scratch[at++] = digits[bits & 15]!
  }
  return scratch.toString("latin1") as VisitorId
}
