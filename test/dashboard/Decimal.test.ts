import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { changeInPercent, spokenAmount, spokenUnits, sumOf, unitsOf } from "../../src/dashboard/Decimal.ts"

/** An amount of up to 38 digits, as text and in ten-thousandths. */
const amount = fc.bigInt({ min: -(10n ** 34n), max: 10n ** 34n }).map((units) => {
  const absolute = units < 0n ? -units : units
  const fraction = String(absolute % 10_000n).padStart(4, "0").replace(/0+$/, "")
  return { units, text: `${units < 0n ? "-" : ""}${absolute / 10_000n}${fraction === "" ? "" : `.${fraction}`}` }
})

describe("amounts on the page", () => {
  it("are written with all their digits, in groups of three and with at least two places", () => {
    const written = ["0", "1", "1234.5", "1234567.891", "999999999999999999999.9999", "-0.05", "-1234.5678"].map(
      spokenAmount
    )
    assert.deepStrictEqual(written, [
      "0.00",
      "1.00",
      "1,234.50",
      "1,234,567.891",
      "999,999,999,999,999,999,999.9999",
      "−0.05",
      "−1,234.5678"
    ])
    assert.throws(() => spokenAmount("1e21"), /not an amount/)
  })

  it("lose nothing on the way through text", () => {
    fc.assert(fc.property(amount, ({ text, units }) => {
      assert.strictEqual(unitsOf(text), units)
      assert.strictEqual(unitsOf(spokenUnits(units).replaceAll(",", "").replace("−", "-")), units)
    }))
  })

  it("are added exactly, where floats are off", () => {
    assert.strictEqual(sumOf(["0.1", "0.2", "9007199254740993"]), 90_071_992_547_409_930_000n + 3_000n)
    fc.assert(fc.property(fc.array(amount), (amounts) => {
      assert.strictEqual(sumOf(amounts.map(({ text }) => text)), amounts.reduce((sum, { units }) => sum + units, 0n))
    }))
  })

  it("change by percent of what was there before, and by nothing from nothing", () => {
    assert.strictEqual(changeInPercent(unitsOf("150"), unitsOf("100")), 50)
    assert.strictEqual(changeInPercent(unitsOf("50"), unitsOf("100")), -50)
    assert.strictEqual(changeInPercent(unitsOf("50"), 0n), undefined)
  })
})
