/**
 * What an amendment would change, without writing anything: the figures of all three segments, before and after, of its day and of
 * days on which a session of it has events or starts.
 */
import { Effect } from "effect"
import { formatAmount } from "../../domain/Money.ts"
import type { RegistryError, SchemaRegistry } from "../../log/SchemaRegistry.ts"
import type { WarehouseError } from "../../warehouse/Warehouse.ts"
import { Warehouse } from "../../warehouse/Warehouse.ts"
import { amendRequests, existingPlace, quarterOf } from "./Amendments.ts"
import type { Difference, Request } from "./Change.ts"
import { differenceOf } from "./Change.ts"
import type { SessionFigures } from "./FoldedSessions.ts"
import { flaggedThen } from "./FutureFlags.ts"
import type { LatePlace, LateRefused } from "./LateEvents.ts"
import { timeSql } from "./LateEvents.ts"
import { counts, goneOf, SegmentEffects, segments } from "./SegmentEffects.ts"
import type { BucketFacts, CountedGroup, Delta, ItemMove, Segment } from "./SegmentEffects.ts"

export interface PreviewedFigure {
  readonly day: string
  readonly segment: Segment
  readonly figure: string
  readonly before: string
  readonly after: string
}

export interface AmendmentPreview {
  readonly day: string
  readonly status: string
  /** Late events that would be folded in, and those that must wait for their sessions. */
  readonly events: number
  readonly waiting: number
  /** Only figures that would be different. */
  readonly changes: ReadonlyArray<PreviewedFigure>
}

/** As `amendDay` would do it now. */
export const previewAmendment = Effect.fnUntraced(function*(
  day: string
): Effect.fn.Return<AmendmentPreview, LateRefused | WarehouseError | RegistryError, Warehouse | SchemaRegistry> {
  const place = yield* existingPlace
  const effects = new SegmentEffects(place.settings.reportingCurrency)
  const requests = yield* amendRequests(place, day, "")
  for (const request of requests) {
    const difference = yield* differenceOf(place, request)
    effects.add(difference, yield* factsOf(place, request, difference))
  }
  const held = yield* heldByOthers(place, requests, effects)
  const known = yield* knownDays(place, [day, ...effects.days])
  return {
    day,
    status: String(known.get(`${day} all`)?.["status"] ?? "provisional"),
    events: effects.events,
    waiting: effects.waiting,
    changes: effects.days.flatMap((each) =>
      segments.flatMap((segment) =>
        changesOf(each, segment, known.get(`${each} ${segment}`), effects.delta(each, segment, held))
      )
    )
  }
})

type Row = Readonly<Record<string, unknown>>

/** The sessions that a change makes or takes away. */
const concerned = ({ sessions }: Difference): ReadonlyArray<SessionFigures> =>
  sessions.flatMap((session) => [...goneOf(session), ...(session.after === undefined ? [] : [session.after])])

const nothing: BucketFacts = { groups: [], flaggedThen: new Set(), dayOf: () => "" }

const factsOf = Effect.fnUntraced(function*(
  place: LatePlace,
  { visitors }: Request,
  difference: Difference
): Effect.fn.Return<BucketFacts, WarehouseError, Warehouse> {
  const sessions = concerned(difference)
  if (sessions.length === 0) return nothing
  return {
    groups: yield* groupsOf(place, visitors, sessions),
    flaggedThen: yield* flaggedThen(difference.sessions.flatMap(({ after }) => after ?? []), visitors),
    dayOf: yield* daysOf(place, difference, sessions)
  }
})

/** SQL: on one of the days of the reporting zone on which the sessions lie, or between them. */
const onDaysOf = ({ timeZone }: LatePlace, sessions: ReadonlyArray<Pick<SessionFigures, "startedAt" | "endedAt">>) => {
  const first = sessions.reduce((least, { startedAt }) => Math.min(least, startedAt), Infinity)
  const last = sessions.reduce((most, { endedAt }) => Math.max(most, endedAt), -Infinity)
  return `event_ts >= toDateTime64(toDate(${timeSql(first)}, '${timeZone}'), 3, '${timeZone}')
    AND event_ts < toDateTime64(toDate(${timeSql(last)}, '${timeZone}') + 1, 3, '${timeZone}')`
}

