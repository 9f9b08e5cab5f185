/**
 * A seeded source of random numbers: sfc32 of Chris Doty-Humphrey (PractRand, public domain), 128 bits of state, period of at
 * least 2^32. The same seed gives the same numbers on every machine; nothing here reads a clock or the system's entropy.
 */

export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** Any safe integer; its low 53 bits are mixed into the state, and the first rounds are thrown away. */
  constructor(seed: number) {
    this.#a = seed | 0
    this.#b = Math.floor(seed / 4_294_967_296) | 0
    this.#c = 0x9e3779b9 | 0
    for (let i = 0; i < 15; i++) this.int32()
  }

  /** A signed 32-bit integer. */
  int32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum
  }

  /** 0 <= x < 1, in steps of 2^-32. */
  fraction(): number {
    return (this.int32() >>> 0) / 4_294_967_296
  }

  /** A whole number 0 <= n < `bound`, with `bound` at most 2^32. The bias of this method is below bound / 2^32. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound)
  }

  /** A uniformly drawn number, from <= x < to. */
  between(from: number, to: number): number {
    return from + this.fraction() * (to - from)
  }
}
