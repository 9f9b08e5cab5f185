/** Memory of the serving process during a step. Pure. */

/** Resident memory, and how long after the traffic began. */
export interface MemorySample {
  readonly afterMs: number
  readonly residentBytes: number
}

/** The time in so many parts. */
const parts = 6

/** What was resident at the end of each sixth of the time, and at most. */
export const memoryText = (samples: ReadonlyArray<MemorySample>): string => {
  if (samples.length === 0) return "memory unknown"
  const ends = Array.from({ length: parts }, (_, part) => Math.ceil((part + 1) * samples.length / parts) - 1)
  const shown = [...new Set(ends)].map((index) => samples[index]!)
  const minutes = shown.map(({ afterMs }) => (afterMs / 60_000).toFixed(1)).join(" / ")
  const sizes = shown.map(({ residentBytes }) => gigabytes(residentBytes)).join(" / ")
  const most = Math.max(...samples.map(({ residentBytes }) => residentBytes))
  return `memory after ${minutes} min ${sizes} GB, at most ${gigabytes(most)} GB`
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(2)
