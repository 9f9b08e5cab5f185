import { assert, describe, it } from "@effect/vitest"
import {
  clockTime,
  dateTime,
  duration,
  isDay,
  share,
  shiftedDay,
  signed,
  spokenDay,
  tenths
} from "../../src/dashboard/Format.ts"

describe("figures and times on the page", () => {
  it("stand in the reporting zone, through changes of its clock", () => {
    const before = "2026-10-25T00:30:00.120Z"
    const after = "2026-10-25T01:30:00.120Z"
    assert.strictEqual(dateTime(before, "Europe/Berlin"), "2026-10-25 02:30:00")
    assert.strictEqual(dateTime(after, "Europe/Berlin"), "2026-10-25 02:30:00")
    assert.strictEqual(dateTime("2026-03-01T23:59:59.999Z", "Asia/Kathmandu", "millisecond"), "2026-03-02 05:44:59.999")
    assert.strictEqual(clockTime("2026-03-01T00:00:00.000Z", "UTC", "minute"), "00:00")
  })

  it("say how long in the largest unit that helps", () => {
    assert.deepStrictEqual([0.4, 12, 245, 12_000, 300_000, -3].map(duration), [
      "0.40 s",
      "12.0 s",
      "4 min 05 s",
      "3 h 20 min",
      "3 days",
      "−3.00 s"
    ])
    assert.strictEqual(duration(59.99), "60.0 s")
    assert.strictEqual(duration(3_599.7), "1 h 00 min")
  })

  it("go from day to day by the calendar", () => {
    assert.strictEqual(shiftedDay("2028-02-28", 1), "2028-02-29")
    assert.strictEqual(shiftedDay("2026-01-01", -1), "2025-12-31")
    assert.strictEqual(spokenDay("2026-03-02"), "Mon 2 Mar 2026")
    assert.deepStrictEqual(["2026-03-02", "2026-13-02", "soon", null].map(isDay), [true, false, false, false])
  })

  it("show shares and changes with their sign", () => {
    assert.strictEqual(share(0.12345), "12.35 %")
    assert.deepStrictEqual([signed(-4.25, tenths), signed(0.5, tenths)], ["−4.3", "+0.5"])
  })
})
