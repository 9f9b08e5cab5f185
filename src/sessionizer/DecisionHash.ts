/**
 * A running 64-bit hash over (offset, outcome, session_id) of every record of a partition. Two runs over the same log that
 * disagree at one offset have decided differently somewhere below it: a bug, whoever is right.
 */
import type { Offset } from "../domain/Identifiers.ts"
import type { Outcome } from "../domain/Outcome.ts"

/** A hash is noted at every multiple of this many offsets, besides every checkpoint. */
export const decisionHashEvery = 65_536

/** Instead of an outcome: a control record. */
export const controlMark = 6

export class DecisionHash {
  #high = 0
  #low = 0

  constructor(value = 0n) {
    this.#high = Number(BigInt.asIntN(32, value >> 32n))
    this.#low = Number(BigInt.asIntN(32, value))
  }

  get value(): bigint {
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0)
  }

  update(offset: Offset, outcome: Outcome | typeof controlMark): void {
    this.#mix(offset | 0)
    this.#mix(((offset / 4_294_967_296) << 3) | outcome)
  }

  /** The session of the record just updated: the 16 bytes of its id, as words. */
  updateSession(words: Int32Array, at: number): void {
    for (let i = at; i < at + 4; i++) this.#mix(words[i]!)
  }

  #mix(word: number): void {
    let low = this.#low ^ Math.imul(word, 0xcc9e2d51)
    low = Math.imul((low << 13) | (low >>> 19), 0x85ebca6b)
    let high = this.#high + Math.imul(low ^ (low >>> 15), 0x1b873593)
    high = Math.imul((high << 17) | (high >>> 15), 0xc2b2ae35)
    this.#low = (low ^ (high >>> 13)) | 0
    this.#high = (high + low) | 0
  }
}
