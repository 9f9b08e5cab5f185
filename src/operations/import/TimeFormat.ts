/**
 * How a column tells the time: `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns` (decimals allowed), `rfc3339`, or a pattern of
 * `TimePattern.ts`, which may be followed by `@Zone` (an IANA name or `+02:00`) when its text names none; without either it is
 * UTC. A local time that a change of clocks skipped counts with the offset from before the change, one that it repeated is the
 * first of the two (Temporal's "compatible").
 *
 * @example
 * timeFormat("epoch_s").parse("1396437466.94") // 1396437466940
 * timeFormat("%d.%m.%Y %H:%M@Europe/Berlin").parse("01.07.2024 12:00") // 1719828000000
 */
import { DateTime, Option } from "effect"
import { MappingError } from "./ImportError.ts"
import { timePattern } from "./TimePattern.ts"

export interface TimeFormat {
  /** As it stands in the mapping. */
  readonly text: string
  /** Epoch ms, finer parts cut off (towards the past); undefined when the text is no such time. */
  readonly parse: (text: string) => number | undefined
}

/** Throws MappingError when the format is unknown. */
export const timeFormat = (text: string): TimeFormat => {
  const parse = named[text]
  if (parse !== undefined) return { text, parse }
  if (!text.includes("%")) {
    throw new MappingError({
      message: `"${text}" is no time format: use ${
        Object.keys(named).join(", ")
      } or a pattern such as %Y-%m-%d %H:%M:%S`
    })
  }
  const zoneAt = text.lastIndexOf("@")
  const pattern = timePattern(zoneAt < 0 ? text : text.slice(0, zoneAt))
  if (zoneAt < 0) return { text, parse: pattern.parse }
  if (pattern.zoned) {
    throw new MappingError({ message: `time format "${text}" names a zone twice: by %z or %Z and by @` })
  }
  const toUtc = localToUtc(text.slice(zoneAt + 1))
  return {
    text,
    parse: (value) => {
      const local = pattern.parse(value)
      return local === undefined ? undefined : toUtc(local)
    }
  }
}

/** Digits of the unit below a millisecond: how far the decimal point moves. */
const epoch = (shift: number) => (text: string): number | undefined => {
  if (text.length <= 12 && shift >= 0) {
    const whole = wholeNumber(text)
    if (whole >= 0) return whole * (shift === 3 ? 1000 : 1)
  }
  const match = decimal.exec(text)
  if (match === null) return undefined
  const [, sign, whole = "", fraction = ""] = match
  const digits = whole + fraction
  const point = whole.length + shift
  const kept = point <= 0 ? "0" : digits.slice(0, point).padEnd(point, "0")
  const cutOff = point < digits.length && /[1-9]/.test(digits.slice(Math.max(0, point)))
  const millis = sign === "-" ? -Number(kept) - (cutOff ? 1 : 0) : Number(kept)
  return Math.abs(millis) <= timeMax ? millis + 0 : undefined
}

const decimal = /^(-?)(\d{1,30})(?:\.(\d{0,30}))?$/
/** The largest time of an ECMAScript date, ms. */
const timeMax = 8.64e15

/** -1 when there is anything but digits. */
const wholeNumber = (text: string): number => {
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (!(digit >= 0 && digit <= 9)) return -1
    value = value * 10 + digit
  }
  return text.length === 0 ? -1 : value
}

const withLetterT = timePattern("%Y-%m-%dT%H:%M:%S.%f%z")
const withBlank = timePattern("%Y-%m-%d %H:%M:%S.%f%z")
const rfcShape = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/

const rfc3339 = (text: string): number | undefined => {
  if (!rfcShape.test(text)) return undefined
  const letter = text[10]
  return letter === " " ?
    withBlank.parse(text) :
    withLetterT.parse(letter === "t" ? `${text.slice(0, 10)}T${text.slice(11)}` : text)
}

const named: Readonly<Record<string, (text: string) => number | undefined>> = {
  epoch_s: epoch(3),
  epoch_ms: epoch(0),
  epoch_us: epoch(-3),
  epoch_ns: epoch(-6),
  rfc3339
}

/** Local minutes whose offset is remembered; Intl needs microseconds for each. */
const minutesRemembered = 100_000

const localToUtc = (zoneName: string): (local: number) => number => {
  const zone = Option.getOrUndefined(DateTime.zoneFromString(zoneName))
  if (zone === undefined) {
    throw new MappingError({ message: `"${zoneName}" is no time zone: use an IANA name such as Europe/Berlin` })
  }
  const offsets = new Map<number, number>()
  return (local) => {
    const minute = Math.floor(local / 60_000)
    let offset = offsets.get(minute)
    if (offset === undefined) {
      const start = minute * 60_000
      const zoned = DateTime.makeZonedUnsafe(start, {
        timeZone: zone,
        adjustForTimeZone: true,
        disambiguation: "compatible"
      })
      offset = start - DateTime.toEpochMillis(zoned)
      if (offsets.size >= minutesRemembered) offsets.clear()
      offsets.set(minute, offset)
    }
    return local - offset
  }
}
