/**
 * Exact money. A price is a whole number of ten-thousandths of its currency unit (four decimals), a safe integer, so that
 * no float ever holds a fraction of a cent. Sums are bigint, in the same unit: they cannot overflow.
 */

/** Ten-thousandths of a currency unit, 0 <= price <= `priceMax`. */
export type Price = number & { readonly Price: unique symbol }

/** A sum of price times quantity, in ten-thousandths. */
export type Amount = bigint

/** Decimal digits kept after the point. */
export const moneyScale = 4

/** The largest price: 900,719,925,474.0991 units, where safe integers end. */
export const priceMax = Number.MAX_SAFE_INTEGER as Price

const decimalPattern = /^(\d{1,12})(?:\.(\d{1,4})0*)?$/

/** A decimal string ("12", "12.5", "0.0001") as a price; undefined when it is negative, no decimal, or too fine or large. */
export const parsePrice = (text: string): Price | undefined => {
  const match = decimalPattern.exec(text)
  if (match === null) return undefined
  const value = Number(match[1]) * 10_000 + Number((match[2] ?? "").padEnd(4, "0"))
  return value <= priceMax ? value as Price : undefined
}

/** Ten-thousandths as a decimal string with four decimals: 125000 -> "12.5000". */
export const formatAmount = (amount: bigint | number): string => {
  const value = BigInt(amount)
  const digits = (value < 0n ? -value : value).toString().padStart(5, "0")
  return `${value < 0n ? "-" : ""}${digits.slice(0, -4)}.${digits.slice(-4)}`
}

/** Price times quantity, exactly. */
export const amountOf = (price: Price, quantity: number): Amount => BigInt(price) * BigInt(quantity)
