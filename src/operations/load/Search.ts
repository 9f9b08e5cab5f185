/** Which rate to try next: doubling until one is not held, then halfway between the highest held and the lowest that was not. Pure. */

export interface Tried {
  readonly recordsPerSecond: number
  readonly isHeld: boolean
}

/** Rates closer together than this are the same. */
const nearness = 1.1
/** Steps in all: a machine that holds everything is not asked for ever. */
const stepsMax = 12

/** The next rate; undefined when the highest held one is known well enough. */
export const nextRate = (first: number, tried: ReadonlyArray<Tried>): number | undefined => {
  if (tried.length === 0) return first
  if (tried.length >= stepsMax) return undefined
  const failed = tried.filter(({ isHeld }) => !isHeld).map(({ recordsPerSecond }) => recordsPerSecond)
  const low = highestHeld(tried)
  if (failed.length === 0) return low! * 2
  const high = Math.min(...failed)
  if (low === undefined) return high > 1 ? Math.max(1, Math.floor(high / 2)) : undefined
  if (high / low <= nearness) return undefined
  const middle = Math.round((low + high) / 2)
  return middle > low && middle < high ? middle : undefined
}

/** The highest rate that was held, below every one that was not; undefined: none. */
export const highestHeld = (tried: ReadonlyArray<Tried>): number | undefined => {
  const ceiling = Math.min(Infinity, ...tried.filter(({ isHeld }) => !isHeld).map((each) => each.recordsPerSecond))
  const held = tried.filter(({ isHeld, recordsPerSecond }) => isHeld && recordsPerSecond < ceiling)
  return held.length === 0 ? undefined : Math.max(...held.map(({ recordsPerSecond }) => recordsPerSecond))
}
