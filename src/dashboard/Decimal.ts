/** Amounts as the API sends them, decimal strings of at most four places: exact, never a float. */

const places = 4
const unit = 10n ** BigInt(places)

/** Ten-thousandths of an amount. */
export const unitsOf = (amount: string): bigint => {
  const match = /^(-?)(\d+)(?:\.(\d{1,4}))?$/.exec(amount)
  if (match === null) throw new Error(`not an amount: ${amount}`)
  const units = BigInt(match[2]!) * unit + BigInt((match[3] ?? "").padEnd(places, "0"))
  return match[1] === "-" ? -units : units
}

/** `1234.5` -> `1,234.50`: at least two places, and all that there are. */
export const spokenAmount = (amount: string): string => spokenUnits(unitsOf(amount))

export const spokenUnits = (units: bigint): string => {
  const absolute = units < 0n ? -units : units
  const fraction = String(absolute % unit).padStart(places, "0").replace(/0{1,2}$/, "")
  return `${units < 0n ? "−" : ""}${grouped(String(absolute / unit))}.${fraction}`
}

export const sumOf = (amounts: ReadonlyArray<string>): bigint => amounts.reduce((sum, each) => sum + unitsOf(each), 0n)

/** For the height of a mark in a chart; never for a figure that is read. */
export const heightOf = (amount: string): number => Number(amount)

/** Change in percent, in tenths that are exact before they are rounded; undefined from nothing. */
export const changeInPercent = (now: bigint, before: bigint): number | undefined => {
  if (before === 0n) return undefined
  const absolute = before < 0n ? -before : before
  return Number((now - before) * 10_000n / absolute) / 100
}

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ",")
