/**
 * Times by a pattern of strptime's letters, compiled once, read without regular expressions.
 *
 * | letters | |
 * | --- | --- |
 * | `%Y` `%m` `%d` `%H` `%M` `%S` | four-digit year; month, day, hour, minute, second of one or two digits |
 * | `%I` `%p` | hour 1 to 12, AM or PM |
 * | `%f` | fraction of a second, 1 to 9 digits; `.%f` may be missing as a whole |
 * | `%b` `%B` `%a` `%A` | English names of month and day, short or long (the day's name is not checked) |
 * | `%z` | `Z`, `+0200`, `+02:00`, `+02` |
 * | `%Z` | `UTC`, `GMT` or `Z` |
 * | `%F` `%T` `%%` | `%Y-%m-%d`, `%H:%M:%S`, a percent sign |
 *
 * A blank stands for one or more blanks. What is finer than a millisecond is cut off. A day that the calendar lacks is no time.
 */
import { MappingError } from "./ImportError.ts"

/** The parts of a time, as read. */
interface Parts {
  year: number
  month: number
  day: number
  hour: number
  minute: number
  second: number
  millis: number
  /** Minutes east of UTC; NaN when the text names no zone. */
  offset: number
  /** 0 AM, 12 PM, -1 when not given. */
  half: number
}

/** Reads at a position and gives the position after it, or -1. */
type Step = (text: string, at: number, parts: Parts) => number

export interface TimePattern {
  /** Whether the text itself names the zone. */
  readonly zoned: boolean
  /** Epoch ms when `zoned`, otherwise the same of the local time taken as UTC; undefined when the text does not match. */
  readonly parse: (text: string) => number | undefined
}

/** Throws MappingError on an unknown letter or a pattern without a date. */
export const timePattern = (pattern: string): TimePattern => {
  const expanded = pattern.replaceAll("%F", "%Y-%m-%d").replaceAll("%T", "%H:%M:%S")
  for (const letter of ["Y", "d"]) {
    if (!expanded.includes(`%${letter}`)) {
      throw new MappingError({ message: `time pattern "${pattern}" has no %${letter}` })
    }
  }
  const steps = compile(expanded, pattern)
  const parse = (text: string): number | undefined => {
    const parts: Parts = { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0, millis: 0, offset: NaN, half: -1 }
    let at = 0
    for (const step of steps) {
      at = step(text, at, parts)
      if (at < 0) return undefined
    }
    return at === text.length ? timeOf(parts) : undefined
  }
  return { zoned: /%[zZ]/.test(expanded), parse }
}

const compile = (expanded: string, pattern: string): ReadonlyArray<Step> => {
  const steps: Array<Step> = []
  for (let i = 0; i < expanded.length; i++) {
    const char = expanded[i]!
    if (char === "." && expanded.startsWith("%f", i + 1)) {
      steps.push((text, at, parts) => text.charCodeAt(at) === 46 ? fraction(text, at + 1, parts) : at)
      i += 2
    } else if (char === "%") {
      const letter = expanded[++i] ?? ""
      const step = letters[letter]
      if (step === undefined) {
        throw new MappingError({
          message: `time pattern "${pattern}" has %${letter}; known are ${
            Object.keys(letters).map((l) => `%${l}`).join(" ")
          }`
        })
      }
      steps.push(step)
    } else if (char === " ") steps.push(blanks)
    else {
      const code = expanded.charCodeAt(i)
      steps.push((text, at) => text.charCodeAt(at) === code ? at + 1 : -1)
    }
  }
  return steps
}

const timeOf = (parts: Parts): number | undefined => {
  let { hour } = parts
  if (parts.half >= 0) {
    if (hour < 1 || hour > 12) return undefined
    hour = (hour % 12) + parts.half
  }
  const { year, month, day, minute, second, millis, offset } = parts
  if (year < 100 || month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const local = Date.UTC(year, month - 1, day, hour, minute, second, millis)
  return Number.isNaN(offset) ? local : local - offset * 60_000
}

const daysOf = (year: number, month: number): number =>
  month === 2 ? (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28) : 30 + ((month + (month >> 3)) & 1)

/** The number of `least` to `most` digits at a position; its end is left in `numberEnd`, -1 when there is none. */
const numberAt = (text: string, at: number, least: number, most: number): number => {
  let value = 0
  let end = at
  while (end < at + most) {
    const digit = text.charCodeAt(end) - 48
    if (!(digit >= 0 && digit <= 9)) break
    value = value * 10 + digit
    end++
  }
  numberEnd = end - at < least ? -1 : end
  return value
}
let numberEnd = 0

const blanks: Step = (text, at) => {
  let end = at
  while (text.charCodeAt(end) === 32) end++
  return end === at ? -1 : end
}

const fraction: Step = (text, at, parts) => {
  numberAt(text, at, 1, 9)
  if (numberEnd > 0) parts.millis = Number(text.slice(at, Math.min(at + 3, numberEnd)).padEnd(3, "0"))
  return numberEnd
}

const numeric = (part: "month" | "day" | "hour" | "minute" | "second"): Step => (text, at, parts) => {
  parts[part] = numberAt(text, at, 1, 2)
  return numberEnd
}

const months = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December"
]
const days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

/** Index of the name at a position, long before short; its end in `numberEnd`. */
const nameAt = (text: string, at: number, names: ReadonlyArray<string>): number => {
  const short = text.slice(at, at + 3).toLowerCase()
  const index = names.findIndex((name) => name.slice(0, 3).toLowerCase() === short)
  if (index < 0) numberEnd = -1
  else {
    const name = names[index]!
    numberEnd = at + (text.slice(at, at + name.length).toLowerCase() === name.toLowerCase() ? name.length : 3)
  }
  return index
}

const monthName: Step = (text, at, parts) => {
  parts.month = nameAt(text, at, months) + 1
  return numberEnd
}

const dayName: Step = (text, at) => {
  nameAt(text, at, days)
  return numberEnd
}

const offset: Step = (text, at, parts) => {
  const sign = text[at]
  if (sign === "Z" || sign === "z") {
    parts.offset = 0
    return at + 1
  }
  if (sign !== "+" && sign !== "-") return -1
  const hours = numberAt(text, at + 1, 2, 2)
  if (numberEnd < 0) return -1
  let end = numberEnd
  const minutes = numberAt(text, text[end] === ":" ? end + 1 : end, 2, 2)
  if (numberEnd > 0) end = numberEnd
  if (hours > 23 || (numberEnd > 0 && minutes > 59)) return -1
  parts.offset = (hours * 60 + (numberEnd > 0 ? minutes : 0)) * (sign === "-" ? -1 : 1)
  return end
}

const letters: Readonly<Record<string, Step>> = {
  Y: (text, at, parts) => {
    parts.year = numberAt(text, at, 4, 4)
    return numberEnd
  },
  m: numeric("month"),
  d: numeric("day"),
  H: numeric("hour"),
  I: numeric("hour"),
  M: numeric("minute"),
  S: numeric("second"),
  f: fraction,
  p: (text, at, parts) => {
    const word = text.slice(at, at + 2).toUpperCase()
    parts.half = word === "PM" ? 12 : 0
    return word === "AM" || word === "PM" ? at + 2 : -1
  },
  b: monthName,
  B: monthName,
  a: dayName,
  A: dayName,
  z: offset,
  Z: (text, at, parts) => {
    parts.offset = 0
    const word = text.slice(at, at + 3)
    return word === "UTC" || word === "GMT" ? at + 3 : text[at] === "Z" ? at + 1 : -1
  },
  "%": (text, at) => text[at] === "%" ? at + 1 : -1
}
