import { DateTime } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { MappingError } from "../../../src/operations/import/ImportError.ts"
import { timeFormat } from "../../../src/operations/import/TimeFormat.ts"

const parse = (format: string, text: string) => timeFormat(format).parse(text)

describe("TimeFormat", () => {
  it.each([
    ["epoch_s", "1396437466.94", 1396437466940],
    ["epoch_s", "1511658000", 1511658000000],
    ["epoch_s", "15", 15_000],
    ["epoch_s", "1.0019", 1001],
    ["epoch_s", "-1.0001", -1001],
    ["epoch_s", "-0", 0],
    ["epoch_s", "0.001", 1],
    ["epoch_ms", "1659304800025", 1659304800025],
    ["epoch_ms", "1659304800025.999", 1659304800025],
    ["epoch_us", "1659304800025999", 1659304800025],
    ["epoch_ns", "1659304800025999999", 1659304800025],
    ["epoch_ns", "1", 0],
    ["epoch_ns", "-1", -1],
    ["rfc3339", "2015-09-11T00:46:58.771Z", Date.UTC(2015, 8, 11, 0, 46, 58, 771)],
    ["rfc3339", "2015-09-11t00:46:58.7719+02:00", Date.UTC(2015, 8, 10, 22, 46, 58, 771)],
    ["rfc3339", "2022-12-22 13:25:48.718000+00:00", Date.UTC(2022, 11, 22, 13, 25, 48, 718)],
    ["%Y-%m-%d %H:%M:%S.%f", "2019-11-01 17:59:13.273932", Date.UTC(2019, 10, 1, 17, 59, 13, 273)],
    ["%Y-%m-%d %H:%M:%S.%f", "2019-11-01 17:59:13", Date.UTC(2019, 10, 1, 17, 59, 13)],
    ["%F %T.%f %Z", "2022-11-20 11:53:06.352000 UTC", Date.UTC(2022, 10, 20, 11, 53, 6, 352)],
    ["%d/%b/%Y:%H:%M:%S %z", "22/Dec/2016:16:30:52 +0300", Date.UTC(2016, 11, 22, 13, 30, 52)],
    ["%a, %d %B %Y %I:%M %p", "Mon, 29 February 2016 12:05 am", Date.UTC(2016, 1, 29, 0, 5)],
    ["%d.%m.%Y, %H:%M@Europe/Berlin", "1.7.2024, 12:00", Date.UTC(2024, 6, 1, 10)],
    ["%Y-%m-%d@America/New_York", "2024-01-31", Date.UTC(2024, 0, 31, 5)]
  ])("reads %s: %s", (format, text, expected) => {
    expect(parse(format, text)).toBe(expected)
  })

  it.each([
    ["epoch_s", ""],
    ["epoch_s", "abc"],
    ["epoch_s", "1e9"],
    ["epoch_s", " 1"],
    ["epoch_s", "99999999999999999999"],
    ["rfc3339", "2015-09-11T00:46:58"],
    ["rfc3339", "2015-02-29T00:46:58Z"],
    ["%Y-%m-%d", "2015-13-01"],
    ["%Y-%m-%d", "2015-04-31"],
    ["%Y-%m-%d", "2015-04-30 "],
    ["%Y-%m-%d %H:%M", "2015-04-30 24:00"],
    ["%Y-%m-%d %I %p", "2015-04-30 13 PM"],
    ["%Y-%m-%d %z", "2015-04-30 +2"]
  ])("refuses %s: %s", (format, text) => {
    expect(parse(format, text)).toBeUndefined()
  })

  it.each(["epoch", "%Y-%m", "%Y-%m-%d %Q", "%Y-%m-%d@Mars/Olympus", "%Y-%m-%d %z@Europe/Berlin"])(
    "is a clear error: %s",
    (format) => {
      expect(() => timeFormat(format)).toThrow(MappingError)
    }
  )

  it("takes a time that clocks skipped with the offset before the change, and the first of two repeated ones", () => {
    const berlin = "%Y-%m-%d %H:%M:%S@Europe/Berlin"
    expect(parse(berlin, "2024-03-31 02:30:00")).toBe(Date.UTC(2024, 2, 31, 1, 30))
    expect(parse(berlin, "2024-03-31 01:59:59")).toBe(Date.UTC(2024, 2, 31, 0, 59, 59))
    expect(parse(berlin, "2024-03-31 03:00:00")).toBe(Date.UTC(2024, 2, 31, 1))
    expect(parse(berlin, "2024-10-27 02:30:00")).toBe(Date.UTC(2024, 9, 27, 0, 30))
    expect(parse(berlin, "2024-10-27 03:00:00")).toBe(Date.UTC(2024, 9, 27, 2))
  })

  it("reads back any millisecond in any unit and form, without a float's error", () => {
    fc.assert(fc.property(fc.integer({ min: Date.UTC(1902, 0, 1), max: Date.UTC(2199, 0, 1) }), (time) => {
      const text = String(Math.abs(time)).padStart(4, "0")
      const sign = time < 0 ? "-" : ""
      expect(parse("epoch_ms", String(time))).toBe(time)
      expect(parse("epoch_s", `${sign}${text.slice(0, -3)}.${text.slice(-3)}`)).toBe(time + 0)
      expect(parse("epoch_ns", `${time}000000`)).toBe(time + 0)
      const iso = new Date(time).toISOString()
      expect(parse("rfc3339", iso)).toBe(time)
      expect(parse("%Y-%m-%dT%H:%M:%S.%fZ", iso)).toBe(time)
    }))
  })

  it("agrees with Intl on local times in zones", () => {
    fc.assert(fc.property(
      fc.integer({ min: Date.UTC(2000, 0, 1) / 1000, max: Date.UTC(2030, 0, 1) / 1000 }),
      fc.constantFrom("Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"),
      (seconds, zone) => {
        const zoned = DateTime.makeZonedUnsafe(seconds * 1000, { timeZone: zone })
        const local = new Date(DateTime.toDateUtc(zoned).getTime() + DateTime.zonedOffset(zoned)).toISOString()
        const read = parse(`%Y-%m-%dT%H:%M:%S.%fZ@${zone}`, local)!
        const again = DateTime.makeZonedUnsafe(read, { timeZone: zone })
        expect(read + DateTime.zonedOffset(again)).toBe(Date.parse(local))
        expect(read).toBeLessThanOrEqual(seconds * 1000)
      }
    ))
  })
})
