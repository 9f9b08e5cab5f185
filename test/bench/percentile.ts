/** The value below which so large a share of the values lies, rounded; NaN of none. */
export const percentile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN)
}

export const inMs = (ms: number): string => `${Math.round(ms).toLocaleString("en")} ms`
