/** A column of numbers that grows. */
const rowsMin = 1 << 6

export class NumberColumn {
  count = 0
  #values = new Float64Array(rowsMin)

  /** A view, valid until the next `append`. */
  get values(): Float64Array {
    return this.#values.subarray(0, this.count)
  }

  clear(): void {
    this.count = 0
  }

  append(value: number): void {
    if (this.count === this.#values.length) {
      const larger = new Float64Array(this.count * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.count++] = value
  }
}
