/**
 * For any messy log, KPIs are what the oracle says: every zone, day, segment and list, before and after persons' verdicts, and with
 * late events folded in and taken out again.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import type { ClickEvent } from "../../../src/domain/ClickEvent.ts"
import { amendDay, revertAmendment } from "../../../src/operations/late/Amendments.ts"
import { lateEvents } from "../../../src/operations/late/LateEvents.ts"
import { previewAmendment } from "../../../src/operations/late/Preview.ts"
import { clearVerdict, setVerdict } from "../../../src/operations/verdicts/Verdicts.ts"
import type { Kpis } from "../../support/KpiOracle.ts"
import { calendarOf } from "../../support/KpiOracle.ts"
import type { PersonVerdict, TruthOptions } from "../../support/KpiTruth.ts"
import { changesBetween, changesPreviewed, figuresBySegment } from "../../support/PreviewedChanges.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import type { KpiPlace } from "./KpiPlace.ts"
import { click, kpiPlace } from "./KpiPlace.ts"

const minute = 60_000
const hour = 60 * minute
const who = { reason: "drawn", author: "chance" }

/** A day of a zone, how many hours it has, and the instant within it at which its clocks change; without one: its noon. */
interface Place {
  readonly timeZone: string
  readonly day: string
  readonly hours: number
  readonly marks: readonly [midnight: number, change: number, next: number]
}

const placeOf = (
  timeZone: string,
  day: string,
  hours: number,
  midnight: number,
  change = midnight + 12 * hour
): Place => ({
  timeZone,
  day,
  hours,
  marks: [midnight, change, midnight + hours * hour]
})

/** One list for each kind of day: every run of the property draws from each of them in turn. */
const kindsOfDays = {
  "a day of 23 hours": [
    placeOf("Europe/Berlin", "2026-03-29", 23, Date.UTC(2026, 2, 28, 23), Date.UTC(2026, 2, 29, 1)),
    placeOf("America/New_York", "2026-03-08", 23, Date.UTC(2026, 2, 8, 5), Date.UTC(2026, 2, 8, 7)),
    placeOf("Pacific/Chatham", "2026-09-27", 23, Date.UTC(2026, 8, 26, 11, 15), Date.UTC(2026, 8, 26, 14))
  ],
  "a day of 25 hours": [
    placeOf("Europe/Berlin", "2026-10-25", 25, Date.UTC(2026, 9, 24, 22), Date.UTC(2026, 9, 25, 1)),
    placeOf("America/New_York", "2026-11-01", 25, Date.UTC(2026, 10, 1, 4), Date.UTC(2026, 10, 1, 6)),
    placeOf("Pacific/Chatham", "2026-04-05", 25, Date.UTC(2026, 3, 4, 10, 15), Date.UTC(2026, 3, 4, 14))
  ],
  "a day of another length, or in a zone of odd minutes": [
    placeOf("UTC", "2026-03-01", 24, Date.UTC(2026, 2, 1)),
    placeOf("Australia/Lord_Howe", "2026-04-05", 24.5, Date.UTC(2026, 3, 4, 13), Date.UTC(2026, 3, 4, 15)),
    placeOf("Asia/Kathmandu", "2026-01-02", 24, Date.UTC(2026, 0, 1, 18, 15))
  ]
} as const satisfies Readonly<Record<string, ReadonlyArray<Place>>>

interface Draft {
  readonly visitor: number
  /** Minutes that the clock moves on, and that the event lies behind it. */
  readonly advance: number
  readonly behind: number
  readonly seconds: number
  readonly type: string
  readonly item: string
  readonly category: string
  readonly price: number
  readonly currency: string
  readonly userAgent: string
  readonly repeats: boolean
}

const draft: fc.Arbitrary<Draft> = fc.record({
  visitor: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 4),
  advance: fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 9 }) },
    { weight: 2, arbitrary: fc.integer({ min: 10, max: 45 }) }
  ),
  behind: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 9 }) },
    { weight: 2, arbitrary: fc.integer({ min: 10, max: 70 }) }
  ),
  seconds: fc.nat(59),
  type: fc.constantFrom("view", "view", "click", "click", "add_to_cart", "purchase", "search"),
  item: fc.constantFrom("", "a", "a", "b", "c", "d"),
  category: fc.constantFrom("", "lamps", "lamps", "shoes"),
  price: fc.constantFrom(0, 1, 9_9900, 123_4567),
  currency: fc.constantFrom("", "", "USD", "EUR", "JPY"),
  userAgent: fc.constantFrom("", "browser", "browser", "browser", "crawler/1.0"),
  repeats: fc.boolean()
})

