/** Times and sizes for people. */

/** Milliseconds as the two units that matter: "3 min 12 s", "5 h 3 min". */
export const spokenDuration = (ms: number): string => {
  if (ms < 0) return `-${spokenDuration(-ms)}`
  if (ms < 1_000) return `${ms} ms`
  if (ms < 60_000) return `${Math.floor(ms / 100) / 10} s`
  const [large, small] = ms < 3_600_000 ?
    [[60_000, "min"], [1_000, "s"]] as const :
    ms < 172_800_000 ?
    [[3_600_000, "h"], [60_000, "min"]] as const :
    [[86_400_000, "d"], [3_600_000, "h"]] as const
  const rest = Math.floor(ms % large[0] / small[0])
  return `${Math.floor(ms / large[0])} ${large[1]}${rest === 0 ? "" : ` ${rest} ${small[1]}`}`
}

/** Bytes in decimal units: "1.5 GB". */
export const spokenBytes = (bytes: number): string => {
  const units = ["bytes", "kB", "MB", "GB", "TB"]
  const step = Math.min(units.length - 1, bytes < 1_000 ? 0 : Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1_000 ** step
  return `${value < 10 && step > 0 ? value.toFixed(1) : Math.round(value)} ${units[step]}`
}

/** Epoch ms as ISO 8601; a time that no calendar has as the number. */
export const spokenTime = (ms: number): string => Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms)