const groupsOf = Effect.fnUntraced(function*(
  place: LatePlace,
  visitors: string,
  sessions: ReadonlyArray<SessionFigures>
): Effect.fn.Return<ReadonlyArray<CountedGroup>, WarehouseError, Warehouse> {
  const amount = "toDecimal128(price, 4) * quantity"
  const inReporting = `currency IN ('', '${place.settings.reportingCurrency}')`
  const units = (sum: string) => `toString(toInt128(${sum} * 10000))`
  const rows = yield* (yield* Warehouse).query(
    `SELECT session_id, visitor_id, toString(toDate(event_ts, '${place.timeZone}')) AS day,
       session_id IN (SELECT session_id FROM flagged_sessions) AS flagged,
       countIf(event_type IN ('view', 'click')) AS clicks, countIf(event_type = 'purchase') AS purchases,
       countIf(amendment_id != '') AS amended, ${
      units(`sumIf(${amount}, event_type = 'purchase' AND ${inReporting})`)
    } AS revenue,
       mapApply((k, v) -> (k, ${units("v")}), sumMapIf(
         map(toString(currency), ${amount}), event_type = 'purchase' AND NOT ${inReporting})) AS by_currency,
       groupUniqArrayIf(item_id, item_id != '') AS items
     FROM events WHERE visitor_id IN (${visitors}) AND ${
      onDaysOf(place, sessions)
    } GROUP BY session_id, visitor_id, day`
  )
  return rows.map((row) => ({
    sessionId: String(row["session_id"]),
    visitorId: String(row["visitor_id"]),
    day: String(row["day"]),
    flagged: Number(row["flagged"]) === 1,
    clicks: Number(row["clicks"]),
    purchases: Number(row["purchases"]),
    amended: Number(row["amended"]),
    revenue: BigInt(String(row["revenue"])),
    revenueByCurrency: new Map(
      Object.entries(row["by_currency"] as Record<string, string>).map(([currency, sum]) => [currency, BigInt(sum)])
    ),
    items: row["items"] as ReadonlyArray<string>
  }))
})

/** Days of the reporting zone; a quarter of an hour lies within one of any zone. */
const daysOf = Effect.fnUntraced(function*(
  { timeZone }: LatePlace,
  { moved }: Difference,
  sessions: ReadonlyArray<SessionFigures>
): Effect.fn.Return<BucketFacts["dayOf"], WarehouseError, Warehouse> {
  const times = [...sessions.map(({ startedAt }) => startedAt), ...moved.map(({ event }) => event.eventTs)]
  const quarters = [...new Set(times.map(quarterOf))]
  const [row] = yield* (yield* Warehouse).query(
    `SELECT arrayMap(q -> toString(toDate(toDateTime(q), '${timeZone}')), {quarters:Array(UInt32)}) AS days`,
    { quarters }
  )
  const days = new Map(quarters.map((quarter, i) => [quarter, (row!["days"] as ReadonlyArray<string>)[i]!]))
  return (ms) => days.get(quarterOf(ms))!
})

/** Items that one statement asks about: some 100 kB. */
const itemsMax = 1_000

/** Whether visitors that the amendment is not about have an item on a day and segment. */
const heldByOthers = Effect.fnUntraced(function*(
  { timeZone }: LatePlace,
  requests: ReadonlyArray<Request>,
  effects: SegmentEffects
): Effect.fn.Return<(move: ItemMove) => boolean, WarehouseError, Warehouse> {
  const warehouse = yield* Warehouse
  const key = ({ day, item, segment }: Pick<ItemMove, "day" | "segment" | "item">) =>
    JSON.stringify([day, segment, item])
  const held = new Set<string>()
  const moves = effects.itemMoves
  const items = [...new Set(moves.map(({ item }) => item))]
  const days = [...new Set(moves.map(({ day }) => day))]
  const others = requests.map(({ visitors }) => `visitor_id NOT IN (${visitors})`).join(" AND ")
  for (let at = 0; at < items.length; at += itemsMax) {
    const rows = yield* warehouse.query(
      `SELECT toString(toDate(event_ts, '${timeZone}')) AS day, groupUniqArray(item_id) AS items,
         session_id IN (SELECT session_id FROM flagged_sessions) AS flagged
       FROM events WHERE (${days.map((day) => duringDay(day, timeZone)).join(" OR ")})
         AND item_id IN ({items:Array(String)}) AND ${others} GROUP BY day, flagged`,
      { items: items.slice(at, at + itemsMax) }
    )
    for (const row of rows) {
      for (const item of row["items"] as ReadonlyArray<string>) {
        for (const segment of ["all", Number(row["flagged"]) === 1 ? "flagged" : "clean"] as const) {
          held.add(key({ day: String(row["day"]), segment, item }))
        }
      }
    }
  }
  return (move) => held.has(key(move))
})