interface Scenario {
  readonly place: Place
  readonly drafts: ReadonlyArray<Draft>
  readonly settings: keyof typeof settingsOf
  readonly batch: number
  readonly verdicts: ReadonlyArray<PersonVerdict>
}

const scenarioOf = (places: ReadonlyArray<Place>): fc.Arbitrary<Scenario> =>
  fc.record({
    place: fc.constantFrom(...places),
    drafts: fc.array(draft, { minLength: 40, maxLength: 160, size: "max" }),
    settings: fc.constantFrom("gap 30 min" as const, "gap 3 min" as const),
    batch: fc.constantFrom(7, 30, 1_000),
    verdicts: fc.array(
      fc.record({
        scope: fc.constant("visitor" as const),
        id: fc.constantFrom("visitor-0", "visitor-1", "visitor-2"),
        verdict: fc.constantFrom("bot" as const, "human" as const, "unknown" as const)
      }),
      { minLength: 1, maxLength: 3 }
    )
  })

/** The clock passes every mark: a share of the drafts begins before each, and one visitor acts on both sides of it, in time. */
const eventsOf = ({ drafts, place: { marks } }: Scenario): ReadonlyArray<ClickEvent> => {
  let clock = 0
  const made: Array<ClickEvent> = []
  const share = Math.ceil(drafts.length / marks.length)
  for (const [i, draft] of drafts.entries()) {
    const mark = marks[Math.floor(i / share)]!
    const next = marks[Math.floor(i / share) + 1] ?? Infinity
    if (i % share === 0) {
      clock = Math.max(clock, mark - beforeMarkMs)
      for (const time of [mark - 1, mark]) made.push(click("visitor-0", time, { itemId: "a", category: "lamps" }))
    }
    const { advance, behind, category, currency, item, price, repeats, seconds, type, userAgent, visitor } = draft
    clock = Math.min(clock + advance * minute, next - beforeMarkMs)
    const quantity = 1 + seconds % 3
    made.push(click(`visitor-${visitor}`, clock - behind * minute + seconds * 1_000, {
      eventType: type,
      itemId: item,
      category,
      price,
      currency,
      quantity,
      userAgent
    }))
    if (repeats && seconds < 12) made.push(made.at(-1 - seconds % Math.min(4, made.length))!)
  }
  return made
}

/** Within the allowed lateness, so that drafts from before the mark still count. */
const beforeMarkMs = 8 * minute

/** Rules that a few clicks meet, with windows shorter and longer than the gap between sessions. */
const rules = { highFrequencyClicks: 2, highFrequencyWindowMs: minute, botLikeClicks: 3, botLikeDiversity: 0.6 }
const settingsOf = {
  "gap 30 min": rules,
  "gap 3 min": { ...rules, gapMs: 3 * minute, botLikeWindowMs: 12 * minute, botLikeSlideMs: 4 * minute }
} as const
const crawlers = { source: "test", patterns: ["crawler/", "^bot$"] }
const isCrawler = (userAgent: string): boolean => userAgent.startsWith("crawler/")

/** Of each kind of day. More by GUARDIAN_KPI_RUNS; the same again by GUARDIAN_KPI_SEED. */
const runs = Number(process.env["GUARDIAN_KPI_RUNS"] ?? 2)
const seed = Number(process.env["GUARDIAN_KPI_SEED"] ?? Date.now() % 2 ** 31)
const runMs = 180_000

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 180_000 })("KPIs of any log", (it) => {
  for (const [kind, places] of Object.entries(kindsOfDays)) {
    it.effect(
      `equal the oracle's in all three segments, across ${kind} and verdicts`,
      () =>
        Effect.gen(function*() {
          const context = yield* Effect.context<never>()
          const result = yield* Effect.promise(() =>
            fc.check(
              fc.asyncProperty(
                scenarioOf(places),
                (drawn) => Effect.runPromise(Effect.scoped(holds(drawn)).pipe(Effect.provideContext(context as never)))
              ),
              // A run takes seconds: what fails is shown as it is.
              { numRuns: runs, seed, endOnFailure: true }
            )
          )
          if (result.failed) {
            assert.fail(
              `seed ${result.seed}: ${String(result.errorInstance)}\n${fc.stringify(result.counterexample?.[0])}`
            )
          }
        }),
      runs * runMs
    )
  }

  it.effect("are tried on days that are as long as they say, from midnight to midnight", () =>
    Effect.sync(() => {
      for (const { day, hours, marks: [midnight, , next], timeZone } of Object.values(kindsOfDays).flat()) {
        const calendar = calendarOf(timeZone)
        const days = [midnight - 1, midnight, next - 1, next].map((ms) => calendar.day(ms) === day)
        assert.deepStrictEqual(days, [false, true, true, false], `${timeZone} ${day}`)
        assert.strictEqual((next - midnight) / hour, hours)
      }
    }))
})

