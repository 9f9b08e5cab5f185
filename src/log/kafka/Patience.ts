/** Trying again without end: longer and longer between attempts, up to a cap, jittered so that not all come at once. */

const firstMs = 50
const capMs = 2_000
/** How often the same trouble is told, ms. */
const tellEveryMs = 10_000

export class Patience {
  readonly #tell: (trouble: string) => void
  #attempts = 0
  #toldAt = -Infinity

  constructor(tell: (trouble: string) => void) {
    this.#tell = tell
  }

  /** It worked: the next trouble is a new one. */
  reset(): void {
    this.#attempts = 0
    this.#toldAt = -Infinity
  }

  /** Says what is wrong, now and then, and waits before the next attempt. */
  async wait(doing: string, error: unknown): Promise<void> {
    // The first failures of a failover are nothing to speak of.
    const now = performance.now()
    if (this.#attempts >= 5 && now - this.#toldAt >= tellEveryMs) {
      this.#toldAt = now
      this.#tell(`${doing}: ${error instanceof Error ? error.message : String(error)}; trying again`)
    }
    const ms = Math.min(capMs, firstMs * 2 ** Math.min(10, this.#attempts++))
    await new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random() / 2)))
  }
}
