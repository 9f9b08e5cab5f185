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
import type { PersonVerdict, TruthOptions } from "../../support/KpiTruth.ts"
import { changesBetween, changesPreviewed, figuresBySegment } from "../../support/PreviewedChanges.ts"
import { TemporaryWarehouse } from "../../support/TemporaryWarehouse.ts"
import type { KpiPlace } from "./KpiPlace.ts"
import { click, kpiPlace } from "./KpiPlace.ts"

const minute = 60_000
const who = { reason: "drawn", author: "chance" }

/** A zone and a time near which something happens to its days. */
const places = [
  ["UTC", Date.UTC(2026, 1, 28, 22)],
  ["Europe/Berlin", Date.UTC(2026, 2, 28, 21)],
  ["America/New_York", Date.UTC(2026, 10, 1, 3)],
  ["Australia/Lord_Howe", Date.UTC(2026, 3, 4, 12)],
  ["Asia/Kathmandu", Date.UTC(2026, 0, 1, 17)],
  ["Pacific/Chatham", Date.UTC(2026, 8, 26, 10)]
] as const

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
  readonly place: (typeof places)[number]
  readonly drafts: ReadonlyArray<Draft>
  readonly settings: keyof typeof settingsOf
  readonly batch: number
  readonly verdicts: ReadonlyArray<PersonVerdict>
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
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

const eventsOf = ({ drafts, place: [, start] }: Scenario): ReadonlyArray<ClickEvent> => {
  let clock: number = start
  const made: Array<ClickEvent> = []
  for (
    const { advance, behind, category, currency, item, price, repeats, seconds, type, userAgent, visitor } of drafts
  ) {
    clock += advance * minute
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

/** Rules that a few clicks meet, with windows shorter and longer than the gap between sessions. */
const rules = { highFrequencyClicks: 2, highFrequencyWindowMs: minute, botLikeClicks: 3, botLikeDiversity: 0.6 }
const settingsOf = {
  "gap 30 min": rules,
  "gap 3 min": { ...rules, gapMs: 3 * minute, botLikeWindowMs: 12 * minute, botLikeSlideMs: 4 * minute }
} as const
const crawlers = { source: "test", patterns: ["crawler/", "^bot$"] }
const isCrawler = (userAgent: string): boolean => userAgent.startsWith("crawler/")

/** More by GUARDIAN_KPI_RUNS; the same again by GUARDIAN_KPI_SEED. */
const runs = Number(process.env["GUARDIAN_KPI_RUNS"] ?? 4)
const seed = Number(process.env["GUARDIAN_KPI_SEED"] ?? Date.now() % 2 ** 31)
const runMs = 180_000

layer(TemporaryWarehouse, { excludeTestServices: true, timeout: 60_000 })("KPIs of any log", (it) => {
  it.effect(
    "equal the oracle's in all three segments, across days, changes of the clock and verdicts",
    () =>
      Effect.gen(function*() {
        const context = yield* Effect.context<never>()
        const result = yield* Effect.promise(() =>
          fc.check(
            fc.asyncProperty(
              scenario,
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
})

const holds = Effect.fnUntraced(function*(drawn: Scenario) {
  const timeZone = drawn.place[0]
  const place = yield* kpiPlace({ timeZone, settings: settingsOf[drawn.settings], crawlers })
  const events = eventsOf(drawn)
  const half = Math.floor(events.length / 2)
  // Taken in halfway, so that the second half corrects what is there.
  yield* place.append(events.slice(0, half))
  yield* place.drain({ batch: drawn.batch })
  const truth = (verdicts: ReadonlyArray<PersonVerdict>) => place.truth({ timeZone, verdicts, isCrawler })
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
    assert.deepStrictEqual(
      changesPreviewed(preview),
      changesBetween(before, yield* figuresBySegment(place.warehouse))
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