const holds = Effect.fnUntraced(function*(drawn: Scenario) {
  const { timeZone } = drawn.place
  const place = yield* kpiPlace({ timeZone, settings: settingsOf[drawn.settings], crawlers })
  const events = eventsOf(drawn)
  const half = Math.floor(events.length / 2)
  // Taken in halfway, so that the second half corrects what is there.
  yield* place.append(events.slice(0, half))
  yield* place.drain({ batch: drawn.batch })
  const truth = (verdicts: ReadonlyArray<PersonVerdict>) => place.truth({ timeZone, verdicts, isCrawler })
  isCovered(drawn, events)
  assert.deepStrictEqual(yield* place.settled, yield* truth([]))
  yield* place.append(events.slice(half))
  yield* place.drain({ batch: drawn.batch })
  for (const verdict of drawn.verdicts) yield* setVerdict(verdict, verdict.verdict, who).pipe(place.inWarehouse)
  assert.deepStrictEqual(yield* place.settled, yield* truth(drawn.verdicts))
  const [{ id, scope }] = drawn.verdicts as [PersonVerdict]
  yield* clearVerdict({ scope, id }, who).pipe(place.inWarehouse)
  const standing = drawn.verdicts.filter((each) => each.id !== id)
  assert.deepStrictEqual(yield* place.settled, yield* truth(standing))
  yield* place.close
  yield* holdsAmended(place, (isAmended) => place.truth({ timeZone, verdicts: standing, isCrawler, isAmended }))
})

/** The drawn log has what the property is about: events on both sides of each midnight and of the change of the clock. */
const isCovered = ({ place: { marks } }: Scenario, events: ReadonlyArray<ClickEvent>): void => {
  for (const mark of marks) {
    assert.isTrue(events.some(({ eventTs }) => eventTs >= mark && eventTs < mark + hour))
    assert.isTrue(events.some(({ eventTs }) => eventTs < mark && eventTs >= mark - hour))
  }
}

/** The late events are folded in, the first day's before the others'; then the first day's are taken out again. */
const holdsAmended = Effect.fnUntraced(function*(
  place: KpiPlace,
  truth: (isAmended: NonNullable<TruthOptions["isAmended"]>) => Effect.Effect<Kpis, unknown>
) {
  const late = yield* lateEvents({ limit: 1_000 }).pipe(place.inWarehouse)
  const days = [...new Set(late.map(({ day }) => day))].sort()
  const dayOf = new Map(late.map(({ day, offset, partition }) => [`${partition}/${offset}`, day]))
  const folded = new Set<string>()
  const same = Effect.fnUntraced(function*() {
    const expected = yield* truth(({ offset, partition }) => folded.has(dayOf.get(`${partition}/${offset}`)!))
    assert.deepStrictEqual(yield* place.settled, expected)
  })
  const made: Array<string> = []
  for (const day of days) {
    yield* place.settled
    const before = yield* figuresBySegment(place.warehouse)
    const preview = yield* previewAmendment(day).pipe(place.inWarehouse, place.withRegistry)
    const report = yield* amendDay(day, who).pipe(place.inWarehouse, place.withRegistry)
    assert.strictEqual(report.waiting, 0)
    assert.strictEqual(report.events, late.filter((each) => each.day === day && !each.isRepeat).length)
    if (report.events > 0) made.push(report.amendmentId)
    folded.add(day)
    yield* same()
    const changes = changesBetween(before, yield* figuresBySegment(place.warehouse))
    assert.deepStrictEqual(
      changesPreviewed(preview),
      changes,
      `${JSON.stringify(changesPreviewed(preview))} instead of ${JSON.stringify(changes)}`
    )
    // Nothing is left to fold in.
    assert.strictEqual((yield* amendDay(day, who).pipe(place.inWarehouse, place.withRegistry)).version, 0)
  }
  const [first] = made
  if (first === undefined) return
  const { day } = yield* revertAmendment(first, who).pipe(place.inWarehouse, place.withRegistry)
  folded.delete(day)
  yield* same()
})