const duringDay = (day: string, timeZone: string): string =>
  `(event_ts >= toDateTime64('${day} 00:00:00', 3, '${timeZone}') AND event_ts < toDateTime64(toDate('${day}') + 1, 3, '${timeZone}'))`

const knownDays = Effect.fnUntraced(function*(
  { timeZone }: LatePlace,
  days: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyMap<string, Row>, WarehouseError, Warehouse> {
  const rows = yield* (yield* Warehouse).query(
    `SELECT toString(metric_date) AS day, segment, status, ${
      counts.map((name) => `toString(${name}) AS ${name}`).join(", ")
    },
       toString(toInt128(total_revenue * 10000)) AS revenue,
       mapApply((k, v) -> (k, toString(toInt128(v * 10000))), revenue_by_currency) AS by_currency
     FROM daily_metrics_raw AS d FINAL
     WHERE time_zone = '${timeZone}' AND d.metric_date IN (${days.map((day) => `toDate('${day}')`).join(", ")})`
  )
  return new Map(rows.map((row) => [`${row["day"]} ${row["segment"]}`, row]))
})

const changesOf = (
  day: string,
  segment: Segment,
  known: Row | undefined,
  delta: Delta | undefined
): ReadonlyArray<PreviewedFigure> => {
  const currencies = [...new Set([...Object.keys(known?.["by_currency"] ?? {}), ...delta?.byCurrency.keys() ?? []])]
    .sort()
  const before = figuresOf(known, undefined, currencies)
  const after = figuresOf(known, delta, currencies)
  return Object.keys(after).filter((figure) => before[figure] !== after[figure])
    .map((figure) => ({ day, segment, figure, before: before[figure]!, after: after[figure]! }))
}

/** As `daily_metrics` shows them. */
const figuresOf = (
  known: Row | undefined,
  delta: Delta | undefined,
  currencies: ReadonlyArray<string>
): Readonly<Record<string, string>> => {
  const of = (name: (typeof counts)[number]): number => Number(known?.[name] ?? 0) + (delta?.[name] ?? 0)
  const share = (a: number, b: number): string => String(b === 0 ? 0 : a / b)
  const revenue = BigInt(String(known?.["revenue"] ?? 0)) + (delta?.revenue ?? 0n)
  const others = known?.["by_currency"] as Readonly<Record<string, string>> | undefined
  return {
    total_clicks: String(of("total_clicks")),
    total_purchases: String(of("total_purchases")),
    unique_visitors: String(of("unique_visitors")),
    unique_items: String(of("unique_items")),
    total_revenue: formatAmount(revenue),
    ...Object.fromEntries(currencies.map((currency) => [
      `revenue_by_currency ${currency}`,
      formatAmount(BigInt(others?.[currency] ?? 0) + (delta?.byCurrency.get(currency) ?? 0n))
    ])),
    avg_order_value: formatAmount(of("total_purchases") === 0 ? 0n : revenue / BigInt(of("total_purchases"))),
    sessions: String(of("sessions")),
    conversion_rate: share(of("purchase_sessions"), of("sessions")),
    avg_session_duration_sec: share(of("duration_ms") / 1_000, of("sessions")),
    avg_clicks_per_session: share(of("session_clicks"), of("sessions")),
    bounce_rate: share(of("bounces"), of("sessions")),
    amended_events: String(of("amended_events"))
  }
}
