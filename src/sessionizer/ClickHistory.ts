/**
 * Clicks of one visitor that were read back, by column: a busy visitor has hundreds of thousands of them, and only few of its
 * windows will ever be looked at again.
 */
import type { EpochMillis, Offset, SessionId } from "../domain/Identifiers.ts"
import { itemHashOf } from "./ItemHash.ts"

/** A click that was accepted. */
export interface Click {
  readonly eventTs: EpochMillis
  /** `ItemHash` number. */
  readonly item: number
  readonly offset: Offset
  readonly appendedAt: EpochMillis
  readonly sessionId: SessionId
}

const capacityMin = 8

export class ClickHistory {
  size = 0
  /** event_ts of each, epoch ms; as the other numbers, with room behind the last. */
  times: Float64Array
  offsets: Float64Array
  /** `ItemHash` numbers. */
  items: Float64Array
  #appendedAt: Float64Array
  readonly #sessionIds: Array<SessionId> = []

  /** @param capacity about how many will come */
  constructor(capacity: number = capacityMin) {
    this.times = new Float64Array(capacity)
    this.offsets = new Float64Array(capacity)
    this.items = new Float64Array(capacity)
    this.#appendedAt = new Float64Array(capacity)
  }

  /** @param item its id, or "" */
  add(eventTs: number, item: string, offset: number, appendedAt: number, sessionId: SessionId): void {
    this.#add(eventTs, itemHashOf(item), offset, appendedAt, sessionId)
  }

  #add(eventTs: number, item: number, offset: number, appendedAt: number, sessionId: SessionId): void {
    if (this.size === this.times.length) this.#grow()
    this.times[this.size] = eventTs
    this.offsets[this.size] = offset
    this.#appendedAt[this.size] = appendedAt
    this.items[this.size] = item
    this.#sessionIds.push(sessionId)
    this.size++
  }

  at(index: number): Click {
    return {
      eventTs: this.times[index]! as EpochMillis,
      item: this.items[index]!,
      offset: this.offsets[index]! as Offset,
      appendedAt: this.#appendedAt[index]! as EpochMillis,
      sessionId: this.#sessionIds[index]!
    }
  }

  /** Those from an event time on, in time order, each once: a repeated flush may have stored one twice. */
  inTimeOrder(from: number): ClickHistory {
    const { items, offsets, times } = this
    const order: Array<number> = []
    for (let i = 0; i < this.size; i++) if (times[i]! >= from) order.push(i)
    // They come in a few runs that are in order already, which this sort takes as they are.
    order.sort((a, b) => times[a]! - times[b]! || offsets[a]! - offsets[b]!)
    const sorted = new ClickHistory(order.length)
    let last = -1
    for (const i of order) {
      if (last >= 0 && offsets[i] === offsets[last] && times[i] === times[last]) continue
      sorted.#add(times[i]!, items[i]!, offsets[i]!, this.#appendedAt[i]!, this.#sessionIds[i]!)
      last = i
    }
    return sorted
  }

  #grow(): void {
    const capacity = Math.max(capacityMin, this.times.length * 2)
    this.times = larger(this.times, capacity)
    this.offsets = larger(this.offsets, capacity)
    this.items = larger(this.items, capacity)
    this.#appendedAt = larger(this.#appendedAt, capacity)
  }
}

const larger = (values: Float64Array, capacity: number): Float64Array => {
  const copy = new Float64Array(capacity)
  copy.set(values)
  return copy
}
