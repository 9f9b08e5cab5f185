import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import type { Price } from "../../src/domain/Money.ts"
import { amountOf, formatAmount, parsePrice, priceMax } from "../../src/domain/Money.ts"

const price = fc.oneof(fc.nat(1_000_000), fc.maxSafeNat()).map((value) => value as Price)

describe("parsePrice", () => {
  it("reads back every price that formatAmount writes", () => {
    fc.assert(fc.property(price, (value) => parsePrice(formatAmount(value)) === value))
  })

  it.each<[string, number]>([
    ["0", 0],
    ["12", 120_000],
    ["12.5", 125_000],
    ["0.0001", 1],
    ["0.10000000", 1_000],
    ["007.50", 75_000],
    ["900719925474.0991", Number.MAX_SAFE_INTEGER]
  ])("reads %s", (text, expected) => {
    assert.strictEqual(parsePrice(text) as number | undefined, expected)
  })

  it.each([
    ["what is no decimal", ["", " 1", "1 ", "1.", ".5", "1,5", "0x10", "NaN", "Infinity", "١٢"]],
    ["floats", ["1e3", "1E3", "1.5e-2"]],
    ["signs", ["-1", "-0", "+1"]],
    ["more than four decimals", ["1.23456", "0.00001"]],
    ["more than the largest price", ["900719925474.0992", "9999999999999"]]
  ])("refuses %s", (_, texts) => {
    for (const text of texts) assert.isUndefined(parsePrice(text), text)
  })
})

describe("formatAmount", () => {
  it("writes four decimals, also of sums beyond safe integers and of negative ones", () => {
    assert.strictEqual(formatAmount(0), "0.0000")
    assert.strictEqual(formatAmount(1), "0.0001")
    assert.strictEqual(formatAmount(125_000), "12.5000")
    assert.strictEqual(formatAmount(-1n), "-0.0001")
    assert.strictEqual(formatAmount(123_456_789_012_345_678_901_234_567_890n), "12345678901234567890123456.7890")
  })
})

describe("amountOf", () => {
  it("adds up exactly, where floats would not", () => {
    const tenCents = parsePrice("0.1")!
    const sum = Array.from({ length: 10 }, () => amountOf(tenCents, 1)).reduce((a, b) => a + b)
    assert.strictEqual(formatAmount(sum), "1.0000")
    assert.strictEqual(amountOf(priceMax, 4_294_967_295), BigInt(Number.MAX_SAFE_INTEGER) * 4_294_967_295n)
  })
})
