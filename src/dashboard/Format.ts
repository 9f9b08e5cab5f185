/** How figures and times are written: one way each, whole numbers in groups of three, times in the reporting zone. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 })
const oneTenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const twoPlaces = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 })

export const count = (value: number): string => whole.format(value)
export const tenths = (value: number): string => oneTenth.format(value)
export const hundredths = (value: number): string => twoPlaces.format(value)
/** For axes: 1.2K. */
export const compact = (value: number): string => short.format(value)
/** A share from 0 to 1. */
export const share = (value: number): string => `${twoPlaces.format(value * 100)} %`

export const signed = (value: number, write: (absolute: number) => string): string =>
  `${value < 0 ? "−" : "+"}${write(Math.abs(value))}`

/** `0.42 s`, `12.0 s`, `4 min 05 s`, `3 h 20 min`, `12 days`. */
export const duration = (seconds: number): string => {
  if (seconds < 0) return `−${duration(-seconds)}`
  if (seconds < 10) return `${twoPlaces.format(seconds)} s`
  if (seconds < 60) return `${oneTenth.format(seconds)} s`
  const rounded = Math.round(seconds)
  if (rounded < 3_600) return `${Math.floor(rounded / 60)} min ${two(rounded % 60)} s`
  if (rounded < 172_800) return `${Math.floor(rounded / 3_600)} h ${two(Math.floor(rounded % 3_600 / 60))} min`
  return `${whole.format(Math.floor(rounded / 86_400))} days`
}

const two = (value: number): string => String(value).padStart(2, "0")

export type Precision = "day" | "minute" | "second" | "millisecond"

const formats = new Map<string, Intl.DateTimeFormat>()

/** The parts of a moment in a zone. */
const partsOf = (time: string | number, zone: string): Readonly<Record<string, string>> => {
  let format = formats.get(zone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      fractionalSecondDigits: 3
    })
    formats.set(zone, format)
  }
  return Object.fromEntries(format.formatToParts(new Date(time)).map(({ type, value }) => [type, value]))
}

/** `14:03:22`, by precision. */
export const clockTime = (time: string | number, zone: string, precision: Precision = "second"): string => {
  const { fractionalSecond, hour, minute, second } = partsOf(time, zone)
  const minutes = `${hour}:${minute}`
  if (precision === "minute") return minutes
  return precision === "second" ? `${minutes}:${second}` : `${minutes}:${second}.${fractionalSecond}`
}

/** `2026-03-02 14:03:22`, by precision. */
export const dateTime = (time: string | number, zone: string, precision: Precision = "second"): string => {
  const { day, month, year } = partsOf(time, zone)
  const date = `${year}-${month}-${day}`
  return precision === "day" ? date : `${date} ${clockTime(time, zone, precision)}`
}

const dayMs = 86_400_000

/** Another day, `days` away. */
export const shiftedDay = (day: string, days: number): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) + days * dayMs).toISOString().slice(0, 10)

/** `Mon 2 Mar 2026`. */
export const spokenDay = (day: string): string =>
  new Date(`${day}T12:00:00Z`).toLocaleDateString("en-GB", {
    timeZone: "UTC",
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric"
  }).replace(",", "")

/** Whether a text is a day that exists. */
export const isDay = (text: string | null): text is string =>
  text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && Number.isFinite(Date.parse(`${text}T00:00:00Z`))
