import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import {
  CoreSettings,
  defaultCoreSettings,
  defaultReportingSettings,
  horizonMs,
  longestWindowMs,
  ReportingSettings
} from "../../src/domain/Settings.ts"

const decode = Schema.decodeUnknownSync(CoreSettings)

describe("CoreSettings", () => {
  it("has the defaults of the design: 30 min gap, 10 min lateness, 5 min ahead, 50 clicks in 10 s or 1 min", () => {
    assert.deepStrictEqual(decode(defaultCoreSettings), defaultCoreSettings)
    assert.deepInclude(defaultCoreSettings, {
      gapMs: 1_800_000,
      latenessMs: 600_000,
      futureMaxMs: 300_000,
      reportingCurrency: "USD",
      highFrequencyClicks: 50,
      highFrequencyWindowMs: 10_000,
      botLikeClicks: 50,
      botLikeWindowMs: 60_000,
      botLikeSlideMs: 30_000,
      botLikeDiversity: 0.1
    })
  })

  it.each<[Partial<Record<keyof CoreSettings, unknown>>, RegExp]>([
    [{ gapMs: 0 }, /gapMs/],
    [{ gapMs: 1.5 }, /gapMs/],
    [{ gapMs: 7 * 86_400_000 + 1 }, /gapMs/],
    [{ latenessMs: -1 }, /latenessMs/],
    [{ latenessMs: "600000" }, /latenessMs/],
    [{ futureMaxMs: Number.NaN }, /futureMaxMs/],
    [{ reportingCurrency: "usd" }, /reportingCurrency/],
    [{ reportingCurrency: "" }, /reportingCurrency/],
    [{ highFrequencyClicks: 0 }, /highFrequencyClicks/],
    [{ botLikeDiversity: 1.01 }, /botLikeDiversity/],
    [{ botLikeDiversity: Number.POSITIVE_INFINITY }, /botLikeDiversity/],
    [{ botLikeSlideMs: 7_000 }, /multiple of botLikeSlideMs/]
  ])("refuses %j", (change, says) => {
    assert.throws(() => decode({ ...defaultCoreSettings, ...change }), says)
  })

  it("refuses a missing setting", () => {
    const { gapMs: _, ...others } = defaultCoreSettings
    assert.throws(() => decode(others), /gapMs/)
  })
})

describe("horizonMs", () => {
  it("covers the gap and the longest window, whichever is longer", () => {
    assert.strictEqual(longestWindowMs(defaultCoreSettings), 60_000)
    assert.strictEqual(horizonMs(defaultCoreSettings), 1_800_000)
    assert.strictEqual(horizonMs({ ...defaultCoreSettings, gapMs: 5_000 }), 60_000)
  })
})

describe("ReportingSettings", () => {
  const decodeReporting = Schema.decodeUnknownSync(ReportingSettings)

  it("take any zone that the calendar knows, UTC unless set", () => {
    for (const timeZone of ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]) {
      assert.deepStrictEqual(decodeReporting({ timeZone }), { timeZone })
    }
    assert.deepStrictEqual(defaultReportingSettings, { timeZone: "UTC" })
  })

  it("refuse what is none", () => {
    for (const timeZone of ["", "Mars/Olympus", "12"]) assert.throws(() => decodeReporting({ timeZone }), /IANA/)
  })
})
