/**
 * Memory that is used again and again grows with the largest use, such as the first flush behind a long pause. This says when many uses
 * in a row needed much less, so that its owner can leave it to the collector and begin anew. It counts uses, not time.
 */
const usesInARow = 64
const share = 4

export class Slack {
  #sparse = 0

  /** Notes a use; true when a whole row of them needed less than a quarter of what is held. Both in one unit. */
  isTooLarge(used: number, held: number): boolean {
    this.#sparse = used * share < held ? this.#sparse + 1 : 0
    return this.#sparse >= usesInARow
  }
}
